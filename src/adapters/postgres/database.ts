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
import { type OpenConnection, openConnection } from './connection.ts'
import {
  beginText,
  type ConnectionConfig,
  type Endpoint,
  type Endpoints,
  resolveEndpoints,
} from './endpoint.ts'
import { failureOf, poolerFailure } from './failures.ts'
import { listenTo } from './listen.ts'
import { createPool, type DatabaseContext } from './pool.ts'
import { createReplica } from './replica.ts'

/** Fails with `DATABASE_UNAVAILABLE`, `DATABASE_REFUSED` (wrong password, no such database) or `CONFIG_INVALID`. */
export async function openDatabase(context: DatabaseContext, config: ConnectionConfig): Promise<Database> {
  const endpoints = await resolveEndpoints(config)
  const opened = createDatabase(context, config, endpoints)
  try {
    await checkServer((text) => opened.database.query<Facts>(text), { endpoint: endpoints.main, config })
    if (endpoints.direct !== endpoints.main) {
      await using direct: OpenConnection = await openConnection(context, endpoints.direct)
      await checkServer((text) => direct.query<Facts>(text), { endpoint: endpoints.direct, config })
    }
    await opened.checkReplica()
  } catch (error) {
    await opened.database[Symbol.asyncDispose]()
    throw error
  }
  return opened.database
}

function createDatabase(context: DatabaseContext, config: ConnectionConfig, endpoints: Endpoints) {
  const { main, direct } = endpoints
  const patienceMs = config.connectTimeoutMs
  const pool = createPool(context, config, { endpoint: main, patienceMs, queue: 'database' })
  const replica = createReplica(context, config, endpoints.replica)
  const closing = new AbortController()
  const { metrics } = context
  const held = { ...context, config, endpoint: direct, closing: closing.signal }
  const begin = beginText(config, main)

  const single = <T>(use: (session: DatabaseSession) => Promise<T>): Promise<T> =>
    counted(metrics, () => pool.withClient((client) => use(createSession(client).session)))

  const database: Database = {
    query: async (text, values, options) => {
      if (options?.mayBeStale === true && replica !== undefined)
        return await replica.query(
          (client) => createSession(client).session.query(text, values),
          () => single((session) => session.query(text, values)),
        )
      return await single((session) => session.query(text, values))
    },
    execute: (text, values) => single((session) => session.execute(text, values)),
    transaction: (run) =>
      counted(metrics, () => pool.withClient((client) => runTransaction(client, { begin, run }))),
    withLock: (name, run, options = {}) => withAdvisoryLock(held, { name, run, ...options }),
    listen: (channel, options) => listenTo(held, { channel, ...options }),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await Promise.all([pool[Symbol.asyncDispose](), replica?.[Symbol.asyncDispose]()])
    },
  }
  return { database, checkReplica: async () => await replica?.check() }
}

type Facts = { version: number; name: string; timeout_ms: number }

/** Its version, and that what was set for the session is set: a pooler may have taken it and dropped it. */
async function checkServer(
  ask: (text: string) => Promise<Facts[]>,
  { endpoint, config }: { endpoint: Endpoint; config: ConnectionConfig },
): Promise<void> {
  const [row] = await ask(
    `select current_setting('server_version_num')::integer as version, current_setting('server_version') as name,
      (select setting::integer from pg_settings where pg_settings.name = 'statement_timeout') as timeout_ms`,
  )
  assert(row !== undefined)
  checkFacts(row, { endpoint, config })
}

/** Fails with `CONFIG_INVALID`. */
export function checkFacts(
  facts: Facts,
  { endpoint, config }: { endpoint: Endpoint; config: ConnectionConfig },
): void {
  if (facts.version < 150_000)
    throw new RowmillError(
      'CONFIG_INVALID',
      `PostgreSQL ${facts.name} at ${endpoint.address} is too old; set ${endpoint.setting} to a server of version 15 or newer.`,
    )
  if (!endpoint.isPooled && facts.timeout_ms !== config.statementTimeoutMs) throw poolerFailure(endpoint)
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
  { begin, run }: { begin: string; run: (session: DatabaseSession) => Promise<T> },
): Promise<T> {
  const { session, end } = createSession(client)
  await session.execute(begin)
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
