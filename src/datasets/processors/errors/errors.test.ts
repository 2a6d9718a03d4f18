import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ProcessorContext } from '../../processor/processor.ts'
import { runMessage } from '../../processor/run-message.ts'
import { createErrorsProcessor } from './errors.ts'

const event = {
  data: {},
  event_id: '0123456789abcdef0123456789abcdef',
  group_id: 1,
  message: '',
  primary_hash: 'x',
  project_id: 7,
}

function run(data: object, options: Partial<ProcessorContext> = {}) {
  const value = Buffer.from(JSON.stringify([2, 'insert', { ...event, data }, {}]))
  const { rows, ...ending } = runMessage(createErrorsProcessor, { value }, options)
  const row = rows[0]?.row
  return { ending, row: row !== null && typeof row === 'object' && 'group_id' in row ? row : undefined }
}

suite('errors', () => {
  test('a replacement is passed on under its project', () => {
    const value = Buffer.from('[2,"end_merge",{"project_id":18446744073709551615,"new_group_id":2}]')
    const { kind, ...rest } = runMessage(createErrorsProcessor, { value })
    assert.deepEqual([kind, rest], ['replacement', { key: '18446744073709551615', rows: [] }])
  })

  test('the stacks of a project of the list are left out', () => {
    const data = {
      exception: { values: [{ type: 'A', thread_id: 1, stacktrace: { frames: [{ function: 'f' }] } }] },
      threads: { values: [{ id: 1, main: true }] },
    }
    const options = { project_stacktrace_blacklist: [7] }
    const without = run(data, { options }).row
    assert.deepEqual(without?.['exception_stacks.type'], [])
    assert.deepEqual(without?.['exception_frames.function'], [])
    assert.ok(without !== undefined && !('exception_main_thread' in without))
    assert.deepEqual(run(data).row?.['exception_frames.function'], ['f'])
  })

  test('a refusal says where', () => {
    const data = { exception: { values: [null, { stacktrace: { frames: [{}, { colno: -1 }] } }] } }
    const { ending } = run(data)
    assert.equal(
      ending.kind === 'invalid' && ending.path,
      '[2].data.exception.values[1].stacktrace.frames[1].colno',
    )
  })

  test('it writes no RowBinary', () => {
    assert.throws(
      () => runMessage(createErrorsProcessor, { value: null }, { format: 'RowBinary' }),
      /JSONEachRow/,
    )
  })

  test('a large message is taken in the midst of small ones', () => {
    const tags = Array.from({ length: 3000 }, (_, index) => [`tag ${index}`, 'v'.repeat(100)])
    const row = run({ tags }).row
    assert.ok(Array.isArray(row?.['tags.key']))
    assert.deepEqual(row?.['tags.key'], tags.map(([key]) => key).toSorted())
  })
})
