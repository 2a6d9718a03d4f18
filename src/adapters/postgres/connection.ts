import pg, { type ClientConfig } from 'pg'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Secret } from '../../std/secret.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { DatabaseConfig } from './config.ts'
import { failureOf } from './failures.ts'
import { typeParsers } from './type-parsers.ts'

export type ConnectionConfig = DatabaseConfig & { url: Secret }

/**
 * Settings of one connection. `sslmode` means what it means to libpq: `require` encrypts without asking who
 * answers, `verify-full` asks.
 */
export function clientConfig(config: ConnectionConfig): ClientConfig {
  return {
    connectionString: withLibpqMeaning(config.url.reveal()),
    application_name: 'rowmill',
    keepAlive: true,
    connectionTimeoutMillis: config.connectTimeoutMs,
    statement_timeout: config.statementTimeoutMs,
    idle_in_transaction_session_timeout: config.idleTransactionTimeoutMs,
    types: typeParsers,
  }
}

function withLibpqMeaning(url: string): string {
  if (!/[?&]sslmode=/.test(url) || /[?&](uselibpqcompat|sslmode=no-verify)\b/.test(url)) return url
  return `${url}&uselibpqcompat=true`
}

/** A connection outside the pool, for work that holds one for long. Fails with `DATABASE_UNAVAILABLE`. */
export async function openConnection(
  context: { logger: Logger },
  config: ConnectionConfig,
): Promise<OpenConnection> {
  const client = new pg.Client(clientConfig(config))
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
    throw failureOf(error)
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
