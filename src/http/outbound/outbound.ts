/**
 * Requests to the outside on behalf of somebody who is not trusted: a plugin, or a user who typed a URL.
 *
 * What holds:
 * - A request goes to public addresses only, and to what the config allows besides. Names are resolved here,
 *   every address of a name is checked, and the connection is made to an address that was checked. Each
 *   redirect is a new destination and is checked anew.
 * - Bytes, time, redirects and requests at once are bounded; whatever the other side does ends by then.
 * - Credentials do not follow a redirect to another origin.
 * - An answer is a value whatever its status. Errors are those of the policy, the bounds, and the network; they
 *   tell the host that was asked for, never the address that it has.
 */
import http from 'node:http'
import https from 'node:https'
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { createAddressPolicy } from './addresses.ts'
import type { OutboundConfig } from './config.ts'
import { checkDestination, type Resolve, refusal, resolveByMachine } from './destination.ts'
import { type ExchangeAnswer, type ExchangeRequest, exchange } from './exchange.ts'
import { createTurns } from './turns.ts'

export type OutboundRequest = {
  url: string
  /** Default GET. */
  method?: string
  headers?: readonly (readonly [string, string])[]
  body?: string | Uint8Array
}

export type OutboundAnswer = ExchangeAnswer & {
  /** Where the answer came from after redirects. */
  url: string
  redirects: number
}

export interface Outbound extends Disposable {
  /**
   * Throws `OUTBOUND_REFUSED`, `OUTBOUND_FAILED`, `OUTBOUND_TIMEOUT`, `OUTBOUND_TOO_LARGE`, `OUTBOUND_BUSY`, and the
   * signal's reason.
   */
  fetch(request: OutboundRequest, options: { signal: AbortSignal }): Promise<OutboundAnswer>
}

export type OutboundContext = {
  config: OutboundConfig
  clock: Clock
  metrics: Metrics
  /** How names become addresses; default: as this machine does it. */
  resolve?: Resolve
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const credentials = new Set(['authorization', 'cookie'])
const idleMs = 5000

export function createOutbound(context: OutboundContext): Outbound {
  const { config, clock, metrics } = context
  const policy = createAddressPolicy(config.addressesAllowed)
  const turns = createTurns(config)
  const limits = { keepAlive: true, maxFreeSockets: config.requestsMax, timeout: idleMs }
  const agents = { http: new http.Agent(limits), https: new https.Agent(limits) }
  const send = async (request: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer> => {
    using _turn = await turns.take(signal)
    return await follow(prepare(request, config), {
      signal,
      redirectsMax: config.redirectsMax,
      check: (url, base) =>
        untilAborted(
          checkDestination(url, { config, policy, base, resolve: context.resolve ?? resolveByMachine }),
          signal,
        ),
      ask: (destination, sent) => exchange(destination, sent, { config, policy, agents, signal }),
    })
  }
  return {
    async fetch(request, options) {
      const over = new AbortController()
      const late = new AbortController()
      void clock.sleep(config.timeoutMs, { signal: over.signal }).then(() => {
        if (!over.signal.aborted) late.abort(tooLate(config.timeoutMs))
      })
      try {
        const answer = await send(request, AbortSignal.any([options.signal, late.signal]))
        metrics.count('outbound_requests_total', 1, { outcome: 'answered' })
        return answer
      } catch (cause) {
        options.signal.throwIfAborted()
        const error = late.signal.aborted ? tooLate(config.timeoutMs) : failureOf(cause)
        metrics.count('outbound_requests_total', 1, {
          outcome: error.code.slice('OUTBOUND_'.length).toLowerCase(),
        })
        throw error
      } finally {
        over.abort()
      }
    },
    [Symbol.dispose]() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

type Prepared = ExchangeRequest & { url: string }
type Destination = Awaited<ReturnType<typeof checkDestination>>
type FollowOptions = {
  signal: AbortSignal
  redirectsMax: number
  check: (url: string, base: URL | undefined) => Promise<Destination>
  ask: (destination: Destination, request: ExchangeRequest) => Promise<ExchangeAnswer>
}

async function follow(first: Prepared, options: FollowOptions): Promise<OutboundAnswer> {
  let request = first
  let base: URL | undefined
  for (let redirects = 0; ; redirects++) {
    const destination = await options.check(request.url, base)
    const { url } = destination
    if (base !== undefined && base.origin !== url.origin)
      request = {
        ...request,
        headers: request.headers.filter(([name]) => !credentials.has(name.toLowerCase())),
      }
    const answer = await options.ask(destination, request)
    const location = answer.headers.find(([name]) => name === 'location')?.[1]
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined)
      return { ...answer, url: url.href, redirects }
    if (redirects >= options.redirectsMax)
      throw refusal(`${url.hostname} redirects more than ${options.redirectsMax} times.`)
    base = url
    request = redirected({ ...request, url: location }, answer.status)
  }
}

/** A redirect that is not told to keep the method becomes a GET, as every browser does it. */
function redirected(request: Prepared, status: number): Prepared {
  const isKept = status === 307 || status === 308 || request.method === 'GET' || request.method === 'HEAD'
  const isUnaffected = status !== 303 && request.method !== 'POST'
  if (isKept || isUnaffected) return request
  const headers = request.headers.filter(([name]) => !name.toLowerCase().startsWith('content-'))
  return { ...request, method: 'GET', headers, body: undefined }
}

function prepare(
  { url, method = 'GET', headers = [], body }: OutboundRequest,
  config: OutboundConfig,
): Prepared {
  const name = method.toUpperCase()
  if (!methods.has(name)) throw refusal('The method of an outbound request is none of the usual ones.')
  const bytes = body === undefined ? undefined : Buffer.from(body)
  if (bytes !== undefined && bytes.length > config.requestBytesMax)
    throw new RowmillError(
      'OUTBOUND_TOO_LARGE',
      `An outbound request has more than ${config.requestBytesMax} bytes.`,
    )
  return { url, method: name, headers, body: bytes }
}

/** The machine's resolver cannot be interrupted; who waits for it can. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function tooLate(timeoutMs: number): RowmillError {
  return new RowmillError('OUTBOUND_TIMEOUT', `An outbound request took longer than ${timeoutMs} ms.`)
}

function failureOf(cause: unknown): RowmillError {
  if (isRowmillError(cause)) return cause
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new RowmillError('OUTBOUND_FAILED', `An outbound request got no answer${code}.`, { cause })
}
