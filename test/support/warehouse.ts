/**
 * A warehouse for a test: a database of its own in one embedded ClickHouse that the test process starts when
 * it is first needed, or in the ClickHouse that ROWMILL_TEST_CLICKHOUSE_URL names.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { warehouseConfigSchema } from '../../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../../src/adapters/embedded/chdb/config.ts'
import { openManagedChdb } from '../../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import type { Warehouse } from '../../src/ports/warehouse.ts'
import { quietTelemetry } from './quiet.ts'

export type TestWarehouse = AsyncDisposable & {
  warehouse: Warehouse
  url: string
  user: string
  password: string
  database: string
}

type Server = { url: string; user: string; password: string }

let server: Promise<Server> | undefined
let databases = 0
const opened = new AsyncDisposableStack()
// Registered here and not inside a test, because there it would run at that test's end.
after(() => opened.disposeAsync())

/** Opens a warehouse with an empty database, dropped at the end. The host is stopped after the file's last test. */
export async function openTestWarehouse(): Promise<TestWarehouse> {
  server ??= openServer()
  const connection = await server
  const database = `test_${process.pid}_${++databases}`
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const config = { ...warehouseConfigSchema.parse({}), ...connection, database }
  const warehouse = await openWarehouse(ground, config)
  return {
    warehouse,
    ...connection,
    database,
    async [Symbol.asyncDispose]() {
      await warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)
      await warehouse[Symbol.asyncDispose]()
    },
  }
}

async function openServer(): Promise<Server> {
  const given = process.env.ROWMILL_TEST_CLICKHOUSE_URL
  if (given !== undefined) {
    const url = new URL(given)
    const server = { user: url.username || 'default', password: decodeURIComponent(url.password) }
    return { url: url.origin, ...server }
  }
  const directory = await mkdtemp(join(tmpdir(), 'rowmill-chdb-'))
  opened.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  const chdb = opened.use(
    await openManagedChdb(
      { clock: createSystemClock(), random: createSystemRandom(), logger: quietTelemetry().logger },
      { ...chdbConfigSchema.parse({}), directory },
    ),
  )
  return { url: chdb.url, user: chdb.user, password: chdb.password }
}
