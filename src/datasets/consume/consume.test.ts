import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import {
  batchFrom,
  createNumbersWarehouse,
  numberRecord,
  numbersStorage,
  openNumbersRunner,
  type StorageChanges,
} from '../../../test/support/storage.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { isRetryable, isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { LogBatch, NewRecord } from '../../ports/log.ts'
import { settle } from '../../stream/settlement.ts'
import type { StageResult } from '../../stream/stage.ts'
import { createRowBuffer } from '../row-buffer.ts'
import { compileMessageSchema } from '../storage/message-schema.ts'
import { type ConsumerStageOptions, createConsumerStage } from './consume.ts'

const never = new AbortController().signal

async function setup(changes: StorageChanges = {}, options: Partial<ConsumerStageOptions> = {}, resets = 0) {
  const warehouse = createNumbersWarehouse()
  const telemetry = quietTelemetry()
  const clock = createManualClock()
  const storage = numbersStorage(changes)
  const stage = createConsumerStage({ warehouse, clock, ...telemetry }, storage, {
    openRunner: openNumbersRunner,
    ...options,
  })
  const place = { topic: 'numbers-in', partition: 0, position: 0, resets, signal: never }
  const partition = await stage.openPartition(place)
  const run = async (batch: LogBatch) => {
    const result = await partition.process(batch, { signal: never })
    result.afterCommit?.()
    return result
  }
  return { warehouse, clock, stage, partition, run, ...telemetry }
}

/** What the engine would write with the position. */
function commitOf(batch: LogBatch, result: StageResult): { records: NewRecord[]; reasons: object } {
  const { records, ledger } = settle(batch, result, {
    stage: 'datasets-numbers',
    topics: { deadLetters: 'numbers-dead', drops: 'drops', ledger: 'ledger' },
    hasLedger: false,
    identify: () => ({ uuid: '', distinct_id: '', token: '', event: '' }),
    nowMs: 0,
  })
  assert.equal(ledger.in, ledger.out + ledger.dropped + ledger.diverted + ledger.dead_lettered)
  return { records, reasons: ledger.reasons }
}

const kinds = ({ outcomes }: StageResult) => outcomes.map(({ kind }) => kind)
const sent = (records: readonly NewRecord[], topic: string) => records.filter((one) => one.topic === topic)

test('a batch is one insert, named by table, place and range', async () => {
  const { warehouse, run } = await setup()
  const batch = batchFrom(7, [numberRecord(1), numberRecord(2, 'two-rows')])
  assert.deepEqual(kinds(await run(batch)), ['next', 'next'])
  const rows = [{ number: 1, fate: 'row' }, ...Array(2).fill({ number: 2, fate: 'two-rows' })]
  assert.deepEqual([...warehouse.written], [['numbers/numbers-in/0/7-9/3', rows]])
  await run(batch)
  assert.equal(warehouse.written.size, 1)
})

test('after a reset of the position the same range is written anew', async () => {
  const { warehouse, run } = await setup({}, {}, 2)
  await run(batchFrom(0, [numberRecord(1)]))
  assert.deepEqual([...warehouse.written.keys()], ['numbers/numbers-in/0/0-1/1/reset-2'])
})

test('each message ends as its processor says, and nothing of a failed one is written', async () => {
  const { warehouse, run, stage } = await setup()
  const fates = ['row', 'skip', 'replacement', 'invalid', 'silent', 'throw'] as const
  const batch = batchFrom(
    0,
    fates.map((fate, number) => numberRecord(number, fate)),
  )
  const result = await run(batch)
  const { records, reasons } = commitOf(batch, result)
  assert.deepEqual([...warehouse.written.values()].flat(), [{ number: 0, fate: 'row' }])
  assert.deepEqual(reasons, {
    'skipped_message: not wanted': 1,
    invalid_message: 1,
    ignored_message: 1,
    processor_failed: 1,
  })
  const [change] = sent(records, 'numbers-changes')
  assert.deepEqual([change?.key, change?.value], ['2', batch.records[2]?.value])
  assert.equal(sent(records, 'numbers-changes').length, 1)
  assert.equal(stage.deadLetterTopic, 'numbers-dead')
  assert.equal(sent(records, 'drops').length, 3, 'a quiet drop has no row of its own')
})

test('a dead letter keeps the message and tells reason, error, stack, path and where it stood', async () => {
  const { run } = await setup()
  const record = numberRecord(4, 'invalid', { headers: { a: 'b' }, timestampMs: 1_700_000_000_123 })
  const batch = batchFrom(42, [record])
  const [letter] = sent(commitOf(batch, await run(batch)).records, 'numbers-dead')
  const { dlq_stack: stack, ...headers } = letter?.headers ?? {}
  assert.deepEqual(headers, {
    a: 'b',
    original_topic: 'numbers-in',
    original_partition: '0',
    original_offset: '42',
    original_timestamp: '1700000000123',
    dlq_path: 'data.number',
    dlq_reason: 'invalid_message',
    dlq_step: 'datasets-numbers',
    dlq_timestamp: '1970-01-01T00:00:00.000Z',
    dlq_topic: 'numbers-in',
    dlq_partition: '0',
    dlq_offset: '42',
    dlq_error: 'no good',
  })
  assert.match(stack ?? '', /InvalidMessage: no good\n\s+at /)
  assert.deepEqual([String(letter?.key), letter?.value], ['key 4', record.value])
  assert.equal(letter?.timestampMs, 1_700_000_000_123)
})

