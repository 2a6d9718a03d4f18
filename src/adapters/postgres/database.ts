/**
 * The Database port on PostgreSQL, the embedded one or any other, with the `pg` library.
 *
 * Statements share a bounded pool. Locks and listeners hold connections of their own, so that they can
 * neither starve the pool nor each other. Types, timeouts and TLS are set per connection. When PostgreSQL
 * restarts, calls in flight fail with `DATABASE_UNAVAILABLE` (a statement may or may not have run), and new
 * ones wait up to `connectTimeoutMs` for it to come back.
 */
import assert from 'node:assert/strict'
import type { QueryResult } from 'pg'
import { isRetryable, RowmillError } from '../../errors/rowmill-error.ts'
import type { Database, DatabaseSession } from '../../ports/database.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { withAdvisoryLock } from './advisory-lock.ts'
import type { ConnectionConfig } from './connection.ts'
import { failureOf } from './failures.ts'
import { listenTo } from './listen.ts'
import { createPool, type DatabaseContext } from './pool.ts'

/** Fails with `DATABASE_UNAVAILABLE`, `DATABASE_REFUSED` (wrong password, no such database) or `CONFIG_INVALID`. */
export async function openDatabase(context: DatabaseContext, config: ConnectionConfig): Promise<Database> {
  const database = createDatabase(context, config)
  try {
    await checkVersion(database)
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
  return database
}

function createDatabase(context: DatabaseContext, config: ConnectionConfig): Database {
  const pool = createPool(context, config)
  const closing = new AbortController()
  const { metrics } = context
  const held = { ...context, config, closing: closing.signal }

  const single = <T>(use: (session: DatabaseSession) => Promise<T>): Promise<T> =>
    counted(metrics, () => pool.withClient((client) => use(createSession(client).session)))

  return {
    query: (text, values) => single((session) => session.query(text, values)),
    execute: (text, values) => single((session) => session.execute(text, values)),
    transaction: (run) => counted(metrics, () => pool.withClient((client) => runTransaction(client, run))),
    withLock: (name, run, options = {}) => withAdvisoryLock(held, { name, run, ...options }),
    listen: (channel, options) => listenTo(held, { channel, ...options }),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await pool[Symbol.asyncDispose]()
    },
  }
}

async function checkVersion(database: Database): Promise<void> {
  const rows = await database.query<{ version: number; name: string }>(
    "select current_setting('server_version_num')::integer as version, current_setting('server_version') as name",
  )
  const [row] = rows
  assert(row !== undefined)
  if (row.version < 150_000)
    throw new RowmillError(
      'CONFIG_INVALID',
      `PostgreSQL ${row.name} is too old; set DATABASE_URL to a server of version 15 or newer.`,
    )
}

type Queryable = { query(text: string, values?: unknown[]): Promise<QueryResult | QueryResult[]> }

/** Statements of one connection, one after the other even when the caller does not wait for each. */
function createSession(client: Queryable): { session: DatabaseSession; end: () => Promise<void> } {
  let tail: Promise<unknown> = Promise.resolve()
  let isOver = false

  const send = async (text: string, values: readonly unknown[] | undefined): Promise<QueryResult> => {
    try {
      // Without values the simple protocol is used, which takes several statements in one text.
      const result = await (values === undefined || values.length === 0
        ? client.query(text)
        : client.query(text, [...values]))
      const last = Array.isArray(result) ? result.at(-1) : result
      assert(last !== undefined)
      return last
    } catch (error) {
      throw failureOf(error)
    }
  }
  const enqueue = (text: string, values?: readonly unknown[]): Promise<QueryResult> => {
    assert(!isOver, 'A session was used after its transaction had ended.')
    const before = tail
    const result = (async () => {
      await before
      return await send(text, values)
    })()
    // Whoever asked gets the failure; those behind only wait for the end.
    tail = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }
  return {
    session: {
      async query(text, values) {
        return (await enqueue(text, values)).rows
      },
      async execute(text, values) {
        return (await enqueue(text, values)).rowCount ?? 0
      },
    },
    async end() {
      isOver = true
      await tail
    },
  }
}

async function runTransaction<T>(
  client: Queryable,
  run: (session: DatabaseSession) => Promise<T>,
): Promise<T> {
  const { session, end } = createSession(client)
  await session.execute('begin')
  try {
    const answer = await run(session)
    await end()
    await commit(client)
    return answer
  } catch (error) {
    await end()
    if (!isConnectionLost(error)) await rollBack(client)
    throw error
  }
}

/** PostgreSQL answers a commit of a failed transaction by rolling back and saying so, not by an error. */
async function commit(client: Queryable): Promise<void> {
  let result: QueryResult | QueryResult[]
  try {
    result = await client.query('commit')
  } catch (error) {
    throw failureOf(error)
  }
  if (!Array.isArray(result) && result.command === 'ROLLBACK')
    throw new RowmillError(
      'DATABASE_REFUSED',
      'The transaction was rolled back, because one of its statements had failed.',
      { details: { sqlState: '25P02' } },
    )
}

async function rollBack(client: Queryable): Promise<void> {
  try {
    await client.query('rollback')
  } catch (error) {
    throw failureOf(error)
  }
}

function isConnectionLost(error: unknown): boolean {
  return isRetryable(error) && error instanceof RowmillError && error.details.sqlState === undefined
}

async function counted<T>(metrics: Metrics, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof RowmillError) metrics.count('database_failures_total', 1, { code: error.code })
    throw error
  }
}
