/**
 * A database of the test's own, with every migration applied: one PostgreSQL per test process, started when
 * the first test asks (or the server that ROWMILL_TEST_DATABASE_URL names, which several processes may share), a
 * template that is migrated once per server and state of the migrations, and a clone of it per call. A server
 * that was started here is stopped a moment after the last database was closed, so that the process can end and
 * the next test of the file finds it running.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { postgresConfig } from '../../src/adapters/embedded/postgres/config.ts'
import { openManagedPostgres } from '../../src/adapters/embedded/postgres/managed-postgres.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { loadMigrations } from '../../src/adapters/migration-files.ts'
import { databaseConfig } from '../../src/adapters/postgres/config.ts'
import { openDatabase } from '../../src/adapters/postgres/database.ts'
import { migrateDatabase } from '../../src/adapters/postgres/migrations.ts'
import type { Database } from '../../src/ports/database.ts'
import { Secret } from '../../src/std/secret.ts'
import { quietTelemetry } from './quiet.ts'
import { tempDir } from './temp-dir.ts'

export type TestDatabase = { database: Database; connectionString: string } & AsyncDisposable

const lingerMs = 200
const context = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
const shared: { server: Promise<Server> | undefined; open: number; timer: NodeJS.Timeout | undefined } = {
  server: undefined,
  open: 0,
  timer: undefined,
}

/** `isMigrated: false` gives an empty database. */
export async function openTestDatabase(options: { isMigrated?: boolean } = {}): Promise<TestDatabase> {
  clearTimeout(shared.timer)
  shared.open += 1
  try {
    shared.server ??= startServer()
    return await cloneDatabase(await shared.server, options.isMigrated ?? true)
  } catch (error) {
    release()
    throw error
  }
}

async function cloneDatabase(server: Server, isMigrated: boolean): Promise<TestDatabase> {
  const name = newName('clone')
  const from = isMigrated ? await server.template() : 'template0'
  await runOn(server.url, `create database "${name}" template "${from}" strategy file_copy`)
  const connectionString = withDatabase(server.url, name)
  const database = await openOn(connectionString)
  let closed: Promise<void> | undefined
  const close = async () => {
    await database[Symbol.asyncDispose]()
    await runOn(server.url, `drop database if exists "${name}" with (force)`)
    release()
  }
  return {
    database,
    connectionString,
    [Symbol.asyncDispose]() {
      closed ??= close()
      return closed
    },
  }
}

function release(): void {
  shared.open -= 1
  if (shared.open > 0) return
  shared.timer = setTimeout(async () => {
    const { server } = shared
    shared.server = undefined
    await (await server)?.[Symbol.asyncDispose]()
  }, lingerMs)
}

/** A connection to some database of the server, and its migrated template. */
type Server = { url: string; template: () => Promise<string> } & AsyncDisposable

async function startServer(): Promise<Server> {
  await using stack = new AsyncDisposableStack()
  const url = process.env.ROWMILL_TEST_DATABASE_URL ?? (await startManaged(stack))
  let template: Promise<string> | undefined
  const owned = stack.move()
  return {
    url,
    template() {
      template ??= openTemplate(url)
      return template
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function startManaged(stack: AsyncDisposableStack): Promise<string> {
  const directory = stack.use(await tempDir('rowmill-pg-'))
  const config = postgresConfig.parse({ sharedBuffersMb: 16, connectionsMax: 200 })
  const managed = await openManagedPostgres(context, { ...config, directory: directory.path })
  const url = stack.use(managed).connectionString
  // What a test writes need not outlive the machine; without waiting for the disk tests are much quicker.
  await runOn(url, 'alter system set fsync = off')
  await runOn(url, 'select pg_reload_conf()')
  return url
}

/** Any number that no other program locks. */
const templateLock = 7_249_213_605

/** The migrated template, made by whichever process comes first. Its name says which migrations it has. */
async function openTemplate(url: string): Promise<string> {
  const files = await loadMigrations(new URL('../../sql/postgres/', import.meta.url))
  const state = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16)
  const name = `rowmill_test_template_${state}`
  await using client = await connect(url)
  await client.query('select pg_advisory_lock($1)', [templateLock])
  const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
  if (rowCount !== 0) return name
  const unfinished = `${name}_unfinished`
  await client.query(`drop database if exists "${unfinished}" with (force)`)
  await client.query(`create database "${unfinished}" template template0`)
  const database = await openOn(withDatabase(url, unfinished))
  await migrateDatabase(database, { files, logger: context.logger })
  await database[Symbol.asyncDispose]()
  await client.query(`alter database "${unfinished}" rename to "${name}"`)
  return name
}

/** Runs a statement that must not share a connection with others, on a connection of its own. */
export async function runOn(url: string, statement: string): Promise<void> {
  await using client = await connect(url)
  await client.query(statement)
}

async function connect(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

function openOn(url: string): Promise<Database> {
  return openDatabase(context, { ...databaseConfig.parse({}), url: new Secret(url) })
}

function newName(kind: string): string {
  return `rowmill_test_${kind}_${process.pid}_${context.random.bytes(4).toString('hex')}`
}

function withDatabase(url: string, name: string): string {
  const parsed = new URL(url)
  parsed.pathname = `/${name}`
  return parsed.href
}
