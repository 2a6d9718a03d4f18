/** A request of ClickHouse's HTTP interface, read from its URL and headers. The body is left alone. */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Coding, chooseCoding } from '../codec/encodings.ts'
import { failure } from '../failure.ts'

export type HostRequest = {
  queryId: string
  /** The query in the URL; the body follows it. */
  query: string
  isGet: boolean
  /** Where unqualified tables are looked up, when the request says so. */
  database: string | undefined
  format: string
  settings: ReadonlyMap<string, string>
  parameters: ReadonlyMap<string, string>
  session: { id: string; timeoutMs: number; mustExist: boolean } | undefined
  contentCoding: string
  isBodyInBlocks: boolean
  answerCoding: Coding | undefined
  isAnswerInBlocks: boolean
  isAnswerWhole: boolean
}

export type Credentials = { user: string; password: string }

/** Parameters that mean something to the interface itself; all others are settings. */
const ownNames = new Set([
  ...['query', 'database', 'default_format', 'query_id', 'session_id', 'session_timeout', 'session_check'],
  ...['user', 'password', 'compress', 'decompress', 'buffer_size', 'wait_end_of_query', 'quota_key', 'role'],
  ...['stacktrace', 'close_session', 'client_protocol_version', 'enable_http_compression'],
  ...['http_zlib_compression_level', 'cancel_http_readonly_queries_on_client_close', 'add_http_cors_header'],
  // The embedded engine has no queue of asynchronous inserts: every insert is done when it is answered.
  ...['async_insert', 'wait_for_async_insert'],
])

const sessionTimeoutSecondsMax = 3600

export function readRequest(message: IncomingMessage, url: URL, defaults: { format: string }): HostRequest {
  const { searchParams: params } = url
  const settings = new Map<string, string>()
  const parameters = new Map<string, string>()
  for (const [name, value] of params) {
    if (name.startsWith('param_')) parameters.set(settingName(name.slice('param_'.length)), value)
    else if (!ownNames.has(name)) settings.set(settingName(name), value)
  }
  const accepted = headerOf(message, 'accept-encoding')
  return {
    queryId: params.get('query_id') || randomUUID(),
    query: params.get('query') ?? '',
    isGet: message.method !== 'POST',
    database: params.get('database') || headerOf(message, 'x-clickhouse-database') || undefined,
    format: formatName(
      params.get('default_format') || headerOf(message, 'x-clickhouse-format') || defaults.format,
    ),
    settings,
    parameters,
    session: readSession(params),
    contentCoding: headerOf(message, 'content-encoding'),
    isBodyInBlocks: isOn(params.get('decompress')),
    answerCoding: isOn(params.get('enable_http_compression')) ? chooseCoding(accepted) : undefined,
    isAnswerInBlocks: isOn(params.get('compress')),
    isAnswerWhole: isOn(params.get('wait_end_of_query')),
  }
}

/** Throws AUTHENTICATION_FAILED unless the request carries the host's user and password in one of ClickHouse's ways. */
export function authenticate(message: IncomingMessage, url: URL, expected: Credentials): void {
  const given = credentialsOf(message, url)
  const isUser = isSame(given.user, expected.user)
  if (isSame(given.password, expected.password) && isUser) return
  throw failure(
    'AUTHENTICATION_FAILED',
    `${given.user}: Authentication failed: password is incorrect, or there is no user with such name.`,
  )
}

function credentialsOf(message: IncomingMessage, url: URL): Credentials {
  const basic = /^Basic (.+)$/i.exec(headerOf(message, 'authorization'))?.[1]
  if (basic !== undefined) {
    const [user = '', ...password] = Buffer.from(basic, 'base64').toString().split(':')
    return { user, password: password.join(':') }
  }
  const { searchParams: params } = url
  return {
    user: headerOf(message, 'x-clickhouse-user') || params.get('user') || 'default',
    password: headerOf(message, 'x-clickhouse-key') || params.get('password') || '',
  }
}

function readSession(params: URLSearchParams): HostRequest['session'] {
  const id = params.get('session_id')
  if (id === null || id === '') return undefined
  const seconds = Number(params.get('session_timeout') ?? 60)
  if (!(seconds > 0 && seconds <= sessionTimeoutSecondsMax))
    throw failure(
      'BAD_ARGUMENTS',
      `Session timeout must be between 1 and ${sessionTimeoutSecondsMax} seconds.`,
    )
  return { id, timeoutMs: seconds * 1000, mustExist: isOn(params.get('session_check')) }
}

function settingName(name: string): string {
  if (!/^[A-Za-z_]\w*$/.test(name))
    throw failure('UNKNOWN_SETTING', `Unknown setting ${JSON.stringify(name)}.`)
  return name
}

function formatName(name: string): string {
  if (!/^\w+$/.test(name)) throw failure('BAD_ARGUMENTS', `Unknown format ${JSON.stringify(name)}.`)
  return name
}

function headerOf(message: IncomingMessage, name: string): string {
  const value = message.headers[name]
  return Array.isArray(value) ? value.join(',') : (value ?? '')
}

function isOn(value: string | null): boolean {
  return value !== null && value !== '' && value !== '0' && value.toLowerCase() !== 'false'
}

function isSame(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}
