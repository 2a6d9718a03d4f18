/**
 * The AI lane's own routes.
 *
 * `/i/v0/ai/batch` takes what v0's `/batch` takes, but nothing except AI events: one other event refuses the
 * request, because this lane's restrictions do not know it. `/i/v0/ai` takes one event as a multipart form,
 * whose large parts are kept in the blob store: the event holds references to them.
 */

import { RowmillError } from '../../errors/rowmill-error.ts'
import { jsonResponse } from '../../http/respond.ts'
import type { RawRequest, RawResponse, Route } from '../../http/route.ts'
import type { Blobs } from '../../ports/blobs.ts'
import { parseDate } from '../../std/parse-date.ts'
import { createUuidSource, parseUuid } from '../../std/uuid.ts'
import { corsHeaders, preflightResponse, refusalResponse } from '../answer.ts'
import { type CapturePorts, type CaptureSettings, createCapture } from '../capture.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { clientIp } from '../client-ip.ts'
import { normalizeDistinctId } from '../distinct-id.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'
import { bearerToken } from '../intake/bearer.ts'
import { readWholeBody } from '../intake/gunzip.ts'
import { createSink, type Sink } from '../sink.ts'
import { computeTimestamp, formatSentAt } from '../timestamp.ts'
import { type AiFormEvent, placeBlobs, readAiForm } from './ai-event.ts'
import { refuseOtherEvents } from './ai-lane.ts'
import { blobKey, randomSegment } from './blob-key.ts'
import type { AiConfig } from './config.ts'
import { type FormPart, parseMultipart, readBoundary } from './multipart.ts'

export type AiPorts = CapturePorts & { blobs: Pick<Blobs, 'put'> }
/** `capture` are v0's settings, of which the batch route keeps all but the size of a message. */
export type AiSettings = AiConfig & { capture: CaptureSettings }

export function createAiRoutes(ports: AiPorts, config: AiSettings): Route[] {
  const { messageBytesMax } = config
  const { createEventsRoute } = createCapture(ports, { ...config.capture, messageBytesMax })
  const uuids = createUuidSource((length) => ports.random.bytes(length))
  const scene = {
    ports,
    config,
    uuids,
    sink: createSink(ports, { messageBytesMax }),
    gateway: createGateway(ports.metrics, config.capture),
  }
  return [
    createEventsRoute({
      path: '/i/v0/ai/batch',
      methods: ['POST', 'OPTIONS'],
      pipeline: 'ai',
      check: refuseOtherEvents,
    }),
    {
      methods: ['POST', 'OPTIONS'],
      path: '/i/v0/ai',
      bodyBytesMax: wireBytesMax(config),
      handle: async (request) =>
        request.method === 'OPTIONS' ? preflightResponse(request.headers) : takeForm(scene, request),
      refuse: (error, request) => refusalResponse(error, request.headers, config.capture.retryAfterS),
    },
  ]
}

/** A tenth more than the parts may hold, for what stands between them. */
function wireBytesMax(config: AiConfig): number {
  return Math.ceil(config.partsBytesMax * 1.1)
}

type Scene = {
  ports: AiPorts
  config: AiSettings
  uuids: { v7(ms: number): string }
  sink: Sink
  gateway: Gateway
}

async function takeForm(scene: Scene, request: RawRequest): Promise<RawResponse> {
  const { ports, config } = scene
  const nowMs = ports.clock.now()
  if (request.body.length === 0) throw new RowmillError('EVENT_INVALID', 'request missing data payload')
  const boundary = boundaryOf(request)
  const token = bearerToken(request.headers)
  const body = await readWholeBody(request, wireBytesMax(config))
  const parts = readParts(body, boundary, config.partsMax)
  const form = readAiForm(parts, config)
  const key = form.blobs.length === 0 ? undefined : blobKey(token, randomSegment(ports.random))
  if (key !== undefined) placeBlobs(form, `blobs://${key}`)
  const event = captureForm(scene, form, { token, nowMs, ip: clientIp(request, config.capture.trustProxy) })
  const judged = scene.gateway.judge([event], { headers: request.headers, nowMs })
  const { accepted, dropped } = ports.admission.admit(judged, 'ai')
  // The references must not be readable before what they point to.
  if (key !== undefined && accepted.length > 0)
    await ports.blobs.put(key, Buffer.concat(form.blobs.map(({ bytes }) => bytes)))
  await scene.sink.publish(accepted, dropped)
  return jsonResponse(
    200,
    JSON.stringify({ accepted_parts: parts.map(describePart) }),
    corsHeaders(request.headers),
  )
}

function describePart(part: FormPart) {
  return {
    name: part.name,
    length: part.bytes.length,
    'content-type': part.contentType ?? null,
    'content-encoding': part.contentEncoding ?? null,
  }
}

function boundaryOf({ headers }: RawRequest): string {
  const contentType = headers['content-type'] ?? ''
  if (!/^multipart\/form-data\b/i.test(contentType))
    throw new RowmillError(
      'EVENT_INVALID',
      'failed to decode request: Content-Type must be multipart/form-data',
    )
  return asInvalid(() => readBoundary(contentType))
}

function readParts(body: Buffer, boundary: string, partsMax: number): FormPart[] {
  return asInvalid(() => parseMultipart(body, boundary, partsMax))
}

function asInvalid<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof Error) || cause.name !== 'MultipartError') throw cause
    throw new RowmillError('EVENT_INVALID', `failed to decode request: ${cause.message}`, { cause })
  }
}

function captureForm(
  { uuids }: Scene,
  form: AiFormEvent,
  around: { token: string; nowMs: number; ip: string },
): CapturedEvent {
  const { properties, sentAt } = form
  const { nowMs } = around
  const distinctId = normalizeDistinctId(form.distinctId)
  if (distinctId === undefined)
    throw new RowmillError('EVENT_INVALID', 'event submitted without a distinct_id')
  const sentAtMs = sentAt === undefined ? undefined : parseDate(sentAt)
  const timestampMs = computeTimestamp({
    timestamp: form.timestamp,
    offsetMs: undefined,
    sentAtMs,
    ignoresSentAt: properties.$ignore_sent_at === true,
    nowMs,
  })
  const uuid = form.uuid === undefined ? uuids.v7(timestampMs) : parseUuid(form.uuid.trim())
  if (uuid === undefined) throw new RowmillError('EVENT_INVALID', 'failed to parse request: invalid uuid')
  const sessionId = properties.$session_id
  return {
    uuid,
    distinctId,
    event: form.event,
    token: around.token,
    ip: Object.hasOwn(properties, 'capture_internal') ? '127.0.0.1' : around.ip,
    nowMs,
    sentAt: sentAtMs === undefined ? undefined : formatSentAt(sentAtMs),
    timestampMs,
    data: JSON.stringify({ ...form.fields, uuid, properties }).toWellFormed(),
    sessionId: typeof sessionId === 'string' ? sessionId : null,
    kind: 'ai',
    isCookieless: false,
    isHistorical: false,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
  }
}
