import type { Readable } from 'node:stream'

/**
 * The columnar store: ClickHouse, spoken to in its own SQL over its HTTP interface.
 *
 * Parameters go as `{name:Type}` placeholders; nothing is ever spliced into SQL. Failures are
 * `RowmillError`s: `WAREHOUSE_UNAVAILABLE` (not reached, overloaded, out of memory or disk; a retry may
 * help) or `WAREHOUSE_REFUSED` (ClickHouse's `code` and `name` in `details`).
 */
export interface Warehouse extends AsyncDisposable {
  /** The database in which unqualified tables are looked up. */
  readonly database: string
  /**
   * All rows or none, except that on a cluster each shard takes its own part so. A second insert of the same rows
   * into the same table with the same `token` is accepted and ignored, by whichever host it goes, while the token is
   * among the table's last ones (`non_replicated_deduplication_window`). Without a token it is never repeated.
   */
  insert(insert: WarehouseInsert): Promise<{ rowsWritten: number }>
  /** Whole answer as objects. 64-bit integers arrive as strings. */
  query<Row extends object = Record<string, unknown>>(sql: string, options?: WarehouseQuery): Promise<Row[]>
  /** The answer's bytes in the given ClickHouse format, streamed. Destroying the stream cancels the query. */
  stream(sql: string, options: WarehouseQuery & { format: string }): Promise<Readable>
  /** A statement without an answer. */
  command(sql: string, options?: WarehouseQuery): Promise<void>
}

export type WarehouseInsert = {
  table: string
  format: 'JSONEachRow' | 'RowBinary' | 'Native'
  /** Encoded rows, concatenated. JSONEachRow: one row a line, no raw newline inside a row. */
  body: Buffer | readonly Buffer[]
  /** How the body is packed on its way. Default: none. */
  compression?: 'none' | 'lz4' | 'zstd'
  token?: string
  columns?: readonly string[]
  settings?: Readonly<Record<string, string | number>>
  signal?: AbortSignal
}

export type WarehouseQuery = {
  parameters?: Readonly<Record<string, unknown>>
  settings?: Readonly<Record<string, string | number>>
  signal?: AbortSignal
  queryId?: string
  /** Refuses everything that is not a read, and every way out of the warehouse (files, URLs, remotes). */
  isReadOnly?: boolean
}
