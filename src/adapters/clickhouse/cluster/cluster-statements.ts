/**
 * The statements of Rowmill's migrations as a cluster needs them. The migrations are written for one server; here
 * each becomes one or two statements that are ON CLUSTER, so that every node has every table:
 *
 * - A table that is cut into shards becomes `sharded_<table>`, replicated within its shard, and `<table>`,
 *   Distributed over all of them, for reads and writes.
 * - Any other table is replicated on all nodes alike.
 * - A view is made everywhere; what it joins is there on each node.
 *
 * Only what migrations say is understood; a test holds every one of them against it.
 */
import { RowmillError } from '../../../errors/rowmill-error.ts'
import { replicationOf, shardingKeyOf, shardTable } from './layout.ts'

const createTable =
  /^create\s+table\s+if\s+not\s+exists\s+(\w+)\s*(\([\s\S]*\))\s*engine\s*=\s*(\w*MergeTree)(?:\(([^()]*)\))?([\s\S]*)$/i
const createView = /^create\s+view\s+if\s+not\s+exists\s+(\w+)\s+as\s+([\s\S]*)$/i
const alterTable = /^alter\s+table\s+(\w+)\s+([\s\S]*)$/i
const ownWindow = /\bnon_replicated_deduplication_window( = \d+)/g
/** ClickHouse's own limit of time has become an hour; a warehouse may be away for longer before an insert is repeated. */
const keeperWindow = 'replicated_deduplication_window$1, replicated_deduplication_window_seconds = 604800'

export type ClusterPlace = { cluster: string; database: string }

/**
 * Every table is named with its database: a node that is told to make one does not know where we are. Fails with
 * `MIGRATION_FAILED` for a statement of another kind.
 */
export function clusterStatements(statement: string, place: ClusterPlace): string[] {
  // Comments above a statement say why; what is left of it is the statement.
  const text = statement.replace(/^(\s*--.*\n)+/, '').trim()
  const table = createTable.exec(text)
  if (table !== null) return tableStatements(table, place)
  const view = createView.exec(text)
  if (view !== null) return [viewStatement(view, place)]
  const alter = alterTable.exec(text)
  if (alter !== null) return alterStatements(alter, place)
  throw new RowmillError(
    'MIGRATION_FAILED',
    `A statement of a migration cannot be run on a cluster: ${text.slice(0, 60)}…`,
  )
}

/** `db.table ON CLUSTER c` */
function everywhere(name: string, { cluster, database }: ClusterPlace): string {
  return `${backticked(database)}.${name} on cluster ${backticked(cluster)}`
}

function tableStatements(found: RegExpExecArray, place: ClusterPlace): string[] {
  const [, name = '', columns = '', engine = '', engineArguments = '', rest = ''] = found
  const key = shardingKeyOf(name)
  const { path, replica } = replicationOf(name)
  const given = [`'${path}'`, `'${replica}'`, engineArguments.trim()].filter((part) => part !== '')
  const local = key === undefined ? name : shardTable(name)
  const behind = rest.replace(ownWindow, keeperWindow)
  return [
    `create table if not exists ${everywhere(local, place)} ${columns} engine = Replicated${engine}(${given.join(', ')})${behind}`,
    ...(key === undefined ? [] : [overAllShards('create table if not exists', { name, key, place })]),
  ]
}

type OverAll = { name: string; key: string; place: ClusterPlace }

/** The columns are taken from the shard's table; indices, codecs and TTLs stay there. */
function overAllShards(create: string, { name, key, place }: OverAll): string {
  const local = shardTable(name)
  const { cluster, database } = place
  return `${create} ${everywhere(name, place)} as ${backticked(database)}.${local} engine = Distributed(${backticked(cluster)}, ${backticked(database)}, ${local}, ${key})`
}

function viewStatement(found: RegExpExecArray, place: ClusterPlace): string {
  const [, name = '', select = ''] = found
  const named = select.replace(/\b(from|join)(\s+)(\w+)\b/gi, `$1$2${backticked(place.database)}.$3`)
  return `create view if not exists ${everywhere(name, place)} as ${named}`
}

/** A table over all shards holds nothing, so it is made anew with the columns that the shards have then. */
function alterStatements(found: RegExpExecArray, place: ClusterPlace): string[] {
  const [, name = '', change = ''] = found
  const key = shardingKeyOf(name)
  const text = change.replace(ownWindow, keeperWindow)
  if (key === undefined) return [`alter table ${everywhere(name, place)} ${text}`]
  return [
    `alter table ${everywhere(shardTable(name), place)} ${text}`,
    overAllShards('create or replace table', { name, key, place }),
  ]
}

const mutation = /^\s*alter\s+table\s+`?(\w+)`?\s+((?:delete|update)\s[\s\S]*)$/i

/**
 * A statement of the running program: `ALTER TABLE … DELETE` and `UPDATE` of a table over all shards go to the
 * tables behind it. Everything else is as it was.
 */
export function clusterCommand(sql: string, place: ClusterPlace): string {
  const [, name = '', change = ''] = mutation.exec(sql) ?? []
  if (shardingKeyOf(name) === undefined) return sql
  return `alter table ${everywhere(shardTable(name), place)} ${change}`
}

function backticked(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}
