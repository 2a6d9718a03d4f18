/** One PostgreSQL and one ClickHouse for a whole run of tests, so that not every file has to start its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chdbConfigSchema } from '../src/adapters/embedded/chdb/config.ts'
import { openManagedChdb } from '../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { postgresConfig } from '../src/adapters/embedded/postgres/config.ts'
import { openManagedPostgres } from '../src/adapters/embedded/postgres/managed-postgres.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { runOn } from '../test/support/database.ts'

export type TestEngines = { environment: Record<string, string> } & AsyncDisposable

/** Starts those that are wanted and that the environment does not name already. */
export async function openTestEngines(wanted: {
  database: boolean
  warehouse: boolean
}): Promise<TestEngines> {
  await using stack = new AsyncDisposableStack()
  const [database, warehouse] = await Promise.all([
    wanted.database && process.env.ROWMILL_TEST_DATABASE_URL === undefined ? openPostgres(stack) : undefined,
    wanted.warehouse && process.env.ROWMILL_TEST_CLICKHOUSE_URL === undefined ? openChdb(stack) : undefined,
  ])
  const owned = stack.move()
  return {
    environment: {
      ...(database === undefined ? {} : { ROWMILL_TEST_DATABASE_URL: database }),
      ...(warehouse === undefined ? {} : { ROWMILL_TEST_CLICKHOUSE_URL: warehouse }),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const context = {
  clock: createSystemClock(),
  random: createSystemRandom(),
  logger: createLogger({ level: 'silent' }),
}

async function openPostgres(stack: AsyncDisposableStack): Promise<string> {
  const directory = await openFolder(stack, 'rowmill-test-pg-')
  const config = postgresConfig.parse({ sharedBuffersMb: 64, connectionsMax: 300 })
  const { connectionString } = stack.use(await openManagedPostgres(context, { ...config, directory }))
  // What a test writes need not outlive the machine; without waiting for the disk tests are much quicker.
  await runOn(connectionString, 'alter system set fsync = off')
  await runOn(connectionString, 'select pg_reload_conf()')
  return connectionString
}

async function openChdb(stack: AsyncDisposableStack): Promise<string> {
  const directory = await openFolder(stack, 'rowmill-test-chdb-')
  const config = chdbConfigSchema.parse({})
  const { url, user, password } = stack.use(await openManagedChdb(context, { ...config, directory }))
  const address = new URL(url)
  address.username = user
  address.password = password
  return address.href
}

async function openFolder(stack: AsyncDisposableStack, prefix: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), prefix))
  stack.defer(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}
