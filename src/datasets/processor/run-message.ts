/**
 * One message through a processor, for tests and proofs: chance and time are the same on every run, rows are
 * read back as values.
 */
import type { LogHeaders } from '../../event/headers.ts'
import { type LosslessValue, parseLossless, stringifyLossless } from '../../std/lossless-json.ts'
import { readNative } from './columns/read-native.ts'
import type { CreateProcessor, Message, MessageProcessor, ProcessorContext } from './processor.ts'
import { type Ending, runBatch } from './run-batch.ts'

export type MessageInput = {
  /** The message's bytes, its text, or a value that is written as JSON. */
  value: Buffer | LosslessValue
  key?: string | Buffer | null
  headers?: LogHeaders
  topic?: string
  partition?: number
  offset?: number
  timestampMs?: number
}

/** A row as the processor wrote it, and what it says if it is JSON or Native. */
export type MadeRow = { table: number; bytes: Buffer; row?: LosslessValue }

/** What became of the message, and the rows that it gave. */
export type MessageEnd = (Ending | { kind: 'rows' }) & { rows: MadeRow[] }

/** What the time is, and every random uuid. */
export const proofTimeMs = 1_700_000_000_000
export const proofUuid = '01234567-89ab-4cde-8f01-23456789abcd'

export function createMessage(input: MessageInput): Message {
  const { value, key = null } = input
  return {
    topic: input.topic ?? 'messages',
    partition: input.partition ?? 0,
    offset: input.offset ?? 1,
    timestampMs: input.timestampMs ?? proofTimeMs,
    key: typeof key === 'string' ? Buffer.from(key) : key,
    value: Buffer.isBuffer(value)
      ? value
      : Buffer.from(typeof value === 'string' ? value : stringifyLossless(value)),
    headers: input.headers ?? {},
  }
}

/** A context whose time stands still and whose uuids are all the same, so that two processors see one world. */
export function createProofContext(given: Partial<ProcessorContext> = {}): ProcessorContext {
  return {
    storage: 'proof',
    format: 'JSONEachRow',
    retention: { defaultDays: 90, lowerDays: 30, validDays: [30, 90] },
    options: {},
    live: () => ({}),
    nowMs: () => proofTimeMs,
    uuid: () => proofUuid,
    count: () => undefined,
    ...given,
  }
}

/**
 * Makes a processor and runs it on one message. `tables` is the number of the storage's tables. Throws a
 * `SyntaxError` for a row that is no JSON.
 */
export function runMessage(
  createProcessor: CreateProcessor,
  input: MessageInput,
  options: Partial<ProcessorContext> & { tables?: number } = {},
): MessageEnd {
  const { tables = 1, ...given } = options
  const context = createProofContext(given)
  const processor = createProcessor(context)
  const { rows, ...ending } = endOf(processor, createMessage(input), tables)
  if (context.format === 'RowBinary') return { ...ending, rows }
  const isNative = processor.columns !== undefined
  return {
    ...ending,
    rows: rows.map((made) => {
      const row = isNative ? readNative(made.bytes)[0] : parseLossless(made.bytes)
      return row === undefined ? made : { ...made, row }
    }),
  }
}

/** What a processor makes of one message; the rows are not read. */
export function endOf(processor: MessageProcessor, message: Message, tables: number): MessageEnd {
  const batch = runBatch(processor, [message], tables)
  const ending = batch.endings.get(0)
  const rows = batch.rows.flatMap((buffer, table) =>
    Array.from({ length: buffer.rows }, (_, row): MadeRow => {
      const bytes = Buffer.from(buffer.slice(row, row + 1))
      return { table, bytes }
    }),
  )
  return { ...(ending ?? { kind: 'rows' }), rows }
}
