import { migrateWarehouse } from '../adapters/clickhouse/migrations.ts'
import { loadMigrations } from '../adapters/migration-files.ts'
import { migrateDatabase } from '../adapters/postgres/migrations.ts'
import type { Database } from '../ports/database.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Logger } from '../telemetry/logger.ts'

const folders = {
  postgres: new URL('../../sql/postgres/', import.meta.url),
  clickhouse: new URL('../../sql/clickhouse/', import.meta.url),
}

/** Names of the migrations that were applied now. Any number of processes may do this at once. */
export type AppliedMigrations = { database: string[]; warehouse: string[] }

/** For a warehouse that this process has just started and nobody else can reach yet: no lock, no relational store. */
export async function migrateOwnWarehouse(warehouse: Warehouse, logger: Logger): Promise<void> {
  await migrateWarehouse(warehouse, { files: await loadMigrations(folders.clickhouse), logger })
}

export async function migrateEngines(engines: {
  database: Database
  warehouse: Warehouse | undefined
  logger: Logger
}): Promise<AppliedMigrations> {
  const { database, warehouse, logger } = engines
  const inDatabase = await migrateDatabase(database, {
    files: await loadMigrations(folders.postgres),
    logger,
  })
  if (warehouse === undefined) return { database: inDatabase, warehouse: [] }
  const files = await loadMigrations(folders.clickhouse)
  const inWarehouse = await database.withLock('migrate-warehouse', () =>
    migrateWarehouse(warehouse, { files, logger }),
  )
  return { database: inDatabase, warehouse: inWarehouse }
}
