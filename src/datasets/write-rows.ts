/**
 * Inserts the rows of a batch once, and finds those that the warehouse refuses.
 *
 * The insert carries a token made of dataset, place and offset range, so a batch that is read again after a
 * crash writes nothing twice. If ClickHouse refuses the rows because of what is in them, they are cut in
 * halves until the bad ones stand alone; each part has a token of its own range. The cuts follow from the
 * range alone, so a crash in the middle repeats the same parts with the same tokens.
 */
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { LogBatch } from '../ports/log.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { RowBuffer } from './row-buffer.ts'

export type RowsToWrite = {
  /** Names the dataset in the token. */
  dataset: string
  table: string
  batch: LogBatch
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

/** Resolves when all rows but the refused ones are in the warehouse. */
export async function writeRows(
  warehouse: Warehouse,
  write: RowsToWrite,
  options: { signal: AbortSignal },
): Promise<RefusedRow[]> {
  const refused: RefusedRow[] = []
  const { rows } = write
  const writePart = async (from: number, until: number): Promise<void> => {
    try {
      await warehouse.insert({
        table: write.table,
        format: 'JSONEachRow',
        body: rows.slice(from, until),
        token: tokenOf(write, from, until),
        settings: insertSettings,
        signal: options.signal,
      })
    } catch (error) {
      if (!isDataError(error)) throw error
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

/** `<dataset>/<topic>/<partition>/<from>-<until>`, and for a part its rows. */
function tokenOf({ dataset, batch, rows }: RowsToWrite, from: number, until: number): string {
  const range = `${dataset}/${batch.topic}/${batch.partition}/${batch.from}-${batch.until}`
  return until - from === rows.rows ? range : `${range}/${from}-${until}`
}

export function isDataError(error: unknown): boolean {
  return isRowmillError(error, 'WAREHOUSE_REFUSED') && dataErrorCodes.has(Number(error.details.code))
}
