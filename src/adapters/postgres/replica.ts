/**
 * Reads that may be stale, from a replica. One that fails is left alone for a while, and the primary answers
 * instead: also what the replica cancelled because its own replay of the primary's changes had to go on.
 */
import type pg from 'pg'
import { isRetryable, RowmillError } from '../../errors/rowmill-error.ts'
import type { ConnectionConfig, Endpoint } from './endpoint.ts'
import { failureOf } from './failures.ts'
import { createPool, type DatabaseContext } from './pool.ts'

export interface Replica extends AsyncDisposable {
  query<T>(ask: (client: pg.PoolClient) => Promise<T>, instead: () => Promise<T>): Promise<T>
  /** Fails when the replica refuses us for good; one that is away is only told. */
  check(): Promise<void>
}

/** Whoever waits for a page should not wait long for a replica that is away. */
const connectTimeoutMsMax = 2000

export function createReplica(
  context: DatabaseContext,
  config: ConnectionConfig,
  endpoint: Endpoint | undefined,
): Replica | undefined {
  if (endpoint === undefined) return undefined
  const { clock, logger } = context
  const connectionTimeoutMillis = Math.min(config.connectTimeoutMs, connectTimeoutMsMax)
  const hurried = { ...endpoint, client: { ...endpoint.client, connectionTimeoutMillis } }
  const pool = createPool(context, config, { endpoint: hurried, patienceMs: 0, queue: 'database_replica' })
  let pausedUntilMs = Number.NEGATIVE_INFINITY
  const query = async <T>(
    ask: (client: pg.PoolClient) => Promise<T>,
    instead: () => Promise<T>,
  ): Promise<T> => {
    if (clock.monotonic() < pausedUntilMs) return await instead()
    try {
      return await pool.withClient(ask)
    } catch (error) {
      const isConflict = error instanceof RowmillError && error.details.isConflict === true
      if (isConflict) return await instead()
      if (!isRetryable(error) || isWrite(error)) throw error
      pausedUntilMs = clock.monotonic() + config.replicaPauseMs
      logger.warn({ error, pauseMs: config.replicaPauseMs }, 'The replica is away, the primary is asked.')
      return await instead()
    }
  }
  return {
    query,
    async check() {
      await query(
        async (client) => {
          try {
            await client.query('select 1')
          } catch (error) {
            throw failureOf(error)
          }
        },
        async () => undefined,
      )
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  }
}

/** A statement that writes was said to be a read: nobody runs it then. */
function isWrite(error: unknown): boolean {
  return error instanceof RowmillError && error.details.sqlState === '25006'
}
