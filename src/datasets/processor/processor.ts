/**
 * A message processor makes rows of messages. There is one interface for the processors of this repository
 * and for users' own: whatever runs one, in the consumer's thread or in a worker, calls it the same way, so
 * two processors of one storage can be compared message by message.
 *
 * A processor is made once for each partition or worker. It is synchronous and keeps nothing between
 * messages that would change a later row: a batch may be processed again after a crash.
 */
import type { LogRecord } from '../../ports/log.ts'
import type { LosslessValue } from '../../std/lossless-json.ts'
import type { ColumnRows } from './columns/columns.ts'

/** A record of the topic: value, key, headers, place, time of the append. */
export type Message = LogRecord

/**
 * Column name to value. Integers beyond 2^53 are bigints. A field that is `undefined` is left out, and takes
 * the column's default. For a column that is no float, `new JsonFloat(1)` is written `1.0`.
 */
export type Row = Readonly<Record<string, LosslessValue | undefined>>

/**
 * How rows are written. `Native` is by columns, and is a wish: a processor that has no columns gives rows in JSON
 * then, and they are inserted as such.
 */
export type RowFormat = 'JSONEachRow' | 'RowBinary' | 'Native'

/** Where a processor puts what it made of the message in hand. */
export interface Output {
  /** Adds a row. Several rows of one message are allowed. `table` counts the storage's tables from 0. */
  row(row: Row, table?: number): void
  /** Adds a row that is JSON text already: one object, without a raw newline. */
  text(json: string, table?: number): void
  /** The message itself is the row: its bytes with more fields (`,"a":1}`) in place of the last brace. */
  splice(json: Buffer, fields: string, table?: number): void
  /** Adds one row in RowBinary. The bytes are copied. */
  binary(row: Uint8Array, table?: number): void
  /** Ends a row by columns: each of the processor's `columns` of the table got one value since the last. */
  endRow(table?: number): void
  /** The message is no row but a change of rows: it goes to the storage's replacement topic, unchanged. */
  replacement(key: string): void
  /** No row, by decision. `reason` is short and in words; it is counted. */
  skip(reason: string): void
  /** When the event happened and when it was received, in ms since 1970: measured as latency. */
  times(times: { originMs?: number | undefined; receivedMs?: number | undefined }): void
}

export interface MessageProcessor {
  /** The columns that it writes to, by table. Whoever has them ends rows with `endRow` and adds none otherwise. */
  readonly columns?: readonly ColumnRows[]
  /**
   * Adds the rows of one message to `output`. Throws `InvalidMessage` for a message that cannot become rows:
   * it goes to the dead letters with the error. Any other error does so too, under another reason. What was
   * added before the throw is taken back.
   */
  process(message: Message, output: Output): void
}

/** How long rows are kept, in days; messages may ask for one of the valid periods. */
export type RetentionRule = {
  defaultDays: number
  lowerDays: number
  validDays: readonly number[]
}

export type ProcessorContext = {
  /** Name of the storage. */
  storage: string
  /** The format of the rows: a processor that cannot write it must throw when it is made. */
  format: RowFormat
  retention: RetentionRule
  /** `processor.options` of the storage's YAML. */
  options: Readonly<Record<string, unknown>>
  /** Live options, as of the batch in hand: see `rowmill option`. */
  live: () => Readonly<Record<string, unknown>>
  /** ms since 1970. */
  nowMs: () => number
  /** A random uuid. */
  uuid: () => string
  /** Adds to a counter of the metrics register. */
  count: (metric: string, by: number, labels: Readonly<Record<string, string>>) => void
}

/** What a processor's module exports under the name `createProcessor`. */
export type CreateProcessor = (context: ProcessorContext) => MessageProcessor

/**
 * A period of the valid ones is kept; another becomes the lower one if it is not longer than that, else the
 * default; none is the default. Behaviour of Snuba's `enforce_retention`.
 */
export function enforceRetention(days: number | null | undefined, rule: RetentionRule): number {
  if (days === null || days === undefined) return rule.defaultDays
  if (rule.validDays.includes(days)) return days
  return days <= rule.lowerDays ? rule.lowerDays : rule.defaultDays
}
