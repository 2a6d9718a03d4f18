/**
 * Brings the warehouse's tables up to date. ClickHouse has no transactions around DDL: a file that was cut
 * off in the middle is run again from its beginning, so its statements must allow that (IF NOT EXISTS). The
 * caller holds a lock.
 *
 * On a cluster every statement goes to all nodes, and what was applied is known on all of them. A node that has
 * not heard of the last one yet makes it run again, which changes nothing.
 */
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Migration } from '../migration-files.ts'
import { clusterStatements } from './cluster/cluster-statements.ts'
import { clusterOf } from './warehouse.ts'

type Applied = { version: number; name: string; checksum: string; is_breaking: number }

const bookkeeping = `CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32, name String, checksum String, is_breaking UInt8, applied_at DateTime64(3) DEFAULT now64(3)
  ) ENGINE = ReplacingMergeTree ORDER BY version
  SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`

type Place = { database: string; cluster: string | undefined }

function placed(statement: string, { database, cluster }: Place): string[] {
  return cluster === undefined ? [statement] : clusterStatements(statement, { cluster, database })
}

/**
 * Applies what is missing of `files`, by number, and answers the names. Fails with `MIGRATION_FAILED` when
 * what was applied before differs from the files, when a breaking one is unknown here, or when a statement
 * is refused.
 */
export async function migrateWarehouse(
  warehouse: Warehouse,
  options: { files: readonly Migration[]; logger: Logger },
): Promise<string[]> {
  const { files, logger } = options
  const place = { database: warehouse.database, cluster: clusterOf(warehouse) }
  for (const statement of placed(bookkeeping, place)) await warehouse.command(statement)
  const applied = await warehouse.query<Applied>(
    'SELECT version, name, checksum, is_breaking FROM schema_migrations FINAL ORDER BY version',
  )
  checkHistory(files, applied)
  const known = new Set(applied.map((row) => row.version))
  const names: string[] = []
  for (const file of files.filter((one) => !known.has(one.version))) {
    await apply(warehouse, file, place)
    names.push(file.name)
    logger.info({ migration: file.name }, 'A migration of the warehouse was applied.')
  }
  return names
}

function checkHistory(files: readonly Migration[], applied: readonly Applied[]): void {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  for (const row of applied) {
    const file = byVersion.get(row.version)
    if (file === undefined && row.is_breaking === 1)
      throw new RowmillError(
        'MIGRATION_FAILED',
        `The warehouse has the migration ${row.name}, which this version of Rowmill cannot work with; start a newer one.`,
      )
    if (file !== undefined && file.checksum !== row.checksum)
      throw new RowmillError(
        'MIGRATION_FAILED',
        `The migration ${file.name} differs from what was applied to the warehouse; restore it and add a new one.`,
      )
  }
  const last = Math.max(0, ...applied.map((row) => row.version))
  const known = new Set(applied.map((row) => row.version))
  const late = files.find((file) => file.version < last && !known.has(file.version))
  if (late !== undefined)
    throw new RowmillError(
      'MIGRATION_FAILED',
      `The migration ${late.name} has a lower number than one that was applied; give it the next free number.`,
    )
}

async function apply(warehouse: Warehouse, file: Migration, place: Place): Promise<void> {
  for (const [index, statement] of splitStatements(file.sql).entries()) {
    try {
      for (const one of placed(statement, place)) await warehouse.command(one)
    } catch (error) {
      if (isRowmillError(error, 'WAREHOUSE_UNAVAILABLE')) throw error
      throw new RowmillError(
        'MIGRATION_FAILED',
        `Statement ${index + 1} of the migration ${file.name} was refused.`,
        {
          cause: error,
        },
      )
    }
  }
  const row = {
    version: file.version,
    name: file.name,
    checksum: file.checksum,
    is_breaking: Number(file.isBreaking),
  }
  await warehouse.insert({
    table: 'schema_migrations',
    format: 'JSONEachRow',
    columns: ['version', 'name', 'checksum', 'is_breaking'],
    body: Buffer.from(`${JSON.stringify(row)}\n`),
  })
}

/** The statements of a file: each ends with a `;` at the end of a line. Pieces of comments alone are left out. */
export function splitStatements(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .map((piece) => piece.trim())
    .filter((piece) => piece.replace(/^\s*--.*$/gm, '').trim() !== '')
}