test('a dead letter that fails again keeps where it first stood', async () => {
  const { run } = await setup()
  const headers = { original_topic: 'first', original_partition: '3', original_offset: '9' }
  const batch = batchFrom(0, [numberRecord(4, 'throw', { headers })])
  const [letter] = sent(commitOf(batch, await run(batch)).records, 'numbers-dead')
  assert.equal(letter?.headers?.original_topic, 'first')
  assert.equal(letter?.headers?.original_offset, '9')
  assert.equal(letter?.headers?.dlq_topic, 'numbers-in')
})

test('the commit log tells the next offset, the last time and the 99th percentile, as Snuba writes it', async () => {
  const { run } = await setup()
  const times = Array.from({ length: 200 }, (_, index) => 1_700_000_000_000 + index * 10)
  const batch = batchFrom(
    5,
    times.map((timestampMs, number) => numberRecord(number, 'row', { timestampMs })),
  )
  const [entry] = sent(commitOf(batch, await run(batch)).records, 'numbers-commits')
  assert.equal(String(entry?.key), 'numbers-in:0:datasets-numbers')
  assert.equal(
    String(entry?.value),
    '{"offset":205,"orig_message_ts":1700000001.99,"received_p99":1700000000.98}',
  )
  const whole = batchFrom(0, [numberRecord(1, 'row', { timestampMs: 1_700_000_001_000 })])
  const [second] = sent(commitOf(whole, await run(whole)).records, 'numbers-commits')
  assert.equal(
    String(second?.value),
    '{"offset":1,"orig_message_ts":1700000001.0,"received_p99":1700000000.0}',
  )
})

test('the pre-filter leaves messages out unread, and a batch without rows still settles', async () => {
  const preFilter = { header: 'metric_type', equals: 'c' }
  const { warehouse, run } = await setup({ stream: { preFilter } })
  const headers = (value: string) => ({ headers: { metric_type: value } })
  const batch = batchFrom(0, [
    numberRecord(0, 'throw'),
    numberRecord(1, 'row', headers('c')),
    numberRecord(2, 'throw', headers('s')),
    numberRecord(3, 'invalid', headers('c')),
  ])
  const result = await run(batch)
  assert.deepEqual(kinds(result), ['drop', 'next', 'drop', 'dead-letter'])
  assert.equal(commitOf(batch, result).records.at(-1)?.topic, 'numbers-commits')
  assert.deepEqual([...warehouse.written.values()], [[{ number: 1, fate: 'row' }]])
  const empty = batchFrom(4, [numberRecord(4)])
  const { records, reasons } = commitOf(empty, await run(empty))
  assert.deepEqual([records, reasons], [[], { 'skipped_message: pre-filter': 1 }])
  assert.equal(warehouse.inserts.length, 1)
})

test('messages after the second at which to stop give no rows', async () => {
  const { warehouse, run } = await setup({}, { stopAtSeconds: 1_700_000_000 })
  const at = (timestampMs: number) => ({ timestampMs })
  const batch = batchFrom(0, [
    numberRecord(0, 'row', at(1_700_000_000_999)),
    numberRecord(1, 'throw', at(1_700_000_001_000)),
  ])
  assert.deepEqual(kinds(await run(batch)), ['next', 'drop'])
  assert.deepEqual([...warehouse.written.values()], [[{ number: 0, fate: 'row' }]])
})

test('the schema sets messages aside where it is enforced, and only counts them otherwise', async () => {
  const check = await compileMessageSchema({ properties: { number: { maximum: 5 } } })
  const batch = batchFrom(0, [
    numberRecord(5),
    numberRecord(6),
    { ...numberRecord(7), value: Buffer.from('{') },
  ])
  const strict = await setup({}, { schema: { check, isEnforced: true, checksPerBatchMax: 0 } })
  const result = await strict.run(batch)
  assert.deepEqual(kinds(result), ['next', 'dead-letter', 'dead-letter'])
  const letters = sent(commitOf(batch, result).records, 'numbers-dead')
  assert.deepEqual(
    letters.map(({ headers }) => [headers?.dlq_reason, headers?.dlq_path, headers?.dlq_error]).slice(0, 1),
    [['schema_violated', 'number', 'must be <= 5']],
  )
  const lenient = await setup({}, { schema: { check, isEnforced: false, checksPerBatchMax: 2 } })
  assert.deepEqual(kinds(await lenient.run(batch)), ['next', 'next', 'dead-letter'])
  const violations = lenient.metrics.value('consumer_schema_validation_failed', { storage: 'numbers' })
  assert.equal(await violations, 1)
})

