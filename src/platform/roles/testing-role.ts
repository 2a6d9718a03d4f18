import assert from 'node:assert/strict'
import { openWarehouse } from '../../adapters/clickhouse/warehouse.ts'
import { readStorages } from '../../datasets/storage/read-storage.ts'
import { createNamespaces } from '../../datasets/testing/namespaces.ts'
import { createTestingRoutes } from '../../datasets/testing/testing.ts'
import type { Route } from '../../http/route.ts'
import { cacheOf, logOf, type StopSignals, type World } from '../world.ts'
import type { LiveOf } from './consumer-role.ts'

/** The routes under `/tests/`. Databases of namespaces are opened when they are first asked for. */
export async function openTestingRole(
  world: World,
  options: { liveOf: LiveOf; signals: StopSignals },
): Promise<AsyncDisposable & { routes: Route[] }> {
  const { consumer, warehouse: warehouseConfig } = world.config
  const storages = await readStorages({ files: consumer.storageFiles, folders: consumer.storageFolders })
  const byName = new Map(storages.map((storage) => [storage.name, storage]))
  const connection = world.engines.connections.warehouse
  assert(connection !== undefined, 'the routes for tests have a warehouse')
  const namespaces = createNamespaces(
    (database) => openWarehouse(world, { ...warehouseConfig, ...connection, database }),
    consumer.testing,
  )
  const ports = {
    ...world,
    log: logOf(world),
    cache: cacheOf(world),
    namespaces,
    findStorage: async (name: string) => byName.get(name),
  }
  const { replacer, processor, testing } = consumer
  return {
    routes: createTestingRoutes(ports, testing, {
      replacer,
      processor,
      live: options.liveOf,
      signal: options.signals.abort,
    }),
    [Symbol.asyncDispose]: () => namespaces[Symbol.asyncDispose](),
  }
}
