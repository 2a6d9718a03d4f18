import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { exerciseDatabase } from '../../ports/database.contract.ts'
import { Secret } from '../../std/secret.ts'
import { createSystemClock } from '../embedded/clock.ts'
import { createSystemRandom } from '../embedded/random.ts'
import { type DatabaseConfig, databaseConfig } from './config.ts'
import { openDatabase } from './database.ts'

const context = () => ({ clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() })
const openOn = (url: string, config: Partial<DatabaseConfig> = {}) =>
  openDatabase(context(), { ...databaseConfig.parse(config), url: new Secret(url) })

exerciseDatabase('postgres', async () => {
  await using stack = new AsyncDisposableStack()
  const { database, connectionString } = stack.use(await openTestDatabase({ isMigrated: false }))
  const owned = stack.move()
  return {
    database,
    another: async () => owned.use(await openOn(connectionString)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
})

const isUnavailable = (error: unknown) => isRowmillError(error, 'DATABASE_UNAVAILABLE')

test('a server that is not there is unavailable, after waiting for it', async () => {
  const opening = openOn('postgresql://nobody@127.0.0.1:1/none', { connectTimeoutMs: 100 })
  await assert.rejects(opening, isUnavailable)
})

test('a database that does not exist is refused at once', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const url = new URL(opened.connectionString)
  url.pathname = '/nowhere'
  await assert.rejects(
    openOn(url.href),
    (error) => isRowmillError(error, 'DATABASE_REFUSED') && error.details.sqlState === '3D000',
  )
})

test('a statement that takes too long is cancelled and may be tried again', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  await using database = await openOn(opened.connectionString, { statementTimeoutMs: 30 })
  await assert.rejects(
    database.query('select pg_sleep(60)'),
    (error) => isUnavailable(error) && isRowmillError(error) && error.details.sqlState === '57014',
  )
  assert.deepEqual(await database.query('select 1 as one'), [{ one: 1 }])
})

test('no more statements wait than are allowed', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  await using database = await openOn(opened.connectionString, { connectionsMax: 1, waitingMax: 2 })
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => database.query('select 1')))
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 2)
  for (const result of results) if (result.status === 'rejected') assert(isUnavailable(result.reason))
})

test('connections that were cut are replaced, and a transaction on one fails', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const { database } = opened
  await using other = await openOn(opened.connectionString, { connectionsMax: 2 })
  const cut =
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
  const attempt = other.transaction(async (session) => {
    await session.query('select 1')
    await database.query(cut)
    await session.query('select 2')
  })
  await assert.rejects(attempt, isUnavailable)
  await waitFor(async () => (await other.query('select 1')).length === 1)
})

test('a lock whose connection was cut is not passed off as held', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const { database } = opened
  const held = database.withLock('one', async () => {
    await database.query(
      "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
    )
    return 'done'
  })
  await assert.rejects(held, isUnavailable)
})

test('a listener whose connection was cut listens again', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const { database } = opened
  const abort = new AbortController()
  const seen: string[] = []
  const listening = (async () => {
    for await (const payload of database.listen('news', { signal: abort.signal })) seen.push(payload)
  })()
  const notify = async (payload: string) => {
    await database.query("select pg_notify('news', $1)", [payload])
    return seen.includes(payload)
  }
  await waitFor(() => notify('before'))
  await database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'",
  )
  await waitFor(() => notify('after'))
  abort.abort()
  await listening
})