test('rows that are refused become dead letters, the others are written', async () => {
  const { warehouse, run } = await setup({ stream: { preFilter: { header: 'h', equals: '1' } } })
  warehouse.onInsert = (_, rows) => {
    if (rows.some((row) => JSON.stringify(row).includes('13')))
      throw new RowmillError('WAREHOUSE_REFUSED', 'bad number', { details: { code: 27, name: 'X' } })
  }
  const headers = { h: '1' }
  const batch = batchFrom(0, [
    numberRecord(0, 'throw'),
    ...[11, 12, 13, 14].map((number) => numberRecord(number, 'row', { headers })),
  ])
  const result = await run(batch)
  assert.deepEqual(kinds(result), ['drop', 'next', 'next', 'dead-letter', 'next'])
  const numbers = [...warehouse.written.values()].flat().map((row) => JSON.stringify(row))
  assert.equal(numbers.length, 3)
  const [letter] = sent(commitOf(batch, result).records, 'numbers-dead')
  assert.equal(letter?.headers?.dlq_reason, 'row_refused')
})

test('beyond the dead-letter policy nothing is settled, and the error says what to do', async () => {
  const deadLetters = { maxByReason: { invalid_message: 2 }, ratio: undefined, consecutiveMax: undefined }
  const { warehouse, partition, run } = await setup({ deadLetters })
  await run(batchFrom(0, [numberRecord(0, 'invalid'), numberRecord(1, 'invalid'), numberRecord(2, 'throw')]))
  const batch = batchFrom(3, [numberRecord(3), numberRecord(4, 'invalid')])
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(partition.process(batch, { signal: never }), (error) => {
      assert(isRowmillError(error, 'DEAD_LETTER_LIMIT'))
      assert.match(error.message, /numbers-in\/0: 3 messages failed by invalid_message.* allows 2/)
      assert.match(error.message, /rowmill dlq list --storage numbers/)
      return true
    })
  assert.equal(warehouse.inserts.length, 0)
  await run(batchFrom(3, [numberRecord(3)]))
})

test('a consumer that skips writing leaves nothing but its position', async () => {
  const { warehouse, run } = await setup({}, { writing: 'skip' })
  const fates = ['row', 'replacement', 'invalid', 'skip'] as const
  const batch = batchFrom(
    0,
    fates.map((fate, number) => numberRecord(number, fate)),
  )
  const { records, reasons } = commitOf(batch, await run(batch))
  assert.deepEqual(records, [])
  assert.deepEqual(reasons, { 'invalid_message: writing is off': 1, 'skipped_message: not wanted': 1 })
  assert.equal(warehouse.inserts.length, 0)
})

test('a dry run waits in place of an insert', async () => {
  const { warehouse, clock, partition } = await setup({}, { writing: { dryRunMs: 50 } })
  let isDone = false
  const batch = batchFrom(0, [numberRecord(0)])
  const running = partition.process(batch, { signal: never }).then(() => {
    isDone = true
  })
  await waitFor(() => clock.sleepers() === 1)
  await clock.advance(49)
  assert.equal(isDone, false)
  await clock.advance(1)
  await running
  assert.equal(warehouse.inserts.length, 0)
})

test('rows in RowBinary are inserted with the columns of the table', async () => {
  const writer = {
    format: 'RowBinary',
    rowsMax: 10,
    bytesMax: 1000,
    waitMs: 0,
    compression: 'zstd',
    settings: { max_threads: 1 },
  } as const
  const openRunner = async () => ({
    async run() {
      const rows = createRowBuffer(10)
      rows.addBytes(0, Buffer.from([1, 2, 3]))
      return { rows: [rows], endings: new Map(), times: { originMs: [], receivedMs: [] } }
    },
    async [Symbol.asyncDispose]() {},
  })
  const { warehouse, run } = await setup({ writer }, { openRunner })
  await run(batchFrom(0, [numberRecord(0)]))
  const [insert] = warehouse.inserts
  assert.deepEqual(insert?.columns, ['number', 'fate'])
  assert.deepEqual(
    [insert?.format, insert?.compression, insert?.settings?.max_threads],
    ['RowBinary', 'zstd', 1],
  )
})

test('a refusal that has nothing to do with the rows is waited for', async () => {
  const { warehouse, partition } = await setup()
  warehouse.onInsert = () => {
    throw new RowmillError('WAREHOUSE_REFUSED', 'no', { details: { code: 60, name: 'UNKNOWN_TABLE' } })
  }
  await assert.rejects(
    partition.process(batchFrom(0, [numberRecord(0)]), { signal: never }),
    (error) => isRetryable(error) && /into numbers at present: UNKNOWN_TABLE/.test(String(error)),
  )
  assert.equal(warehouse.inserts.length, 1)
})
