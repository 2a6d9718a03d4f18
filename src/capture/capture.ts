/**
 * Capture: an SDK's request becomes durable records on the log.
 *
 * The v0 routes live here; `v1/`, `replay/`, `ai/` and `otel/` bring their own routes and share what is in this
 * folder. A request goes
 *
 *     decode → read → build → admission → sink → answer
 *
 * or, where what was unpacked is plain JSON of ordinary events, as most is, takes `quick/` instead of `read` and
 * `build`. It is answered with success only after the log has made its events durable, all of them in one append. One
 * invalid event refuses the whole request. Events that admission drops are accepted, and their reasons are
 * written on the log in the same append.
 */
import { isRowmillError, type RowmillError } from '../errors/rowmill-error.ts'
import type { RawRequest, RawResponse, Route } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { createUuidSource } from '../std/uuid.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Admission, AdmissionPipeline } from './admission/types.ts'
import { type AiLanePredicate, refuseOtherEvents } from './ai/ai-lane.ts'
import { preflightResponse, refusalResponse, successResponse } from './answer.ts'
import { buildEvents, type EventContext } from './build-event.ts'
import type { CapturedEvent, RoutedEvent } from './captured-event.ts'
import { clientIp } from './client-ip.ts'
import type { CaptureConfig } from './config.ts'
import { asksForDebug, type DebugFacts, type DebugTrace, traceRequest } from './debug/debug.ts'
import { textOf, unpackPayload } from './decode.ts'
import { createGateway } from './gateway/gateway.ts'
import { readQuickly } from './quick/quick.ts'
import { querySentAt, readRequest } from './request.ts'
import { createSink } from './sink.ts'
import type { RecordSink } from './sinks/record-sink.ts'
import { formatSentAt } from './timestamp.ts'
import { findCutIds, findRefusal, readSdk } from './warnings/find-warnings.ts'
import { type CaptureWarnings, createWarnings } from './warnings/warnings.ts'

export type CapturePorts = {
  /** The log, or what stands in its place. */
  log: RecordSink
  admission: Pick<Admission, 'admit'>
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
}
export type CaptureSettings = CaptureConfig & {
  aiLanePredicate: AiLanePredicate
  /** Every route refuses what is no AI event. */
  isAiOnly?: boolean
}

export type EventsRoute = {
  path: string
  /** `/engage`: an event without a name is an `$identify`. */
  acceptsEngage?: boolean
  /** The oldest routes: what was unpacked may be base64 once more. */
  unwrapsTwice?: boolean
  methods?: readonly string[]
  pipeline?: AdmissionPipeline
  /** Refuses what this route does not take, before admission. */
  check?: (events: readonly CapturedEvent[]) => void
}

export type Capture = {
  routes: Route[]
  /** A route that takes events as the v0 routes do, for lanes with rules of their own. */
  createEventsRoute(route: EventsRoute): Route
}

const oldRoutes: readonly EventsRoute[] = [
  { path: '/e', unwrapsTwice: true },
  { path: '/i/v0/e' },
  { path: '/capture', unwrapsTwice: true },
  { path: '/track', unwrapsTwice: true },
  { path: '/engage', unwrapsTwice: true, acceptsEngage: true },
  { path: '/batch' },
]

export function createCapture(ports: CapturePorts, config: CaptureSettings): Capture {
  const capture = createEventsRoutes(ports, config)
  const aiOnly = { pipeline: 'ai', check: refuseOtherEvents } as const
  const routes = oldRoutes.map((route) => (config.isAiOnly === true ? { ...route, ...aiOnly } : route))
  return {
    routes: [...routes.map(capture), blackHole(config)],
    createEventsRoute: capture,
  }
}

function createEventsRoutes(ports: CapturePorts, config: CaptureSettings): (route: EventsRoute) => Route {
  const sink = createSink(ports, config)
  const uuids = createUuidSource((length) => ports.random.bytes(length))
  const uuidV7 = (ms: number) => uuids.v7(ms)
  const warnings = createWarnings({ ...ports, sink }, config.warnings)
  const gateway = createGateway(ports.metrics, config)
  const take = async (request: RawRequest, given: ReadingOf, trace?: DebugTrace): Promise<RawResponse> => {
    const { route } = given
    ports.metrics.observe('capture_raw_payload_size', request.body.length)
    const bare = isBareJson(request) ? readUsual(request.body, request, given) : undefined
    const { events: read, query } =
      bare === undefined ? await readEvents(request, given) : { events: bare, query: undefined }
    trace?.tell(given.seen)
    route.check?.(read)
    const events = gateway.judge(read, { headers: request.headers, nowMs: ports.clock.now() })
    const { accepted, dropped } = ports.admission.admit(events, route.pipeline ?? 'analytics')
    trace?.tell({ accepted: accepted.length, dropped: dropped.length })
    if (warnings.isEnabled) accepted.push(...warnOfCutIds(warnings, accepted, given))
    await sink.publish(accepted, dropped)
    return successResponse(request.headers, { isBeacon: query?.get('beacon') === '1' })
  }
  const accept = async (
    request: RawRequest,
    route: EventsRoute,
    trace?: DebugTrace,
  ): Promise<RawResponse> => {
    const given: ReadingOf = { ports, config, route, uuidV7, seen: {} }
    try {
      return await take(request, given, trace)
    } catch (error) {
      trace?.tell(given.seen)
      if (isRowmillError(error)) {
        countRefusal(ports.metrics, error)
        if (warnings.isEnabled) await warnOfRefusal(warnings, error, given)
      }
      throw error
    }
  }
  return (route) => ({
    path: route.path,
    methods: route.methods ?? ['GET', 'POST', 'OPTIONS'],
    bodyBytesMax: config.payloadBytesMax,
    refuse: (error, request) => refusalResponse(error, request.headers, config.retryAfterS),
    async handle(request) {
      if (request.method === 'OPTIONS') return preflightResponse(request.headers)
      const requestId = request.headers['x-request-id']
      if (requestId !== undefined) ports.logger.debug({ requestId, path: route.path }, 'A request of events')
      if (!asksForDebug(request.headers)) return accept(request, route)
      const { logger } = ports
      return traceRequest({ logger, route: route.path, request }, (trace) => accept(request, route, trace))
    },
  })
}

