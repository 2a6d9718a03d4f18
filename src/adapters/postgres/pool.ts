import pg from 'pg'
import { isRetryable, RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import { retryDelay } from '../../std/retry.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { closedFailure } from './connection.ts'
import type { ConnectionConfig, Endpoint } from './endpoint.ts'
import { connectFailure, failureOf } from './failures.ts'

export type DatabaseContext = { clock: Clock; random: Random; logger: Logger; metrics: Metrics }

/** While PostgreSQL restarts, connecting is tried again; nothing has been sent yet, so this is safe. */
const connectDelays = { attemptsMax: 1000, delayMs: 20, delayMaxMs: 250 }

/** The shared connections, with a bound on them, on those who wait, and on the wait. */
export interface Pool extends AsyncDisposable {
  /** Runs `use` with a connection of its own. */
  withClient<T>(use: (client: pg.PoolClient) => Promise<T>): Promise<T>
}

/** `patienceMs`: how long connecting is tried again while the server is away. */
export function createPool(
  context: DatabaseContext,
  config: ConnectionConfig,
  options: { endpoint: Endpoint; patienceMs: number; queue: 'database' | 'database_replica' },
): Pool {
  const { endpoint, patienceMs, queue } = options
  const { clock, random, logger, metrics } = context
  const closing = new AbortController()
  const pool = new pg.Pool({
    ...endpoint.client,
    max: config.connectionsMax,
    idleTimeoutMillis: config.idleTimeoutMs,
  })
  pool.on('error', (error) => {
    // The pool puts the connection into the error, with all that it knows: nothing for a log.
    Reflect.deleteProperty(error, 'client')
    // While all is closed, PostgreSQL may be quicker to end a connection than the pool.
    if (!closing.signal.aborted) logger.warn({ error: failureOf(error) }, 'An idle connection broke.')
  })
  let waiting = 0
  let closed: Promise<void> | undefined
  metrics.set('queue_bound', config.waitingMax, { queue })

  const connect = async (): Promise<pg.PoolClient> => {
    const deadlineMs = clock.monotonic() + patienceMs
    for (let attempt = 1; ; attempt++) {
      if (closing.signal.aborted) throw closedFailure()
      try {
        return await pool.connect()
      } catch (error) {
        const failure = connectFailure(error, endpoint)
        if (!isRetryable(failure) || clock.monotonic() >= deadlineMs) throw failure
        const delayMs = retryDelay(connectDelays, attempt, random.next())
        await clock.sleep(delayMs, { signal: closing.signal })
      }
    }
  }

  const checkOut = async (): Promise<pg.PoolClient> => {
    if (waiting >= config.waitingMax)
      throw new RowmillError('DATABASE_UNAVAILABLE', `${waiting} statements wait for a connection already.`)
    waiting += 1
    metrics.set('queue_depth', waiting, { queue })
    try {
      return await connect()
    } finally {
      waiting -= 1
      metrics.set('queue_depth', waiting, { queue })
    }
  }

  return {
    withClient: async (use) => useClient(await checkOut(), use),
    [Symbol.asyncDispose]() {
      closing.abort()
      closed ??= pool.end()
      return closed
    },
  }
}

async function useClient<T>(client: pg.PoolClient, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  try {
    return await use(client)
  } catch (error) {
    // After a lost connection, or a rollback that failed, nobody knows the state of the session.
    if (isUnusable(error)) broken = error
    throw error
  } finally {
    client.removeListener('error', onError)
    client.release(broken)
  }
}

/** A server's own refusal leaves the session as it was; an unavailable one may have left anything. */
function isUnusable(error: unknown): error is Error {
  return error instanceof Error && isRetryable(error)
}
