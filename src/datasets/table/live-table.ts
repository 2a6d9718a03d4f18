/** A table as ClickHouse describes it: all types and expressions in ClickHouse's own formatting. */
import type { Warehouse } from '../../ports/warehouse.ts'
import { cutAtLast, firstBrackets, splitList, unbracketed } from './scan.ts'

export type LiveTable = {
  name: string
  /** Without `Replicated` or `Shared` in front, and without the path and replica that those take. */
  engine: string
  isReplicated: boolean
  partitionBy: string
  orderBy: string
  primaryKey: string
  sampleBy: string
  ttl: string
  columns: readonly LiveColumn[]
  indices: readonly LiveIndex[]
  /** Values as SQL text. */
  settings: ReadonlyMap<string, string>
}

/** Empty text for what a column does not have. */
export type LiveColumn = {
  name: string
  type: string
  /** `DEFAULT 1`, `MATERIALIZED a + 1` */
  computed: string
  /** `CODEC(ZSTD(1))` */
  codec: string
  ttl: string
  /** Part of the partition, sorting, primary or sampling key. */
  isInKey: boolean
}

export type LiveIndex = { name: string; expression: string; type: string; granularity: number }

type Source = { database: string; name: string; signal: AbortSignal | undefined }

/** Nothing where there is no such table. */
export async function readLiveTable(
  warehouse: Warehouse,
  name: string,
  options: { database?: string; signal?: AbortSignal } = {},
): Promise<LiveTable | undefined> {
  const source = { name, database: options.database ?? warehouse.database, signal: options.signal }
  const [found] = await ask<TableRow>(warehouse, source, tableSql)
  if (found === undefined) return undefined
  const columns = await ask<ColumnRow>(warehouse, source, columnSql)
  const indices = await ask<IndexRow>(warehouse, source, indexSql)
  const ttls = columnTtls(found.create_table_query)
  const { before, behind } = cutAtLast(found.engine_full, 'SETTINGS')
  return {
    name,
    ...engineOf(found),
    partitionBy: unbracketed(found.partition_key),
    orderBy: unbracketed(found.sorting_key),
    primaryKey: unbracketed(found.primary_key),
    sampleBy: unbracketed(found.sampling_key),
    ttl: cutAtLast(before, 'TTL').behind ?? '',
    columns: columns.map((column) => ({
      name: column.name,
      type: column.type,
      computed: `${column.default_kind} ${column.default_expression}`.trim(),
      codec: column.compression_codec,
      ttl: ttls.get(column.name) ?? '',
      isInKey: Number(column.is_in_key) > 0,
    })),
    indices: indices.map(({ name: index, expression, type, granularity }) => ({
      name: index,
      expression: unbracketed(expression),
      type,
      granularity: Number(granularity),
    })),
    settings: new Map(splitList(behind ?? '').map(settingOf)),
  }
}

type TableRow = {
  engine: string
  engine_full: string
  create_table_query: string
  partition_key: string
  sorting_key: string
  primary_key: string
  sampling_key: string
}
type ColumnRow = {
  name: string
  type: string
  default_kind: string
  default_expression: string
  compression_codec: string
  is_in_key: string
}
type IndexRow = { name: string; expression: string; type: string; granularity: string }

const tableSql = `SELECT engine, engine_full, create_table_query, partition_key, sorting_key, primary_key, sampling_key
  FROM system.tables WHERE database = {database:String} AND name = {name:String}`
const columnSql = `SELECT name, type, default_kind, default_expression, compression_codec,
    toString(is_in_partition_key + is_in_sorting_key + is_in_primary_key + is_in_sampling_key) AS is_in_key
  FROM system.columns WHERE database = {database:String} AND table = {name:String} ORDER BY position`
// Indices of this name are ClickHouse's own, made by a setting of the table.
const indexSql = `SELECT name, expr AS expression, type_full AS type, toString(granularity) AS granularity
  FROM system.data_skipping_indices
  WHERE database = {database:String} AND table = {name:String} AND NOT startsWith(name, 'auto_minmax_index_')
  ORDER BY name`

function ask<Row extends object>(warehouse: Warehouse, source: Source, sql: string): Promise<Row[]> {
  const { database, name, signal } = source
  return warehouse.query<Row>(sql, {
    parameters: { database, name },
    ...(signal === undefined ? {} : { signal }),
  })
}

function engineOf({ engine, engine_full: full }: TableRow): Pick<LiveTable, 'engine' | 'isReplicated'> {
  const kind = engine.replace(/^(Replicated|Shared)/, '')
  const isReplicated = kind !== engine
  const inside = full.startsWith(`${engine}(`) ? splitList(firstBrackets(full) ?? '') : []
  const own = isReplicated && inside[0]?.startsWith("'") === true ? inside.slice(2) : inside
  return { engine: `${kind}(${own.join(', ')})`, isReplicated }
}

/** No system table tells the TTL of a column; the statement does, at the end of what it says of the column. */
function columnTtls(statement: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of splitList(firstBrackets(statement) ?? '')) {
    const name = /^`((?:[^`\\]|\\.)*)`/.exec(part)?.[1]
    const ttl = cutAtLast(part, 'TTL').behind
    if (name !== undefined && ttl !== undefined) found.set(name.replaceAll(/\\(.)/g, '$1'), ttl)
  }
  return found
}

function settingOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
