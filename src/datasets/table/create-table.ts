/** The statements that create a table: on one node, or on every node of a cluster with a table over all shards. */
import type { StorageTable, TableColumn, TableEngine, TableIndex } from '../storage/storage.ts'

export type TablePlace = {
  /** Without it the table is created where the connection looks for unqualified ones. */
  database?: string | undefined
  /** `name` as the servers know it; `set` is the storage's, which names the paths of replication. */
  cluster?: { name: string; set: string } | undefined
}

/** One or two statements, in order. What exists already is left as it is. */
export function createTableStatements(table: StorageTable, place: TablePlace = {}): string[] {
  const { cluster } = place
  const parts = [
    ...table.columns.map(columnText),
    ...table.indices.map((index) => `INDEX ${indexText(index)}`),
  ]
  const local = [
    `CREATE TABLE IF NOT EXISTS ${placedName(table.name, place)} (\n    ${parts.join(',\n    ')}\n)`,
    `ENGINE = ${engineText(table, place)}`,
    ...(table.partitionBy.length > 0 ? [`PARTITION BY ${keyText(table.partitionBy)}`] : []),
    ...(table.primaryKey.length > 0 ? [`PRIMARY KEY ${keyText(table.primaryKey)}`] : []),
    `ORDER BY ${keyText(table.orderBy)}`,
    ...(table.sampleBy === undefined ? [] : [`SAMPLE BY ${table.sampleBy}`]),
    ...(table.ttl === undefined ? [] : [`TTL ${table.ttl}`]),
    `SETTINGS ${settingTexts(table, { isReplicated: cluster !== undefined }).join(', ')}`,
  ].join('\n')
  const { distributed } = table
  if (cluster === undefined || distributed === undefined) return [local]
  return [local, createDistributed(table, { ...place, cluster: cluster.name, ...distributed })]
}

/** `db.table ON CLUSTER c`: how every statement about the table names it. */
export function placedName(name: string, { database, cluster }: TablePlace): string {
  const full = database === undefined ? identifier(name) : `${identifier(database)}.${identifier(name)}`
  return cluster === undefined ? full : `${full} ON CLUSTER ${identifier(cluster.name)}`
}

/** An identifier in backticks. */
export function identifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}

export function columnText(column: TableColumn): string {
  const { name, type, codec, ttl } = column
  const kinds = { DEFAULT: column.default, MATERIALIZED: column.materialized, ALIAS: column.alias }
  const computed = Object.entries(kinds).flatMap(([kind, expression]) =>
    expression === undefined ? [] : [`${kind} ${expression}`],
  )
  const codecText = codec === undefined ? [] : [`CODEC(${codec})`]
  return [
    identifier(name),
    type,
    ...computed,
    ...codecText,
    ...(ttl === undefined ? [] : [`TTL ${ttl}`]),
  ].join(' ')
}

function indexText({ name, expression, type, granularity }: TableIndex): string {
  return `${identifier(name)} ${expression} TYPE ${type} GRANULARITY ${granularity}`
}

function keyText(parts: readonly string[]): string {
  return parts.length === 1 ? parts.join('') : `(${parts.join(', ')})`
}

function engineText(table: StorageTable, place: TablePlace): string {
  const columns = engineColumns(table.engine).map(identifier)
  if (place.cluster === undefined) return `${table.engine.kind}(${columns.join(', ')})`
  const path = `/clickhouse/tables/${place.cluster.set}/{shard}/${place.database ?? '{database}'}/${table.name}`
  return `Replicated${table.engine.kind}(${[quoted(path), quoted('{replica}'), ...columns].join(', ')})`
}

function engineColumns(engine: TableEngine): string[] {
  if (engine.kind === 'CollapsingMergeTree') return [engine.sign]
  if (engine.kind !== 'ReplacingMergeTree' || engine.version === undefined) return []
  return engine.isDeleted === undefined ? [engine.version] : [engine.version, engine.isDeleted]
}

/** Of a replicated table: ClickHouse forgets tokens after an hour, and a warehouse may be away for longer. */
export const tokenSeconds = { name: 'replicated_deduplication_window_seconds', value: 604_800 }

function settingTexts(table: StorageTable, { isReplicated }: { isReplicated: boolean }): string[] {
  const windows = isReplicated
    ? { replicated_deduplication_window: table.dedupWindow, [tokenSeconds.name]: tokenSeconds.value }
    : { non_replicated_deduplication_window: table.dedupWindow }
  return Object.entries({ ...table.settings, ...windows }).map(
    ([key, value]) => `${key} = ${typeof value === 'number' ? value : quoted(value)}`,
  )
}

type Distribution = { database?: string | undefined; cluster: string; name: string; shardingKey: string }

/** The table over all shards knows names and types, and what an alias is made of; the rest is the local table's. */
function createDistributed(
  table: StorageTable,
  { cluster, name, shardingKey, database }: Distribution,
): string {
  const full = database === undefined ? identifier(name) : `${identifier(database)}.${identifier(name)}`
  const columns = table.columns.map((column) => columnText({ ...column, codec: undefined, ttl: undefined }))
  const from = database === undefined ? 'currentDatabase()' : identifier(database)
  return `CREATE TABLE IF NOT EXISTS ${full} ON CLUSTER ${identifier(cluster)} (\n    ${columns.join(',\n    ')}\n)
ENGINE = Distributed(${identifier(cluster)}, ${from}, ${identifier(table.name)}, ${shardingKey})`
}

/** A text as ClickHouse reads it in a statement. */
export function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
