/**
 * Runs a processor over a batch: the rows of each table in one buffer, and an ending per record. Nothing
 * here knows where it runs; the result can be moved between threads.
 */
import type { LogRecord } from '../../ports/log.ts'
import { type LosslessValue, stringifyLossless } from '../../std/lossless-json.ts'
import { createRowBuffer, type RowBuffer } from '../row-buffer.ts'
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
  let bytes = 0
  for (const { value } of records) bytes += value.length + growthExpected
  const rows = Array.from({ length: tables }, (_, table) => createRowBuffer(table === 0 ? bytes : 0))
  const output = new BatchOutput(rows)
  for (const [index, record] of records.entries()) output.run(processor, record, index)
  return { rows, endings: output.endings, times: output.measured }
}

class BatchOutput implements Output {
  readonly endings = new Map<number, Ending>()
  readonly measured: ProcessedBatch['times'] = { originMs: [], receivedMs: [] }
  readonly #rows: readonly RowBuffer[]
  #owner = 0
  readonly #rowsBefore: number[] = []

  constructor(rows: readonly RowBuffer[]) {
    this.#rows = rows
  }

  run(processor: MessageProcessor, record: LogRecord, owner: number): void {
    this.#owner = owner
    for (let table = 0; table < this.#rows.length; table++)
      this.#rowsBefore[table] = this.#rows[table]?.rows ?? 0
    try {
      processor.process(record, this)
    } catch (error) {
      for (const [table, buffer] of this.#rows.entries()) buffer.cut(this.#rowsBefore[table] ?? 0)
      this.endings.set(owner, invalidEnding(error))
      return
    }
    if (!this.#hasRows() && !this.endings.has(owner))
      this.endings.set(owner, { kind: 'skip', reason: 'no rows' })
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

  replacement(key: string): void {
    this.endings.set(this.#owner, { kind: 'replacement', key })
  }

  skip(reason: string): void {
    this.endings.set(this.#owner, { kind: 'skip', reason })
  }

  times({ originMs, receivedMs }: { originMs?: number | undefined; receivedMs?: number | undefined }): void {
    if (originMs !== undefined) this.measured.originMs.push(originMs)
    if (receivedMs !== undefined) this.measured.receivedMs.push(receivedMs)
  }

  #buffer(table: number): RowBuffer {
    const buffer = this.#rows[table]
    if (buffer === undefined)
      throw new RangeError(`The storage has ${this.#rows.length} tables; the processor wrote to ${table}.`)
    return buffer
  }

  #hasRows(): boolean {
    for (let table = 0; table < this.#rows.length; table++)
      if ((this.#rows[table]?.rows ?? 0) > (this.#rowsBefore[table] ?? 0)) return true
    return false
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
