import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ProcessorContext } from '../../processor/processor.ts'
import { proofTimeMs, runMessage } from '../../processor/run-message.ts'
import { createTransactionsProcessor } from './transactions.ts'

const seconds = proofTimeMs / 1000
const id = '0123456789abcdef0123456789abcdef'

function run(given: { data?: object; event?: object }, options: Partial<ProcessorContext> = {}) {
  const data = {
    type: 'transaction',
    start_timestamp: seconds - 1,
    timestamp: seconds,
    contexts: { trace: { trace_id: id, span_id: 'ff' } },
    ...given.data,
  }
  const event = { event_id: id, project_id: 1, platform: 'python', data, ...given.event }
  const value = Buffer.from(JSON.stringify([2, 'insert', event]))
  const { rows, ...ending } = runMessage(createTransactionsProcessor, { value }, options)
  const row = rows[0]?.row
  return { ending, row: row !== null && typeof row === 'object' && 'span_id' in row ? row : undefined }
}

suite('transactions', () => {
  const spans = ['c', 'b', 'a'].map((op, index) => ({ op, hash: `${index}`, exclusive_time: 1 }))

  test('a live option bounds the spans before they are sorted', () => {
    const live = () => ({ max_spans_per_transaction: 2 })
    assert.deepEqual(run({ data: { spans } }, { live }).row?.['spans.op'], ['b', 'c'])
    assert.deepEqual(run({ data: { spans } }).row?.['spans.op'], ['a', 'b', 'c'])
  })

  test('an event is too old when its retention is over', () => {
    const dayMs = 86_400_000
    const event = { retention_days: 30 }
    const at = (days: number) => run({ event }, { nowMs: () => proofTimeMs + days * dayMs })
    assert.ok(at(30).row !== undefined)
    assert.deepEqual(at(30.001).ending, { kind: 'skip', reason: 'event too old' })
  })

  test('a time in 32 bits no more is now', () => {
    const row = run({ data: { start_timestamp: 2 ** 32 } }).row
    assert.deepEqual([row?.start_ts, row?.start_ms], [row?.finish_ts, row?.finish_ms])
  })

  test('a refusal says where', () => {
    const { ending } = run({ data: { spans: [spans[0], { ...spans[1], hash: 'no' }] } })
    assert.equal(ending.kind === 'invalid' && ending.path, '[2].data.spans[1].hash')
  })
})
