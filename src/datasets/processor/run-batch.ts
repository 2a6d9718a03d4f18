/**
 * Runs a processor over a batch: the rows of each table in one buffer, and an ending per record. Nothing
 * here knows where it runs; the result can be moved between threads.
 */
import type { LogRecord } from '../../ports/log.ts'
import { type LosslessValue, stringifyLossless } from '../../std/lossless-json.ts'
import { createColumnBuffer, createRowBuffer, type GrowingRowBuffer, type RowBuffer } from '../row-buffer.ts'
import { ColumnRows } from './columns/columns.ts'
import { InvalidMessage } from './invalid-message.ts'
import type { MessageProcessor, Output, Row } from './processor.ts'

/** What became of one record; what only adds rows has no ending of its own. */
export type Ending =
  | { kind: 'replacement'; key: string }
  | { kind: 'skip'; reason: string }
  | {
      kind: 'invalid'
      reason: 'invalid_message' | 'ignored_message' | 'processor_failed'
      message: string
      stack: string
      path: string
    }

export type ProcessedBatch = {
  /** A buffer per table of the storage; owners are indices of the batch's records. */
  rows: RowBuffer[]
  /** By index of the record. */
  endings: Map<number, Ending>
  /** When the events happened and were received, in ms, where the processor said so. */
  times: { originMs: number[]; receivedMs: number[] }
}

/** What a message may grow to as a row, to begin with; the buffer grows by itself. */
const growthExpected = 80

export function runBatch(
  processor: MessageProcessor,
  records: readonly LogRecord[],
  tables: number,
): ProcessedBatch {
  const output = new BatchOutput(tablesOf(processor, records, tables))
  for (let index = 0; index < records.length; index++) {
    const record = records[index]
    if (record !== undefined) output.run(processor, record, index)
  }
  return { rows: output.takeRows(), endings: output.endings, times: output.measured }
}

/** Where the rows of a table go. */
type TableRows = GrowingRowBuffer | ColumnRows

function tablesOf({ columns }: MessageProcessor, records: readonly LogRecord[], tables: number): TableRows[] {
  if (columns !== undefined) {
    if (columns.length !== tables)
      throw new RangeError(
        `The storage has ${tables} tables; the processor has columns of ${columns.length}.`,
      )
    for (const rows of columns) rows.cut(0)
    return [...columns]
  }
  let bytes = 0
  for (const { value } of records) bytes += value.length + growthExpected
  return Array.from({ length: tables }, (_, table) => createRowBuffer(table === 0 ? bytes : 0))
}

class BatchOutput implements Output {
  readonly endings = new Map<number, Ending>()
  readonly measured: ProcessedBatch['times'] = { originMs: [], receivedMs: [] }
  readonly #tables: readonly TableRows[]
  /** Values that no `endRow` followed belong to no row. */
  readonly #byColumns: readonly ColumnRows[]
  #owner = 0
  #hasRows = false
  /** Skips of one reason follow one another in the thousands. */
  #lastSkip: Extract<Ending, { kind: 'skip' }> = { kind: 'skip', reason: 'no rows' }

  constructor(tables: readonly TableRows[]) {
    this.#tables = tables
    this.#byColumns = tables.filter((rows) => rows instanceof ColumnRows)
  }

  run(processor: MessageProcessor, record: LogRecord, owner: number): void {
    this.#owner = owner
    this.#hasRows = false
    try {
      processor.process(record, this)
    } catch (error) {
      this.#takeBack(owner)
      this.endings.set(owner, invalidEnding(error))
      return
    }
    for (const rows of this.#byColumns) rows.cut(rows.rows)
    if (!this.#hasRows && !this.endings.has(owner)) this.skip('no rows')
  }

  /** The rows of each table; nothing can be added afterwards. */
  takeRows(): RowBuffer[] {
    return this.#tables.map((rows) =>
      rows instanceof ColumnRows ? createColumnBuffer([{ ...rows.take(), firstOwner: 0 }]) : rows,
    )
  }

  row(row: Row, table = 0): void {
    this.#buffer(table).addText(this.#owner, rowText(row))
  }

  text(json: string, table = 0): void {
    this.#buffer(table).addText(this.#owner, json)
  }

  splice(json: Buffer, fields: string, table = 0): void {
    this.#buffer(table).addSpliced(this.#owner, json, fields)
  }

  binary(row: Uint8Array, table = 0): void {
    this.#buffer(table).addBytes(this.#owner, row)
  }

  endRow(table = 0): void {
    const rows = this.#tables[table]
    if (!(rows instanceof ColumnRows)) throw this.#noRows(table, 'no columns')
    rows.end(this.#owner)
    this.#hasRows = true
  }

  replacement(key: string): void {
    this.endings.set(this.#owner, { kind: 'replacement', key })
  }

  skip(reason: string): void {
    if (this.#lastSkip.reason !== reason) this.#lastSkip = { kind: 'skip', reason }
    this.endings.set(this.#owner, this.#lastSkip)
  }

  times({ originMs, receivedMs }: { originMs?: number | undefined; receivedMs?: number | undefined }): void {
    if (originMs !== undefined) this.measured.originMs.push(originMs)
    if (receivedMs !== undefined) this.measured.receivedMs.push(receivedMs)
  }

  #buffer(table: number): GrowingRowBuffer {
    const rows = this.#tables[table]
    if (rows === undefined || rows instanceof ColumnRows) throw this.#noRows(table, 'columns')
    this.#hasRows = true
    return rows
  }

  #noRows(table: number, what: string): Error {
    const { length } = this.#tables
    if (table >= length)
      return new RangeError(`The storage has ${length} tables; the processor wrote to ${table}.`)
    return new TypeError(`The processor has ${what}, and added a row of the other kind.`)
  }

  #takeBack(owner: number): void {
    for (const rows of this.#tables) {
      let kept = rows.rows
      while (kept > 0 && rows.ownerOf(kept - 1) === owner) kept--
      rows.cut(kept)
    }
  }
}

/** A row as JSON text, integers in full. */
export function rowText(row: Row): string {
  const fields: string[] = []
  for (const name of Object.keys(row)) {
    const value: LosslessValue | undefined = row[name]
    if (value !== undefined) fields.push(`${JSON.stringify(name)}:${stringifyLossless(value)}`)
  }
  return `{${fields.join(',')}}`
}

function invalidEnding(error: unknown): Ending {
  const thrown = error instanceof Error ? error : new Error(String(error))
  const told = { kind: 'invalid', message: thrown.message, stack: thrown.stack ?? '' } as const
  if (!(thrown instanceof InvalidMessage)) return { ...told, reason: 'processor_failed', path: '' }
  return { ...told, reason: thrown.isSilent ? 'ignored_message' : 'invalid_message', path: thrown.path }
}
