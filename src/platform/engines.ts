/**
 * Opens the relational store and the warehouse: those that the config names, those of a running Rowmill on
 * the same data folder, or embedded ones that this process runs and watches.
 */
import { join } from 'node:path'
import { openWarehouse } from '../adapters/clickhouse/warehouse.ts'
import { openManagedChdb } from '../adapters/embedded/chdb/managed-chdb.ts'
import { openManagedPostgres } from '../adapters/embedded/postgres/managed-postgres.ts'
import { openDatabase } from '../adapters/postgres/database.ts'
import type { Database } from '../ports/database.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import { Secret } from '../std/secret.ts'
import type { Config } from './config/config.ts'
import type { Ground } from './ground.ts'
import type { RunFile } from './run-file.ts'

export type Engines = AsyncDisposable & {
  database: Database
  warehouse: Warehouse
  logDirectory: string
  /** How other commands on this machine reach the same engines. */
  connections: Pick<RunFile, 'databaseUrl' | 'warehouse'>
}

export type OpenOptions = {
  running?: RunFile | undefined
  /** Runs on a warehouse that is started here as soon as it is up, while the relational store still starts. */
  prepareOwnWarehouse?: (warehouse: Warehouse) => Promise<void>
}

export async function openEngines(
  ground: Ground,
  config: Config,
  options: OpenOptions = {},
): Promise<Engines> {
  await using stack = new AsyncDisposableStack()
  const opening = await Promise.allSettled([
    openDatabaseOf(ground, config, options.running).then((opened) => stack.use(opened)),
    openWarehouseOf(ground, config, options).then((opened) => stack.use(opened)),
  ])
  const failed = opening.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const [database, warehouse] = opening.map((result) =>
    result.status === 'fulfilled' ? result.value : undefined,
  ) as [OpenedDatabase, OpenedWarehouse]
  const owned = stack.move()
  return {
    database: database.database,
    warehouse: warehouse.warehouse,
    logDirectory: join(config.dataDir, 'log'),
    connections: { databaseUrl: database.url, warehouse: warehouse.connection },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

type OpenedDatabase = AsyncDisposable & { database: Database; url: string }

async function openDatabaseOf(
  ground: Ground,
  config: Config,
  running: RunFile | undefined,
): Promise<OpenedDatabase> {
  await using stack = new AsyncDisposableStack()
  const url =
    config.database.url?.reveal() ??
    running?.databaseUrl ??
    stack.use(
      await openManagedPostgres(ground, { ...config.postgres, directory: join(config.dataDir, 'postgres') }),
    ).connectionString
  const database = stack.use(await openDatabase(ground, { ...config.database, url: new Secret(url) }))
  const owned = stack.move()
  return { database, url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

type OpenedWarehouse = AsyncDisposable & { warehouse: Warehouse; connection: RunFile['warehouse'] }

async function openWarehouseOf(
  ground: Ground,
  config: Config,
  { running, prepareOwnWarehouse }: OpenOptions,
): Promise<OpenedWarehouse> {
  await using stack = new AsyncDisposableStack()
  const connection = await warehouseConnection(ground, { config, running, stack })
  const warehouse = stack.use(await openWarehouse(ground, { ...config.warehouse, ...connection }))
  const isOwn = config.warehouse.url === undefined && running === undefined
  if (isOwn) await prepareOwnWarehouse?.(warehouse)
  const owned = stack.move()
  return { warehouse, connection, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

type ConnectionOptions = { config: Config; running: RunFile | undefined; stack: AsyncDisposableStack }

async function warehouseConnection(
  ground: Ground,
  { config, running, stack }: ConnectionOptions,
): Promise<RunFile['warehouse']> {
  const { url, user, password, database, isSecure } = config.warehouse
  if (url !== undefined)
    return { url: completeUrl(url, isSecure), user, password: password?.reveal() ?? '', database }
  if (running !== undefined) return running.warehouse
  const managed = stack.use(
    await openManagedChdb(ground, { ...config.chdb, directory: join(config.dataDir, 'clickhouse') }),
  )
  return { url: managed.url, user: managed.user, password: managed.password, database }
}

/** `ch.example` and `ch.example:8123` become URLs; ClickHouse's HTTP ports are 8123 and 8443. */
function completeUrl(text: string, isSecure: boolean): string {
  if (/^https?:\/\//.test(text)) return text
  const port = /:\d+$/.test(text) ? '' : isSecure ? ':8443' : ':8123'
  return `${isSecure ? 'https' : 'http'}://${text}${port}`
}
