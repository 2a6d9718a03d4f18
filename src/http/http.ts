/**
 * The HTTP server: one listener on `node:http` for every route of the program.
 *
 * What holds:
 * - Everything that a client can make the server hold has a bound: connections, header bytes and time, requests
 *   in flight, body bytes per route and over all requests, pauses inside a body. Beyond a bound the answer comes
 *   at once (413, 408, 503 with Retry-After). Status routes are answered even then.
 * - A request leaves the books (in-flight bytes and count, metrics) when its answer has left or its connection
 *   has ended, whichever comes first, and exactly once.
 * - `drain` stops listening, lets the requests in flight finish, and destroys what is left when its signal aborts.
 * - An operating error of a handler is answered as its route tells it; anything else is a bug: logged, 500.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type BodyReader, busy, createBodyReader, discardBody } from './body.ts'
import type { HttpConfig } from './config.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import { errorResponse, sendResponse } from './respond.ts'
import type { RawResponse, RawRoute, Route, StreamRoute } from './route.ts'
import { createRouteTable, type RouteTable } from './route-table.ts'

export type HttpPorts = { logger: Logger; metrics: Metrics; clock: Clock }
export type HttpOptions = HttpConfig & {
  host: string
  port: number
  fallback?: HttpFallback | undefined
}
/** Gets every request whose path no route knows, such as another framework's router. */
export type HttpFallback = (request: IncomingMessage, response: ServerResponse) => void

export interface HttpServer extends AsyncDisposable {
  readonly address: { host: string; port: number; url: string }
  /** Requests that begin from now on are answered by these routes. */
  replaceRoutes(routes: readonly Route[], fallback?: HttpFallback): void
  /** False from the beginning of `drain` on: what readiness tells. */
  readonly isOpen: boolean
  /** Stops listening and waits for the requests in flight; when `signal` aborts, their connections are destroyed. */
  drain(signal: AbortSignal): Promise<void>
}

const sweepIntervalMs = 250

/** Listens, or fails with `PORT_UNUSABLE`. Port 0 is any free one. */
export async function openHttpServer(
  ports: HttpPorts,
  options: HttpOptions,
  routes: readonly Route[],
): Promise<HttpServer> {
  const inFlight = createInFlight(ports.metrics, options)
  const reader = createBodyReader(() => ports.clock.monotonic(), options.bodyStallMs)
  const exchange = new Exchanges(ports, options, { parts: { inFlight, reader }, routes })
  const server = createServer({
    keepAliveTimeout: options.keepAliveMs,
    headersTimeout: options.headersTimeoutMs,
    requestTimeout: 0,
    maxHeaderSize: options.headerBytesMax,
    connectionsCheckingInterval: Math.min(1_000, options.headersTimeoutMs),
  })
  server.maxConnections = options.connectionsMax
  server.on('request', (request, response) => exchange.begin(request, response, false))
  server.on('checkContinue', (request, response) => exchange.begin(request, response, true))
  server.on('clientError', answerBrokenClient)
  await listen(server, options)
  const sweep = setInterval(() => {
    reader.sweep()
    inFlight.report()
    server.getConnections((_error, count) => ports.metrics.set('http_connections', count ?? 0))
  }, sweepIntervalMs)
  return serverHandle(server, exchange, { inFlight, sweep, host: options.host })
}

function serverHandle(
  server: Server,
  exchange: Exchanges,
  parts: { inFlight: InFlight; sweep: NodeJS.Timeout; host: string },
): HttpServer {
  const { port } = server.address() as AddressInfo
  const host = parts.host.includes(':') ? `[${parts.host}]` : parts.host
  let closing: Promise<void> | undefined
  const close = (signal: AbortSignal) => {
    closing ??= closeServer(server, exchange, parts)
    const destroy = () => server.closeAllConnections()
    if (signal.aborted) destroy()
    else signal.addEventListener('abort', destroy, { once: true })
    return closing.finally(() => signal.removeEventListener('abort', destroy))
  }
  return {
    address: { host: parts.host, port, url: `http://${host}:${port}` },
    replaceRoutes: (routes, fallback) => exchange.replace(routes, fallback),
    get isOpen() {
      return !exchange.isDraining
    },
    drain: close,
    [Symbol.asyncDispose]: () => close(AbortSignal.abort()),
  }
}

async function closeServer(
  server: Server,
  exchange: Exchanges,
  parts: { inFlight: InFlight; sweep: NodeJS.Timeout },
): Promise<void> {
  exchange.isDraining = true
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  server.closeIdleConnections()
  await parts.inFlight.idle()
  // What is left has asked nothing: browsers open connections in advance, and node does not count them as idle.
  server.closeAllConnections()
  await closed
  clearInterval(parts.sweep)
}

function listen(server: Server, options: HttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(listenFailure(error, options))
    server.once('error', refuse)
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

const listenAdvice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; stop it, or choose another port (PORT)',
  EACCES: 'this user may not listen there; choose a port (PORT) above 1023',
  EADDRNOTAVAIL: 'this machine has no such address; choose another one (HOST)',
  ENOTFOUND: 'the name of the host is not known; choose another one (HOST)',
}

function listenFailure(cause: NodeJS.ErrnoException, { host, port }: HttpOptions): RowmillError {
  const advice = listenAdvice[cause.code ?? ''] ?? 'the cause tells more'
  return new RowmillError('PORT_UNUSABLE', `Listening on ${host}:${port} failed: ${advice}.`, { cause })
}