function warnOfCutIds(
  warnings: CaptureWarnings,
  accepted: readonly RoutedEvent[],
  { seen, route }: ReadingOf,
): RoutedEvent[] {
  const events = accepted.map(({ event }) => event)
  const found = findCutIds(events)
  if (found.length === 0) return []
  return warnings.route(found, { token: seen.token ?? '', path: route.path, sdk: readSdk(events) })
}

/** Without a token nobody could be told. */
async function warnOfRefusal(
  warnings: CaptureWarnings,
  error: RowmillError,
  { seen, route }: ReadingOf,
): Promise<void> {
  const { token, received = 1 } = seen
  if (token !== undefined) await warnings.send(findRefusal(error, received), { token, path: route.path })
}

type ReadingOf = {
  ports: CapturePorts
  config: CaptureSettings
  route: EventsRoute
  uuidV7: (ms: number) => string
  /** What is known of the request so far. */
  seen: DebugFacts
}
type Sent = { token: string; sentAtMs: number | undefined; isHistorical: boolean }

/** The events of a request whose payload holds only what is usual; undefined otherwise. */
function readUsual(
  payload: Buffer,
  request: RawRequest,
  given: ReadingOf & { query?: URLSearchParams | undefined },
): CapturedEvent[] | undefined {
  const { metrics } = given.ports
  const quick = readQuickly(payload)
  if (quick === undefined) return undefined
  metrics.observe('capture_full_payload_size', payload.length)
  metrics.count('capture_events_received_total', quick.length)
  metrics.observe('capture_event_batch_size', quick.length)
  given.seen.token = quick.token
  given.seen.received = quick.length
  const { token, isHistorical, sentAtMs = querySentAt(given.query) } = quick
  return quick.build(contextOf(request, { token, isHistorical, sentAtMs }, given))
}

/** Whether what was sent is JSON text without any wrapping. */
function isBareJson(request: RawRequest): boolean {
  const { headers, queryText } = request
  return (
    queryText === '' &&
    headers['content-encoding'] === undefined &&
    headers['content-type'] !== 'application/x-www-form-urlencoded'
  )
}

/** Unpacks, checks and builds the events of a request, in all their forms; gives the request's query too. */
async function readEvents(
  request: RawRequest,
  given: ReadingOf,
): Promise<{ events: CapturedEvent[]; query: URLSearchParams | undefined }> {
  const { ports, config, route } = given
  const { metrics } = ports
  const unpacked = await unpackPayload(request, {
    payloadBytesMax: config.payloadBytesMax,
    reserve: request.reserve,
  })
  const { content, query, compression } = unpacked
  given.seen.compression = compression
  // What came bare has been tried already.
  const isTried = content === request.body && isBareJson(request)
  const usual =
    typeof content === 'string' || isTried ? undefined : readUsual(content, request, { ...given, query })
  if (usual !== undefined) return { events: usual, query }
  const text = textOf(unpacked, { unwrapsTwice: route.unwrapsTwice === true })
  metrics.observe('capture_full_payload_size', text.length)
  const sent = readRequest(text, query, { acceptsEngage: route.acceptsEngage === true })
  metrics.count('capture_events_received_total', sent.events.length)
  metrics.observe('capture_event_batch_size', sent.events.length)
  given.seen.token = sent.token
  given.seen.received = sent.events.length
  const context = contextOf(request, sent, given)
  const events: CapturedEvent[] = []
  for (const one of sent.events) {
    const built = buildEvents(one, context)
    if (built.length > 1) metrics.count('capture_heatmap_redirects_created')
    events.push(...built)
  }
  return { events, query }
}

function contextOf(request: RawRequest, sent: Sent, given: ReadingOf): EventContext {
  const { ports, config } = given
  return {
    token: sent.token,
    ip: clientIp(request, config.trustProxy),
    nowMs: ports.clock.now(),
    sentAtMs: sent.sentAtMs,
    sentAt: sent.sentAtMs === undefined ? undefined : formatSentAt(sent.sentAtMs),
    isHistorical: sent.isHistorical,
    aiLanePredicate: config.aiLanePredicate,
    uuidV7: given.uuidV7,
  }
}

function countRefusal(metrics: Metrics, error: RowmillError): void {
  const stage =
    error.code === 'TOKEN_INVALID' ? 'token_validation' : error.entry.status < 500 ? 'parsing' : 'sink'
  metrics.count('capture_error_by_stage_and_type', 1, { stage_name: stage, error_type: error.code })
}

/** Takes anything and keeps nothing: for load tests of what stands in front. */
function blackHole(config: CaptureSettings): Route {
  return {
    path: '/test/black_hole',
    methods: ['GET', 'POST', 'OPTIONS'],
    bodyBytesMax: config.payloadBytesMax,
    refuse: (error, request) => refusalResponse(error, request.headers, config.retryAfterS),
    handle: async (request) =>
      request.method === 'OPTIONS' ? preflightResponse(request.headers) : successResponse(request.headers),
  }
}
