import pg from 'pg'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Endpoint } from './endpoint.ts'
import { connectFailure, failureOf } from './failures.ts'

/** A connection outside the pool, for work that holds one for long. Fails with `DATABASE_UNAVAILABLE`. */
export async function openConnection(
  context: { logger: Logger },
  endpoint: Endpoint,
): Promise<OpenConnection> {
  const client = new pg.Client(endpoint.client)
  const lost = Promise.withResolvers<void>()
  let isClosing = false
  client.on('error', (error) => {
    if (!isClosing) context.logger.warn({ error: failureOf(error) }, 'A connection to PostgreSQL broke.')
    lost.resolve()
  })
  client.on('end', () => lost.resolve())
  try {
    await client.connect()
  } catch (error) {
    throw connectFailure(error, endpoint)
  }
  return {
    client,
    lost: lost.promise,
    async query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      try {
        return (await client.query<Row>(text, [...values])).rows
      } catch (error) {
        throw failureOf(error)
      }
    },
    async [Symbol.asyncDispose]() {
      if (isClosing) return
      isClosing = true
      await client.end()
    },
  }
}

export interface OpenConnection extends AsyncDisposable {
  client: pg.Client
  /** Resolves when the connection has ended, however that came. */
  lost: Promise<void>
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

/** What a Database that is closed, or closing, answers. */
export function closedFailure(): RowmillError {
  return new RowmillError('DATABASE_UNAVAILABLE', 'The connections to PostgreSQL have been closed.')
}
