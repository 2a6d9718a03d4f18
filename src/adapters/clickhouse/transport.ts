/**
 * Requests of ClickHouse's HTTP interface with Node's own client: kept connections per host, TLS, time limits,
 * packed answers, and answers that are whole or fail.
 */
import { readFile } from 'node:fs/promises'
import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
  type RequestOptions,
} from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { WarehouseConfig } from './config.ts'
import { readFailure } from './failures.ts'

export type HttpRequest = {
  /** Below the host's own path: `/?query=…`. */
  path: string
  headers: Readonly<Record<string, string>>
  body: readonly Buffer[]
  signal?: AbortSignal | undefined
}

export type HttpAnswer = { headers: IncomingMessage['headers']; body: Readable }

export interface Transport extends AsyncDisposable {
  /** Resolves with an answer of status 200, whose body fails when it is cut. Throws `ServerFailure` or the socket's error. */
  send(host: string, request: HttpRequest): Promise<HttpAnswer>
  /** Whether the host gives a sign of life. */
  ping(host: string): Promise<boolean>
}

/** Idle connections are closed before ClickHouse does: an old one of its versions waits 3 s. */
const idleConnectionMs = 2500

/** A request that the host cannot have seen, so that it may be sent again whatever it is. */
const unseen = new WeakSet<Error>()
/** A kept connection was closed at the other end as it was used again. */
const stale = new WeakSet<Error>()

export const isUnseen = (error: unknown): boolean => error instanceof Error && unseen.has(error)
export const isStale = (error: unknown): boolean => error instanceof Error && stale.has(error)

/** Fails with `CONFIG_INVALID` when the authority cannot be read. */
export async function openTransport(
  { clock }: { clock: Clock },
  config: WarehouseConfig & { user: string; password: string },
): Promise<Transport> {
  const { connectTimeoutMs, requestTimeoutMs } = config
  const options = { keepAlive: true, maxSockets: config.connectionsMax, timeout: idleConnectionMs }
  const ca = config.caCert === undefined ? {} : { ca: await readAuthority(config.caCert) }
  const plain = new PlainAgent(options)
  const tls = new TlsAgent({ ...options, ...ca, rejectUnauthorized: config.isVerified })
  const authorization = `Basic ${Buffer.from(`${config.user}:${config.password}`).toString('base64')}`
  const requestTo = (host: string, path: string, options: RequestOptions): ClientRequest => {
    const url = new URL(`${host}${path}`)
    return url.protocol === 'https:'
      ? tlsRequest(url, { ...options, agent: tls })
      : plainRequest(url, { ...options, agent: plain })
  }
  return {
    send: async (host, request) => {
      const { path, headers, body, signal } = request
      const length = body.reduce((bytes, part) => bytes + part.length, 0)
      const sent = requestTo(host, path, {
        method: 'POST',
        timeout: requestTimeoutMs,
        headers: { Authorization: authorization, 'Content-Length': length, ...headers },
        ...(signal === undefined ? {} : { signal }),
      })
      return await exchange(clock, sent, { body, connectTimeoutMs })
    },
    async ping(host) {
      const sent = requestTo(host, '/ping', { method: 'GET', timeout: connectTimeoutMs })
      try {
        const { body } = await exchange(clock, sent, { body: [], connectTimeoutMs })
        for await (const _ of body);
        return true
      } catch {
        return false
      }
    },
    async [Symbol.asyncDispose]() {
      plain.destroy()
      tls.destroy()
    },
  }
}

async function readAuthority(value: string): Promise<string> {
  if (value.includes('-----BEGIN ')) return value.replaceAll('\\n', '\n')
  try {
    const text = await readFile(value, 'utf8')
    if (text.includes('-----BEGIN ')) return text
  } catch (cause) {
    throw new RowmillError(
      'CONFIG_INVALID',
      `warehouse.caCert (CLICKHOUSE_CA) names ${value}, which cannot be read; give a readable PEM file, or the PEM text itself.`,
      { cause },
    )
  }
  throw new RowmillError(
    'CONFIG_INVALID',
    `warehouse.caCert (CLICKHOUSE_CA) names ${value}, which is no PEM file; it must hold a line -----BEGIN CERTIFICATE-----.`,
  )
}

async function exchange(clock: Clock, sent: ClientRequest, sending: Sending): Promise<HttpAnswer> {
  const { body, connectTimeoutMs } = sending
  const answered = Promise.withResolvers<IncomingMessage>()
  let isConnected = false
  sent.once('response', answered.resolve)
  sent.once('socket', (socket) => {
    if (!socket.connecting) isConnected = true
    else limitConnecting(clock, sent, { socket, connectTimeoutMs, onConnect: () => (isConnected = true) })
  })
  sent.once('timeout', () => sent.destroy(new Error('ClickHouse was silent for too long.')))
  sent.on('error', (error: NodeJS.ErrnoException) => {
    if (!isConnected) unseen.add(error)
    else if (sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) stale.add(error)
    answered.reject(error)
  })
  const [only] = body
  if (body.length <= 1) sent.end(only)
  else {
    for (const part of body) sent.write(part)
    sent.end()
  }
  const message = await answered.promise
  if (message.statusCode !== 200 || message.headers['x-clickhouse-exception-code'] !== undefined)
    throw await readFailure(message)
  return { headers: message.headers, body: decoded(message) }
}

type Sending = { body: readonly Buffer[]; connectTimeoutMs: number }
type Connecting = { socket: Socket; connectTimeoutMs: number; onConnect: () => void }

function limitConnecting(clock: Clock, sent: ClientRequest, connecting: Connecting): void {
  const { socket, connectTimeoutMs, onConnect } = connecting
  const over = new AbortController()
  socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
    onConnect()
    over.abort()
  })
  socket.once('close', () => over.abort())
  void clock.sleep(connectTimeoutMs, { signal: over.signal }).then(() => {
    if (!over.signal.aborted)
      sent.destroy(new Error(`ClickHouse has not accepted a connection for ${connectTimeoutMs} ms.`))
  })
}

/** An answer says how long it is, or is cut into chunks: without either nobody sees that its end is missing. */
function decoded(message: IncomingMessage): Readable {
  const { headers } = message
  const isFramed = headers['content-length'] !== undefined || headers['transfer-encoding'] === 'chunked'
  if (!isFramed) {
    message.destroy()
    throw new Error('An answer came without its length; a proxy on the way to ClickHouse must keep it.')
  }
  const coding = headers['content-encoding']
  if (coding === undefined || coding === 'identity') return message
  if (coding === 'gzip') return pipeline(message, createGunzip(), () => undefined)
  message.destroy()
  throw new Error(`An answer came packed as ${coding}, which was not asked for.`)
}
