/** A storage of numbers with a processor whose every message has a fate of its own, and a warehouse in memory. */
import { createInlineRunner, type OpenRunner } from '../../src/datasets/consume/batch-runner.ts'
import { InvalidMessage } from '../../src/datasets/processor/invalid-message.ts'
import type { MessageProcessor } from '../../src/datasets/processor/processor.ts'
import type { Storage, StorageStream, StorageTable } from '../../src/datasets/storage/storage.ts'
import type { LogBatch, LogRecord, NewRecord } from '../../src/ports/log.ts'
import type { Warehouse, WarehouseInsert } from '../../src/ports/warehouse.ts'

export const numbersTable: StorageTable = {
  name: 'numbers',
  columns: ['number', 'fate'].map((name) => ({
    name,
    type: name === 'number' ? 'UInt64' : 'String',
    default: undefined,
    materialized: undefined,
    alias: undefined,
    codec: undefined,
    ttl: undefined,
  })),
  indices: [],
  engine: { kind: 'MergeTree' },
  orderBy: ['number'],
  primaryKey: [],
  partitionBy: [],
  sampleBy: undefined,
  ttl: undefined,
  settings: {},
  dedupWindow: 1000,
  distributed: undefined,
}

export type StorageChanges = Partial<Omit<Storage, 'stream'>> & { stream?: Partial<StorageStream> }

export function numbersStorage(changes: StorageChanges = {}): Storage {
  return {
    name: 'numbers',
    set: 'tests',
    description: 'Numbers.',
    processor: { builtIn: 'ready_row', module: undefined, options: {} },
    tables: [numbersTable],
    writer: {
      format: 'JSONEachRow',
      rowsMax: 1000,
      bytesMax: 1_000_000,
      waitMs: 0,
      compression: 'none',
      settings: {},
    },
    deadLetters: { maxByReason: {}, ratio: undefined, consecutiveMax: undefined },
    retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
    replacer: undefined,
    hasLedger: true,
    ...changes,
    stream: {
      topic: 'numbers-in',
      commitLogTopic: 'numbers-commits',
      replacementTopic: 'numbers-changes',
      dlqTopic: 'numbers-dead',
      messageSchema: undefined,
      preFilter: undefined,
      ...changes.stream,
    },
  }
}

export type Fate = 'row' | 'two-rows' | 'skip' | 'replacement' | 'invalid' | 'silent' | 'throw'

export function numberRecord(number: number, fate: Fate = 'row', more: Partial<NewRecord> = {}): NewRecord {
  const value = Buffer.from(JSON.stringify({ number, fate }))
  return { topic: 'numbers-in', partition: 0, key: `key ${number}`, value, ...more }
}

export const numbersProcessor: MessageProcessor = {
  process({ value, timestampMs }, output) {
    const { number, fate }: { number: number; fate: Fate } = JSON.parse(value.toString())
    output.times({ originMs: timestampMs - 1000, receivedMs: undefined })
    if (fate === 'skip') return output.skip('not wanted')
    if (fate === 'replacement') return output.replacement(String(number))
    if (fate === 'throw') throw new TypeError(`number ${number} broke it`)
    output.row({ number, fate })
    if (fate === 'two-rows') output.row({ number, fate })
    if (fate === 'invalid') throw new InvalidMessage('no good', { path: 'data.number' })
    if (fate === 'silent') throw new InvalidMessage('known', { isSilent: true })
  },
}

export const openNumbersRunner: OpenRunner = async () => createInlineRunner(numbersProcessor, 1)

/** A batch as the log would hand it out. */
export function batchFrom(from: number, records: readonly NewRecord[]): LogBatch {
  const made = records.map(
    (record, index): LogRecord => ({
      topic: record.topic,
      partition: record.partition ?? 0,
      offset: from + index,
      timestampMs: record.timestampMs ?? 1_700_000_000_000 + index,
      key: record.key === null ? null : Buffer.from(record.key),
      value: record.value,
      headers: record.headers ?? {},
    }),
  )
  return { topic: 'numbers-in', partition: 0, from, until: from + made.length, records: made }
}

export type NumbersWarehouse = Warehouse & {
  /** What was written, by token; a token is taken once. */
  written: Map<string, unknown[]>
  inserts: WarehouseInsert[]
  /** Called before an insert takes effect: throws what the insert shall fail with. */
  onInsert: (insert: WarehouseInsert, rows: readonly unknown[]) => void | Promise<void>
}

export function createNumbersWarehouse(): NumbersWarehouse {
  const unused = () => Promise.reject(new Error('not used here'))
  const warehouse: NumbersWarehouse = {
    database: 'tests',
    written: new Map(),
    inserts: [],
    onInsert: () => {},
    async insert(insert) {
      const rows = rowsOf(insert)
      warehouse.inserts.push(insert)
      await warehouse.onInsert(insert, rows)
      const token = insert.token ?? `none ${warehouse.inserts.length}`
      if (!warehouse.written.has(token)) warehouse.written.set(token, rows)
      return { rowsWritten: rows.length }
    },
    query: unused,
    stream: unused,
    command: unused,
    async [Symbol.asyncDispose]() {},
  }
  return warehouse
}

function rowsOf({ body, format }: WarehouseInsert): unknown[] {
  if (format !== 'JSONEachRow') return [body]
  const text = Buffer.isBuffer(body) ? body.toString() : Buffer.concat(body).toString()
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
}
