/** What must be there before a storage is filled: its topics, its tables, and in them what is written. */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Log, TopicSpec } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Storage, StorageTable } from '../storage/storage.ts'
import { createTableStatements } from '../table/create-table.ts'
import { writtenColumns } from './write-rows.ts'

export type TopicDefaults = { partitions: number; retentionMs: number; deadLetterRetentionMs: number }

/** Creates those of a storage's topics that do not exist. The others stay as they are. */
export async function ensureStorageTopics(
  log: Pick<Log, 'describe' | 'ensureTopics'>,
  { stream }: Storage,
  { partitions, retentionMs, deadLetterRetentionMs }: TopicDefaults,
): Promise<void> {
  const known = new Set((await log.describe()).map(({ name }) => name))
  const wanted: TopicSpec[] = []
  const want = (name: string | undefined, ms = retentionMs, count = 1) => {
    if (name !== undefined && !known.has(name)) wanted.push({ name, partitions: count, retentionMs: ms })
  }
  want(stream.topic, retentionMs, partitions)
  want(stream.commitLogTopic)
  want(stream.replacementTopic)
  want(stream.dlqTopic, deadLetterRetentionMs)
  await log.ensureTopics(wanted)
}

/**
 * Creates missing tables if it may, and fails with `TABLE_MISMATCH` where a table or a written column is
 * missing then.
 */
export async function prepareTables(
  warehouse: Warehouse,
  storage: Storage,
  { createsTables }: { createsTables: boolean },
): Promise<void> {
  for (const table of storage.tables) {
    if (createsTables)
      for (const statement of createTableStatements(table)) await warehouse.command(statement)
    await checkTable(warehouse, storage, table)
  }
}

async function checkTable(warehouse: Warehouse, storage: Storage, table: StorageTable): Promise<void> {
  const columns = await warehouse.query<{ name: string }>(
    'SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}',
    { parameters: { database: warehouse.database, table: table.name } },
  )
  if (columns.length === 0)
    throw mismatch(`The table ${table.name} of the storage ${storage.name} does not exist`, storage)
  const live = new Set(columns.map(({ name }) => name))
  const missing = writtenColumns(table).filter((name) => !live.has(name))
  if (missing.length > 0)
    throw mismatch(
      `The table ${table.name} lacks ${missing.join(', ')}, which the storage ${storage.name} writes`,
      storage,
    )
}

function mismatch(what: string, { name }: Storage): RowmillError {
  return new RowmillError(
    'TABLE_MISMATCH',
    `${what}. "rowmill storage diff ${name}" shows what differs, with --apply it is mended.`,
  )
}
