/**
 * OTLP over HTTP: `/i/v0/ai/otel` takes trace exports in protobuf or JSON, and makes an event of each span that
 * is about AI. Exporters never send a span twice on purpose, but they repeat requests that they heard no answer
 * to: an event's uuid is made of its span, so that ingest knows it again.
 *
 * Nothing that a repetition would not change is an error: spans over a limit, over quota or unwanted are told as
 * rejected in an answer of success.
 */
import { isRetryable, isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { RawRequest, RawResponse, RefusedRequest, Route } from '../../http/route.ts'
import { createUuidSource, uuidV4, uuidV5 } from '../../std/uuid.ts'
import { corsHeaders, preflightResponse } from '../answer.ts'
import type { CapturePorts } from '../capture.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { clientIp } from '../client-ip.ts'
import { normalizeDistinctId } from '../distinct-id.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'
import { bearerToken } from '../intake/bearer.ts'
import { readWholeBody } from '../intake/gunzip.ts'
import type { IntakeConfig } from '../intake/intake.ts'
import { publishApart } from '../intake/publish-apart.ts'
import { createSink, type Sink } from '../sink.ts'
import { computeTimestamp } from '../timestamp.ts'
import type { OtelConfig } from './config.ts'
import { decodeJsonTraces } from './decode-json.ts'
import { decodeProtobufTraces } from './decode-protobuf.ts'
import { encodeExportResponse, encodeStatus, type OtlpFormat, otlpContentTypes } from './export-response.ts'
import { OtlpError, type OtlpTraces } from './otlp.ts'
import { expandSpans, type SpanEvent } from './span-events.ts'

export type OtelSettings = OtelConfig & Omit<IntakeConfig, 'warnings'>

/** Exporters that are given a base address put the name of the signal behind it. */
const paths = ['/i/v0/ai/otel', '/i/v0/ai/otel/v1/traces'] as const

/** The uuid of a span's event is one of this namespace. */
const spanNamespace = '5b1f0c0e-7a6d-4e0c-9a55-2f6c1d8e4b93'

export function createOtelRoutes(ports: CapturePorts, config: OtelSettings): Route[] {
  const uuids = createUuidSource((length) => ports.random.bytes(length))
  const gateway = createGateway(ports.metrics, config)
  const scene = { ports, config, uuids, gateway, sink: createSink(ports, config) }
  return paths.map((path) => ({
    methods: ['POST', 'OPTIONS'],
    path,
    bodyBytesMax: config.bodyBytesMax,
    handle: async (request) =>
      request.method === 'OPTIONS' ? preflightResponse(request.headers) : takeExport(scene, request),
    refuse: (error, request) => refusal(error, request, config.retryAfterS),
  }))
}

type Scene = {
  ports: CapturePorts
  config: OtelSettings
  uuids: { v7(ms: number): string }
  sink: Sink
  gateway: Gateway
}

async function takeExport(scene: Scene, request: RawRequest): Promise<RawResponse> {
  const { ports, config } = scene
  const nowMs = ports.clock.now()
  if (request.body.length === 0) throw new RowmillError('EVENT_INVALID', 'request missing data payload')
  const token = bearerToken(request.headers)
  const format = formatOf(request.headers)
  if (format === undefined)
    throw new RowmillError(
      'EVENT_INVALID',
      'failed to decode request: Content-Type must be application/x-protobuf or application/json',
    )
  const body = await readWholeBody(request, config.bodyBytesMax)
  const { events, shed } = expandSpans(decode(body, format), config, uuidV4(ports.random.bytes(16)))
  const ip = clientIp(request, config.trustProxy)
  const captured = events.map((event) => captureSpan(scene, event, { token, nowMs, ip }))
  const { headers } = request
  const judged = scene.gateway.judgeExport(captured, { headers, nowMs, token, body: request.body })
  const admitted = ports.admission.admit(judged, 'ai')
  const published = await publishApart(scene.sink, admitted.accepted, admitted.dropped)
  const [lost] = published.unpersisted
  if (lost !== undefined) throw lost.error
  // What the operator drops by token is dropped silently, as on every route.
  const told = admitted.dropped.filter(({ reason }) => reason !== 'token_dropper')
  const rejected = shed + told.length + published.tooLarge.length
  const reasons = [
    ...(shed === 0 ? [] : [`${shed} over the limit of spans in a request`]),
    ...new Set(told.map(({ reason }) => reason)),
    ...(published.tooLarge.length === 0 ? [] : ['event_too_big']),
  ]
  return respond(
    request,
    format,
    encodeExportResponse(format, { spans: rejected, message: reasons.join(', ') }),
  )
}

function decode(body: Buffer, format: OtlpFormat): OtlpTraces {
  try {
    return format === 'json' ? decodeJsonTraces(body) : decodeProtobufTraces(body)
  } catch (cause) {
    if (!(cause instanceof OtlpError)) throw cause
    throw new RowmillError('EVENT_INVALID', `failed to parse request: ${cause.message}`, { cause })
  }
}

function captureSpan(
  { uuids }: Scene,
  span: SpanEvent,
  around: { token: string; nowMs: number; ip: string },
): CapturedEvent {
  const { nowMs, token, ip } = around
  const timestamp = span.timestampMs === undefined ? undefined : new Date(span.timestampMs).toISOString()
  const input = { timestamp, offsetMs: undefined, sentAtMs: undefined, ignoresSentAt: true, nowMs }
  const timestampMs = computeTimestamp(input)
  const name = `${token}:${span.properties.$ai_trace_id}:${span.properties.$ai_span_id}`
  const uuid = span.properties.$ai_span_id === '' ? uuids.v7(timestampMs) : uuidV5(name, spanNamespace)
  const distinctId = normalizeDistinctId(span.distinctId) ?? uuid
  const data = { event: span.event, distinct_id: distinctId, uuid, properties: span.properties, timestamp }
  return {
    uuid,
    distinctId,
    event: span.event,
    token,
    ip,
    nowMs,
    sentAt: undefined,
    timestampMs,
    data: JSON.stringify(data),
    sessionId: null,
    kind: 'ai',
    isCookieless: false,
    isHistorical: false,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
  }
}

function formatOf(headers: RefusedRequest['headers']): OtlpFormat | undefined {
  const type = (headers['content-type'] ?? '').trim().toLowerCase()
  if (type.startsWith('application/x-protobuf')) return 'protobuf'
  return type.startsWith('application/json') ? 'json' : undefined
}

function refusal(error: RowmillError, request: RefusedRequest, retryAfterS: number): RawResponse {
  const { status } = error.entry
  const format = formatOf(request.headers) ?? 'json'
  const message = status < 500 ? error.message : error.entry.means
  const later = isRowmillError(error) && isRetryable(error) && status === 503
  const answer = respond(request, format, encodeStatus(format, message))
  return {
    ...answer,
    status,
    headers: { ...answer.headers, ...(later ? { 'retry-after': String(retryAfterS) } : {}) },
  }
}

function respond({ headers }: RefusedRequest, format: OtlpFormat, body: Buffer): RawResponse {
  return { status: 200, headers: { 'content-type': otlpContentTypes[format], ...corsHeaders(headers) }, body }
}
