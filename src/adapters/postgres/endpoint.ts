/**
 * Where a connection goes and how: the URL, what the settings add to it, TLS, and which session settings may be
 * sent there. Parameters of a URL win over settings, as with libpq.
 *
 * A pooler in transaction mode (PgBouncer) gives each transaction any of its sessions. So by way of one nothing
 * is sent that belongs to a session: timeouts are set inside each transaction, and a single statement is given
 * up from this side, by ending its connection.
 */
import type { ClientConfig } from 'pg'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Secret } from '../../std/secret.ts'
import type { DatabaseConfig } from './config.ts'
import { resolveTls } from './tls.ts'
import { typeParsers } from './type-parsers.ts'

export type ConnectionConfig = DatabaseConfig & { url: Secret }

export type Endpoint = {
  /** The setting that names it, for messages. */
  setting: string
  /** `host:port`, or a socket's folder. */
  address: string
  client: ClientConfig
  /** Nothing may be set for a session, because there is none. */
  isPooled: boolean
}

export type Endpoints = { main: Endpoint; direct: Endpoint; replica: Endpoint | undefined }

const names = {
  url: 'database.url (DATABASE_URL)',
  directUrl: 'database.directUrl (DATABASE_DIRECT_URL)',
  replicaUrl: 'database.replicaUrl (DATABASE_READONLY_URL)',
} as const

/** Fails with `CONFIG_INVALID`, or `DATABASE_UNAVAILABLE` where a server is asked whether it knows TLS. */
export async function resolveEndpoints(config: ConnectionConfig): Promise<Endpoints> {
  const { url, directUrl, replicaUrl } = config
  const isPooled = directUrl !== undefined
  const main = await endpointOf(config, { url, setting: names.url, isPooled })
  const direct =
    directUrl === undefined
      ? main
      : await endpointOf(config, { url: directUrl, setting: names.directUrl, isPooled: false })
  if (replicaUrl === undefined) return { main, direct, replica: undefined }
  const replica = await endpointOf(config, { url: replicaUrl, setting: names.replicaUrl, isPooled })
  // A replica refuses writes by itself; what was meant as one and is none must refuse them too.
  const readOnly = isPooled ? {} : { options: '-c default_transaction_read_only=on' }
  return { main, direct, replica: { ...replica, client: { ...replica.client, ...readOnly } } }
}

/** The library would read them in its own way. */
const tlsParameters = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'uselibpqcompat']

type Place = { url: Secret; setting: string; isPooled: boolean }

async function endpointOf(config: ConnectionConfig, place: Place): Promise<Endpoint> {
  const { setting, isPooled } = place
  const parsed = parseUrl(place)
  const socket = parsed.searchParams.get('host')
  const host = socket ?? decodeURIComponent(parsed.hostname)
  const port = Number(parsed.searchParams.get('port') ?? (parsed.port || 5432))
  const isSocket = host.startsWith('/')
  const ssl = isSocket
    ? false
    : await resolveTls(config, { setting, host, port, parameters: parsed.searchParams })
  const { connectTimeoutMs, statementTimeoutMs, idleTransactionTimeoutMs, password } = config
  if (password !== undefined && parsed.password === '' && !parsed.searchParams.has('password'))
    parsed.password = encodeURIComponent(password.reveal())
  for (const name of tlsParameters) parsed.searchParams.delete(name)
  return {
    setting,
    address: isSocket ? host : `${host}:${port}`,
    isPooled,
    client: {
      connectionString: parsed.href,
      ssl,
      application_name: 'rowmill',
      keepAlive: true,
      connectionTimeoutMillis: connectTimeoutMs,
      types: typeParsers,
      ...(isPooled
        ? statementTimeoutMs === 0
          ? {}
          : { query_timeout: statementTimeoutMs }
        : {
            statement_timeout: statementTimeoutMs,
            idle_in_transaction_session_timeout: idleTransactionTimeoutMs,
          }),
    },
  }
}

/** What a transaction sets for itself, where no session can hold it. Numbers of the config, in ms. */
export function beginText(config: ConnectionConfig, { isPooled }: Endpoint): string {
  if (!isPooled) return 'begin'
  const { statementTimeoutMs, idleTransactionTimeoutMs } = config
  return `begin; set local statement_timeout = ${statementTimeoutMs}; set local idle_in_transaction_session_timeout = ${idleTransactionTimeoutMs}`
}

const oneHost =
  'names several hosts, which the library does not try in turn: name one, such as a proxy or a DNS name that follows the primary'
const notUrl =
  'is no URL that can be read: percent-encode special characters in its user and password, or put the password into database.password (PGPASSWORD)'

function parseUrl({ url, setting }: Place): URL {
  const text = url.reveal()
  const authority = text.slice(text.indexOf('//') + 2).split(/[/?#]/)[0] ?? ''
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',') || /[?&]target_session_attrs=/.test(text))
    throw new RowmillError('CONFIG_INVALID', `${setting} ${oneHost}.`)
  // An empty host with a user is none to the URL parser, but a socket's folder may stand behind it.
  const readable = text.replace(/@(?=[/?])/, '@localhost')
  try {
    const parsed = new URL(readable)
    if (parsed.hash !== '') throw new TypeError('a fragment')
    decodeURIComponent(parsed.password)
    decodeURIComponent(parsed.username)
    return parsed
  } catch {
    // The cause would quote the password.
    throw new RowmillError('CONFIG_INVALID', `${setting} ${notUrl}.`)
  }
}