/** Bytes that are no HTTP: the parser gives no request, so the answer is written by hand. */
function answerBrokenClient(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

type ExchangeParts = { inFlight: InFlight; reader: BodyReader }
type ExchangeSetup = { parts: ExchangeParts; routes: readonly Route[] }

class Exchanges {
  isDraining = false
  readonly #ports: HttpPorts
  readonly #options: HttpOptions
  readonly #parts: ExchangeParts
  #table: RouteTable
  #fallback: HttpFallback | undefined

  constructor(ports: HttpPorts, options: HttpOptions, { parts, routes }: ExchangeSetup) {
    this.#ports = ports
    this.#options = options
    this.#parts = parts
    this.#table = createRouteTable(routes)
    this.#fallback = options.fallback
  }

  replace(routes: readonly Route[], fallback: HttpFallback | undefined): void {
    this.#table = createRouteTable(routes)
    this.#fallback = fallback
  }

  begin(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { inFlight } = this.#parts
    const url = request.url ?? '/'
    const mark = url.indexOf('?')
    const path = mark === -1 ? url : url.slice(0, mark)
    const match = this.#table.find(request.method ?? 'GET', path)
    const route = match?.route
    const held = this.#account(request, response, route?.path ?? 'unknown')
    if (route === undefined || match === undefined) {
      if (expectsContinue) response.writeContinue()
      this.#unrouted(request, response, path)
      return
    }
    if (inFlight.requests > this.#options.requestsInFlightMax && route.isStatus !== true) {
      this.#refuse({ request, response, path, route }, busy())
      return
    }
    const refused = (error: unknown) => this.#refuse({ request, response, path, route }, error)
    if ('stream' in route) {
      if (expectsContinue) response.writeContinue()
      this.#stream(route, { request, response, params: match.params }).catch(refused)
      return
    }
    const hold = (bytes: number) => {
      if (!inFlight.takeBytes(bytes)) return false
      held.bytes += bytes
      return true
    }
    const raw = { path, queryText: mark === -1 ? '' : url.slice(mark + 1), params: match.params, hold }
    this.#answer({ request, response, route, raw, expectsContinue }).catch(refused)
  }

  async #answer(exchange: {
    request: IncomingMessage
    response: ServerResponse
    route: RawRoute
    raw: {
      path: string
      queryText: string
      params: Readonly<Record<string, string>>
      hold: (n: number) => boolean
    }
    expectsContinue: boolean
  }): Promise<void> {
    const { request, response, route, raw } = exchange
    const reading = this.#parts.reader.read(request, route.bodyBytesMax, raw.hold)
    if (exchange.expectsContinue) response.writeContinue()
    const body = await reading
    if (body === undefined) return
    const answer = await route.handle({
      method: request.method ?? 'GET',
      path: raw.path,
      queryText: raw.queryText,
      headers: request.headers,
      params: raw.params,
      remoteAddress: request.socket.remoteAddress ?? '',
      body,
      reserve(bytes) {
        if (!raw.hold(bytes)) throw busy()
      },
    })
    sendResponse(response, answer, this.isDraining)
  }

  async #stream(
    route: StreamRoute,
    given: { request: IncomingMessage; response: ServerResponse; params: Readonly<Record<string, string>> },
  ): Promise<void> {
    await route.stream(given.request, given.response, given.params)
  }

  /** Counts the exchange in, and out when its connection or its answer ends. */
  #account(request: IncomingMessage, response: ServerResponse, path: string): { bytes: number } {
    const { inFlight } = this.#parts
    const { clock, metrics } = this.#ports
    const startedAt = clock.monotonic()
    const held = { bytes: 0 }
    inFlight.enter()
    response.on('close', () => {
      inFlight.freeBytes(held.bytes)
      inFlight.leave()
      // 499: the client went away before the answer.
      const status = response.writableFinished ? String(response.statusCode) : '499'
      const labels = { method: request.method ?? 'GET', path, status }
      metrics.count('http_requests_total', 1, labels)
      metrics.observe('http_requests_duration_seconds', (clock.monotonic() - startedAt) / 1000, labels)
    })
    return held
  }

  #unrouted(request: IncomingMessage, response: ServerResponse, path: string): void {
    const methods = this.#table.methodsOf(path)
    if (methods.length === 0 && this.#fallback !== undefined) {
      this.#fallback(request, response)
      return
    }
    const error =
      methods.length === 0
        ? new RowmillError('ROUTE_UNKNOWN', 'There is nothing at this path.')
        : new RowmillError('METHOD_UNKNOWN', `This path knows ${methods.join(', ')}.`)
    this.#refuse({ request, response, path, route: undefined }, error, methods)
  }

  #refuse(
    where: { request: IncomingMessage; response: ServerResponse; path: string; route: Route | undefined },
    cause: unknown,
    methods: readonly string[] = [],
  ): void {
    const { request, response, route } = where
    if (response.destroyed) return
    const isKnown = isRowmillError(cause)
    if (!isKnown)
      this.#ports.logger.error({ error: cause, path: route?.path }, 'A request failed unexpectedly')
    if (response.headersSent) {
      response.destroy()
      return
    }
    const error = isKnown ? cause : new RowmillError('SERVER_FAILED', 'internal error', { cause })
    const refused = { method: request.method ?? 'GET', path: where.path, headers: request.headers }
    const told: RawResponse =
      route?.refuse?.(error, refused) ?? errorResponse(error, this.#options.retryAfterS)
    // Whoever waits for a 100 sends no body after a refusal, and a stalled client perhaps never: no next request
    // can follow on these connections.
    const closes = this.isDraining || error.code === 'BODY_STALLED' || request.headers.expect !== undefined
    const answer =
      methods.length === 0 ? told : { ...told, headers: { ...told.headers, allow: methods.join(', ') } }
    sendResponse(response, answer, closes)
    discardBody(request, {
      lingerBytesMax: this.#options.lingerBytesMax,
      lingerMs: this.#options.bodyStallMs,
    })
  }
}
