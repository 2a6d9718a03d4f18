/**
 * Opens the relational store and the warehouse, as far as the roles need them: those that the config names, those
 * of a running Rowmill on the same data folder, or embedded ones that this process runs and watches.
 */
import type { Database } from '../ports/database.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Config } from './config/config.ts'
import { openDatabaseOf } from './engines/database.ts'
import { openWarehouseOf } from './engines/warehouse.ts'
import type { Ground } from './ground.ts'
import type { EngineName } from './needs.ts'
import type { RunFile } from './run-file.ts'

export type Engines = AsyncDisposable & {
  /** Undefined where no role of this process needs it. */
  database: Database | undefined
  warehouse: Warehouse | undefined
  /** How other commands on this machine reach the same engines. */
  connections: Pick<RunFile, 'databaseUrl' | 'warehouse'>
}

export type OpenOptions = {
  needs: ReadonlySet<EngineName>
  running?: RunFile | undefined
  /** Runs on a warehouse that is started here as soon as it is up, while the relational store still starts. */
  prepareOwnWarehouse?: (warehouse: Warehouse) => Promise<void>
  signal?: AbortSignal
}

export async function openEngines(ground: Ground, config: Config, options: OpenOptions): Promise<Engines> {
  const { needs, running, prepareOwnWarehouse, signal } = options
  await using stack = new AsyncDisposableStack()
  const failures: unknown[] = []
  const open = async <T extends AsyncDisposable>(
    engine: EngineName,
    opening: () => Promise<T>,
  ): Promise<T | undefined> => {
    if (!needs.has(engine)) return undefined
    try {
      return stack.use(await opening())
    } catch (error) {
      failures.push(error)
      return undefined
    }
  }
  const [database, warehouse] = await Promise.all([
    open('database', () => openDatabaseOf(ground, config, { running, signal })),
    open('warehouse', () =>
      openWarehouseOf(ground, config, { running, prepareOwn: prepareOwnWarehouse, signal }),
    ),
  ])
  if (failures.length > 0) throw failures[0]
  const owned = stack.move()
  return {
    database: database?.database,
    warehouse: warehouse?.warehouse,
    connections: {
      ...(database === undefined ? {} : { databaseUrl: database.url }),
      ...(warehouse === undefined ? {} : { warehouse: warehouse.connection }),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
