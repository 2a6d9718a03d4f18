import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CreateProcessor, ProcessorContext } from '../../processor/processor.ts'
import { runBatch } from '../../processor/run-batch.ts'
import { createReadyDistinctId, createReadyRow } from './ready.ts'

const context: ProcessorContext = {
  storage: 'events',
  format: 'JSONEachRow',
  retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
  options: {},
  live: () => ({}),
  nowMs: () => 0,
  uuid: () => '',
  count: () => {},
}

function run(create: CreateProcessor, values: readonly string[]) {
  const records = values.map((value, offset) => ({
    topic: 't',
    partition: 3,
    offset,
    timestampMs: 1999,
    key: null,
    value: Buffer.from(value),
    headers: {},
  }))
  const { rows, endings } = runBatch(create(context), records, 2)
  const texts = rows.map((buffer) => buffer.slice(0, buffer.rows).toString())
  return { texts, endings: [...endings].map(([index, { kind }]) => [index, kind]) }
}

const place = (offset: number) => `,"_timestamp":1,"_offset":${offset},"_partition":3}\n`

test('a message is the row, with its place on the log, its numbers untouched', () => {
  const { texts, endings } = run(createReadyRow, ['{"a":18446744073709551615,"b":1.0}', '{"a": "é\\n"}'])
  assert.deepEqual(texts, [`{"a":18446744073709551615,"b":1.0${place(0)}{"a": "é\\n"${place(1)}`, ''])
  assert.deepEqual(endings, [])
})

test('a message over several lines is put on one, its numbers untouched; one that is no object is refused', () => {
  const { texts, endings } = run(createReadyRow, [
    ' {\n"a":18446744073709551615,\r\n "b":1.0}\n',
    '{}',
    '[1]',
    '',
  ])
  assert.deepEqual(texts, [`{ "a":18446744073709551615,\r  "b":1.0${place(0)}`, ''])
  assert.deepEqual(endings, [
    [1, 'invalid'],
    [2, 'invalid'],
    [3, 'invalid'],
  ])
})

test('a distinct id that has changed hands goes into the second table as well', () => {
  const { texts, endings } = run(createReadyDistinctId, ['{"version":0}', '{"version":1}', '{broken}'])
  assert.deepEqual(texts, [`{"version":0${place(0)}{"version":1${place(1)}`, `{"version":1${place(1)}`])
  assert.deepEqual(endings, [[2, 'invalid']])
})

test('any object, on however many lines, is one row of the same values', () => {
  const object = fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue(), { minKeys: 1 })
  fc.assert(
    fc.property(object, fc.constantFrom(0, 2), (value, indent) => {
      const { texts } = run(createReadyRow, [JSON.stringify(value, null, indent)])
      const [line = '', rest] = (texts[0] ?? '').split('\n')
      assert.equal(rest, '')
      const expected = JSON.parse(JSON.stringify({ ...value, _timestamp: 1, _offset: 0, _partition: 3 }))
      assert.deepEqual(JSON.parse(line), expected)
    }),
  )
})

test('options that do nothing are refused', () => {
  assert.throws(
    () => createReadyRow({ ...context, options: { speed: 1 } }),
    /ready_row has no options.*speed/,
  )
})
