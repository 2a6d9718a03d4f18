/**
 * Inserts the rows of a batch once, and finds those that the warehouse refuses.
 *
 * The insert carries a token made of table, place and offset range, so a batch that is read again after a
 * crash writes nothing twice; after a reset of the position the token differs, because then the rows are meant
 * to be written anew. If ClickHouse refuses the rows because of what is in them, they are cut in halves until
 * the bad ones stand alone; each part has a token of its own range. The cuts follow from the range alone, so a
 * crash in the middle repeats the same parts with the same tokens.
 */
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { LogBatch } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { RowFormat } from '../processor/processor.ts'
import type { RowBuffer } from '../row-buffer.ts'
import type { StorageTable, StorageWriter } from '../storage/storage.ts'

export type RowsToWrite = {
  table: string
  /** What the insert names: see `insertColumns`. */
  columns?: readonly string[] | undefined
  writer: Pick<StorageWriter, 'format' | 'compression' | 'settings'>
  /** Names the rows' place in the token. */
  batch: Pick<LogBatch, 'topic' | 'partition' | 'from' | 'until'>
  /** How often the position was reset: see `PartitionLease`. */
  resets?: number | undefined
  rows: RowBuffer
}

export type RefusedRow = { owner: number; error: unknown }

const insertSettings = {
  async_insert: 0,
  date_time_input_format: 'best_effort',
  input_format_skip_unknown_fields: 1,
  // One thread reads the rows: handing pieces to several costs more than it saves at this size.
  input_format_parallel_parsing: 0,
  // A batch of historical events may touch many months; refusing it would stop the dataset.
  max_partitions_per_insert_block: 0,
} as const

/** ClickHouse's codes of a row that cannot be read as the table's columns. */
const dataErrorCodes: ReadonlySet<number> = new Set([
  6, 19, 25, 26, 27, 32, 33, 36, 38, 41, 42, 43, 53, 69, 70, 72, 117, 128, 130, 131, 190, 321, 349, 376, 407,
  467, 469, 552, 675, 676, 691, 706,
])

/** Resolves when all rows but the refused ones are in the warehouse. Waits that may help are the caller's. */
export async function writeRows(
  warehouse: Warehouse,
  write: RowsToWrite,
  options: { signal: AbortSignal },
): Promise<RefusedRow[]> {
  const refused: RefusedRow[] = []
  const { rows, writer, columns } = write
  const format = formatOf(rows, writer.format)
  const writePart = async (from: number, until: number): Promise<void> => {
    try {
      await warehouse.insert({
        table: write.table,
        format,
        ...(columns === undefined ? {} : { columns }),
        body: rows.slice(from, until),
        compression: writer.compression,
        token: tokenOf(write, from, until),
        settings: { ...insertSettings, ...writer.settings },
        signal: options.signal,
      })
    } catch (error) {
      if (!isDataError(error)) throw worthWaiting(error, write.table)
      if (until - from === 1) {
        refused.push({ owner: rows.ownerOf(from), error })
        return
      }
      const middle = (from + until) >>> 1
      await writePart(from, middle)
      await writePart(middle, until)
    }
  }
  if (rows.rows > 0) await writePart(0, rows.rows)
  return refused
}

/**
 * What is refused for another reason than its rows, such as a table that is gone or a right that is missing, is
 * for a person to mend while the batch waits: neither its rows nor the program are at fault.
 */
function worthWaiting(error: unknown, table: string): unknown {
  if (!isRowmillError(error, 'WAREHOUSE_REFUSED')) return error
  return new RowmillError(
    'WAREHOUSE_UNAVAILABLE',
    `ClickHouse takes no rows into ${table} at present: ${String(error.details.name)}.`,
    { cause: error, details: error.details },
  )
}

/**
 * `<table>/<topic>/<partition>/<from>-<until>/<rows>`, after a reset `/reset-<n>`, and for a part its rows. The
 * number of rows is there for what a live option or the time of day may change between two tries: rows that are
 * new must not be ignored, even if others come twice then.
 */
function tokenOf({ table, batch, resets = 0, rows }: RowsToWrite, from: number, until: number): string {
  const range = `${table}/${batch.topic}/${batch.partition}/${batch.from}-${batch.until}/${rows.rows}`
  const named = resets === 0 ? range : `${range}/reset-${resets}`
  return until - from === rows.rows ? named : `${named}/${from}-${until}`
}

/** Whether ClickHouse refused a row for what is in it: no other attempt would help. */
export function isDataError(error: unknown): boolean {
  return isRowmillError(error, 'WAREHOUSE_REFUSED') && dataErrorCodes.has(Number(error.details.code))
}

/** Rows by columns are Native whatever the storage says, and others are JSON where it says Native. */
function formatOf({ columns }: RowBuffer, format: RowFormat): RowFormat {
  if (columns !== undefined) return 'Native'
  return format === 'Native' ? 'JSONEachRow' : format
}

/**
 * The columns that an insert must name: those that the rows bring and the table has, or for RowBinary all that are
 * written, in the order of the table. Rows in JSON name their own.
 */
export function insertColumns(
  table: Pick<StorageTable, 'columns'>,
  { format, rows }: { format: RowFormat; rows: RowBuffer },
): string[] | undefined {
  if (rows.columns === undefined) return format === 'RowBinary' ? writtenColumns(table) : undefined
  const known = new Set(table.columns.map(({ name }) => name))
  return rows.columns.filter((name) => known.has(name))
}

/** In the order of the table; computed columns are not written. */
export function writtenColumns(table: Pick<StorageTable, 'columns'>): string[] {
  return table.columns
    .filter(({ materialized, alias }) => materialized === undefined && alias === undefined)
    .map(({ name }) => name)
}
