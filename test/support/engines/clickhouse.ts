/**
 * ClickHouse for tests: the managed chDB host, started apart, which speaks ClickHouse's HTTP interface; and proxies
 * in front of it that misbehave. A cluster it is not: several addresses of one host stand for replicas that know
 * the same rows and tokens. The plain variant uses the host that `ROWMILL_TEST_CLICKHOUSE` names, a URL with user
 * and password, which several test files share: each opening has a database of its own.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { warehouseConfigSchema } from '../../../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../../../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../../../src/adapters/embedded/chdb/config.ts'
import { type ManagedChdb, openManagedChdb } from '../../../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import type { Warehouse } from '../../../src/ports/warehouse.ts'
import { quietTelemetry } from '../quiet.ts'
import { tempDir } from '../temp-dir.ts'

/** Why ClickHouse tests cannot run here, or false. */
export const noClickHouse: string | false = hasChdb()
  ? false
  : 'SKIPPED: no chDB on this machine (npm package chdb)'

export type ClickHouseOptions = {
  /** A host that nobody shares, so that it may be killed. */
  isOwn?: boolean
}

export type TestClickHouse = AsyncDisposable & {
  url: string
  user: string
  password: string
  /** An empty one of this opening's own. */
  database: string
  /** A Warehouse on it, or on other addresses of it: proxies. */
  open(settings?: Record<string, unknown>, url?: string): Promise<Warehouse>
  /** Another empty database on the same host; disposing of it drops the database alone. */
  another(): TestClickHouse
  /** Ends the host without warning; it comes back by itself on the same folder and port. */
  kill(): void
  pause(): void
  resume(): void
}

export async function openClickHouse(options: ClickHouseOptions = {}): Promise<TestClickHouse> {
  const given = process.env.ROWMILL_TEST_CLICKHOUSE
  if (options.isOwn === true || given === undefined || given === '') return await openOwn()
  const { origin, username, password } = new URL(given)
  return testOn({
    url: origin,
    user: decodeURIComponent(username) || 'default',
    password: decodeURIComponent(password),
  })
}

function hasChdb(): boolean {
  try {
    createRequire(import.meta.url).resolve('chdb/package.json')
    return true
  } catch {
    return false
  }
}

async function openOwn(): Promise<TestClickHouse> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await tempDir('rowmill-clickhouse-')).path
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const chdb = stack.use(await openManagedChdb(ground, { ...chdbConfigSchema.parse({}), directory }))
  const { url, user, password } = chdb
  const opened = testOn({ url, user, password, chdb })
  const owned = stack.move()
  return { ...opened, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

type Server = { url: string; user: string; password: string; chdb?: ManagedChdb }

function testOn(server: Server): TestClickHouse {
  const { url, user, password, chdb } = server
  const database = `test_${process.pid}_${randomBytes(5).toString('hex')}`
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const open: TestClickHouse['open'] = async (settings = {}, other = url) =>
    await openWarehouse(ground, {
      ...warehouseConfigSchema.parse(settings),
      ...{ url: other, user, password, database },
    })
  const signal = (name: NodeJS.Signals) => {
    assert(chdb?.pid !== undefined, 'This ClickHouse is shared: open one with isOwn.')
    process.kill(chdb.pid, name)
  }
  return {
    ...{ url, user, password, database, open },
    another: () => testOn(server),
    kill: () => signal('SIGKILL'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await using warehouse = await open()
      await warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)
    },
  }
}
