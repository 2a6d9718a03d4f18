import { migrateWarehouse } from '../adapters/clickhouse/migrations.ts'
import { loadMigrations } from '../adapters/migration-files.ts'
import { migrateDatabase } from '../adapters/postgres/migrations.ts'
import { RowmillError } from '../errors/rowmill-error.ts'
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
  await refuseForeignTables(database, warehouse)
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

/** Rowmill's tables have PostHog's names: a database that PostHog has made must not be taken for its own. */
async function refuseForeignTables(database: Database, warehouse: Warehouse | undefined): Promise<void> {
  const [found] = await database.query<{ foreign: boolean }>(
    `select to_regclass('posthog_team') is not null and to_regclass('rowmill_migration') is null as foreign`,
  )
  if (found?.foreign === true)
    throw new RowmillError(
      'CONFIG_INVALID',
      'The database of DATABASE_URL (database.url) has tables of PostHog that Rowmill has not made; name a database of its own, such as the same URL with /rowmill at its end. Nothing was changed.',
    )
  if (warehouse === undefined) return
  const [tables] = await warehouse.query<{ foreign: string }>(
    `select countIf(name in ('events', 'sharded_events', 'person')) > 0 and countIf(name = 'schema_migrations') = 0 as foreign
     from system.tables where database = currentDatabase()`,
  )
  if (Number(tables?.foreign) === 1)
    throw new RowmillError(
      'CONFIG_INVALID',
      `The database ${warehouse.database} of CLICKHOUSE_DATABASE (warehouse.database) has tables that Rowmill has not made; name a database of its own, such as rowmill. Nothing was changed.`,
    )
}
