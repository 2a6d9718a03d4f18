import { join, resolve } from 'node:path'
import { readHosts } from '../../adapters/clickhouse/hosts.ts'
import { openWarehouse } from '../../adapters/clickhouse/warehouse.ts'
import { openManagedChdb } from '../../adapters/embedded/chdb/managed-chdb.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'
import type { RunFile } from '../run-file.ts'
import { openPatiently } from '../start/patience.ts'

type Connection = NonNullable<RunFile['warehouse']>
export type OpenedWarehouse = AsyncDisposable & { warehouse: Warehouse; connection: Connection }

export type OpenWarehouseOptions = {
  running?: RunFile | undefined
  /** Runs on a warehouse that is started here as soon as it is up. */
  prepareOwn?: ((warehouse: Warehouse) => Promise<void>) | undefined
  signal?: AbortSignal | undefined
}

/** The warehouse that the config names, that of a running Rowmill on the data folder, or one that is started here. */
export async function openWarehouseOf(
  ground: Ground,
  config: Config,
  { running, prepareOwn, signal }: OpenWarehouseOptions,
): Promise<OpenedWarehouse> {
  const open = (connection: Connection) => openWarehouse(ground, { ...config.warehouse, ...connection })
  const named = namedConnection(config) ?? running?.warehouse
  const { startWaitMs } = config
  if (named !== undefined) {
    const warehouse = await openPatiently(ground, () => open(named), {
      engine: 'ClickHouse',
      startWaitMs,
      signal,
    })
    return { warehouse, connection: named, [Symbol.asyncDispose]: () => warehouse[Symbol.asyncDispose]() }
  }
  await using stack = new AsyncDisposableStack()
  const directory = join(resolve(config.dataDir), 'clickhouse')
  const { url, user, password } = stack.use(await openManagedChdb(ground, { ...config.chdb, directory }))
  const connection = { url, user, password, database: config.warehouse.database }
  const warehouse = stack.use(await open(connection))
  await prepareOwn?.(warehouse)
  const owned = stack.move()
  return { warehouse, connection, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function namedConnection({ warehouse }: Pick<Config, 'warehouse'>): Connection | undefined {
  const { url, user, password, database, isSecure } = warehouse
  if (url === undefined) return undefined
  // Written out, because other commands read it without the settings.
  return { url: readHosts(url, { isSecure }).join(','), user, password: password?.reveal() ?? '', database }
}
