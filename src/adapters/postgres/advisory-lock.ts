import { createHash } from 'node:crypto'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { retryDelay } from '../../std/retry.ts'
import { closedFailure, type OpenConnection, openConnection } from './connection.ts'
import type { ConnectionConfig, Endpoint } from './endpoint.ts'
import type { DatabaseContext } from './pool.ts'

export type HeldContext = DatabaseContext & {
  config: ConnectionConfig
  /** PostgreSQL itself, whose sessions are ours. */
  endpoint: Endpoint
  /** Aborts when the Database closes. */
  closing: AbortSignal
}

/** Asking again and again costs little and, unlike waiting inside PostgreSQL, can be given up at any time. */
const askDelays = { attemptsMax: Number.POSITIVE_INFINITY, delayMs: 10, delayMaxMs: 250 }

/**
 * Runs `run` while a connection of its own holds an advisory lock. PostgreSQL lets go of the lock when the
 * connection ends, so a dead holder loses it. Should the connection break while `run` is under way, another
 * may have run beside it: then the call fails with `DATABASE_UNAVAILABLE` after `run` has ended.
 */
export async function withAdvisoryLock<T>(
  context: HeldContext,
  options: { name: string; run: () => Promise<T>; signal?: AbortSignal },
): Promise<T> {
  const { clock, random, closing, endpoint } = context
  const { name, run, signal } = options
  const key = lockKey(name)
  const giveUp = signal === undefined ? closing : AbortSignal.any([signal, closing])
  const check = () => {
    signal?.throwIfAborted()
    if (closing.aborted) throw closedFailure()
  }
  check()
  await using connection = await openConnection(context, endpoint)
  for (let attempt = 1; ; attempt++) {
    check()
    const rows = await connection.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [key])
    if (rows[0]?.got === true) break
    await clock.sleep(retryDelay(askDelays, attempt, random.next()), { signal: giveUp })
  }
  const answer = await run()
  await unlock(connection, { name, key })
  return answer
}

/** Fails when the lock is not ours any more. */
async function unlock(connection: OpenConnection, lock: { name: string; key: string }): Promise<void> {
  try {
    await connection.query('select pg_advisory_unlock($1)', [lock.key])
  } catch (cause) {
    throw new RowmillError(
      'DATABASE_UNAVAILABLE',
      `The lock ${lock.name} was lost while its holder was at work.`,
      { cause },
    )
  }
}

/** A name's place among PostgreSQL's 64-bit lock numbers, as decimal text. */
function lockKey(name: string): string {
  return createHash('sha256').update(`rowmill:${name}`).digest().readBigInt64BE(0).toString()
}
