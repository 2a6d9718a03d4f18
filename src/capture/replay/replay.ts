/**
 * Session replay: `/s`. A request's snapshots become one message with the session as its key, so that a
 * session stays in order on one partition.
 */
import type { RawRequest, RawResponse, Route } from '../../http/route.ts'
import { createUuidSource } from '../../std/uuid.ts'
import { preflightResponse, refusalResponse, successResponse } from '../answer.ts'
import type { CapturePorts } from '../capture.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { clientIp } from '../client-ip.ts'
import { asksForDebug, type DebugTrace, traceRequest } from '../debug/debug.ts'
import { decodePayload } from '../decode.ts'
import type { IntakeConfig } from '../intake/intake.ts'
import { createSink, type Sink } from '../sink.ts'
import { computeTimestamp, formatSentAt } from '../timestamp.ts'
import { chooseToken } from '../token.ts'
import type { ReplayConfig } from './config.ts'
import { packMessages } from './pack-messages.ts'
import { collectSnapshots, parseReplay, type ReplayEvent } from './snapshots.ts'

export type ReplaySettings = ReplayConfig & Pick<IntakeConfig, 'trustProxy' | 'retryAfterS'>

export function createReplayRoutes(ports: CapturePorts, config: ReplaySettings): Route[] {
  const uuids = createUuidSource((length) => ports.random.bytes(length))
  const log = config.envelopeCompression === 'lz4' ? packMessages(ports.log) : ports.log
  const scene = { ports, config, uuids, sink: createSink({ ...ports, log }, config) }
  return [
    {
      methods: ['GET', 'POST', 'OPTIONS'],
      path: '/s',
      bodyBytesMax: config.payloadBytesMax,
      handle: async (request) =>
        request.method === 'OPTIONS' ? preflightResponse(request.headers) : answerReplay(scene, request),
      refuse: (error, request) => refusalResponse(error, request.headers, config.retryAfterS),
    },
  ]
}

type Scene = {
  ports: CapturePorts
  config: ReplaySettings
  uuids: { v7(ms: number): string }
  sink: Sink
}

function answerReplay(scene: Scene, request: RawRequest): Promise<RawResponse> {
  if (!asksForDebug(request.headers)) return takeSnapshots(scene, request)
  const { logger } = scene.ports
  return traceRequest({ logger, route: '/s', request }, (trace) => takeSnapshots(scene, request, trace))
}

async function takeSnapshots(scene: Scene, request: RawRequest, trace?: DebugTrace): Promise<RawResponse> {
  const { ports, config } = scene
  const nowMs = ports.clock.now()
  const { text, query, compression } = await decodePayload(request, {
    payloadBytesMax: config.payloadBytesMax,
    reserve: (bytes) => request.reserve(bytes),
  })
  const { batchToken, events } = parseReplay(text)
  const userAgent = request.headers['user-agent']
  const sentAtMs = querySentAt(query)
  const snapshots = collectSnapshots(events, userAgent)
  const timestampMs = timestampOf(events[0], sentAtMs, nowMs)
  const event: CapturedEvent = {
    uuid: snapshots.uuid ?? scene.uuids.v7(timestampMs),
    distinctId: snapshots.distinctId,
    event: '$snapshot_items',
    token: chooseToken(batchToken, events.map(tokenOf)),
    ip: clientIp(request, config.trustProxy),
    nowMs,
    sentAt: sentAtMs === undefined ? undefined : formatSentAt(sentAtMs),
    timestampMs,
    data: snapshots.data,
    sessionId: snapshots.sessionId,
    kind: 'replay',
    isCookieless: snapshots.isCookieless,
    isHistorical: false,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
  }
  const { accepted, dropped, quotaLimited } = ports.admission.admit([event], 'session_recordings')
  trace?.tell({
    token: event.token,
    compression,
    received: events.length,
    accepted: accepted.length,
    dropped: dropped.length,
  })
  await scene.sink.publish(accepted, dropped)
  return successResponse(request.headers, {
    isBeacon: query?.get('beacon') === '1',
    quotaLimited: quotaLimited.length > 0 ? ['recordings'] : [],
  })
}

function timestampOf(first: ReplayEvent | undefined, sentAtMs: number | undefined, nowMs: number): number {
  const { timestamp, offset } = first?.fields ?? {}
  return computeTimestamp({
    timestamp: typeof timestamp === 'string' ? timestamp : undefined,
    offsetMs: typeof offset === 'number' ? offset : undefined,
    sentAtMs,
    ignoresSentAt: first?.properties.$ignore_sent_at === true,
    nowMs,
  })
}

function tokenOf({ fields, properties }: ReplayEvent): string | undefined {
  for (const token of [fields.token, fields.$token, fields.api_key, properties.token])
    if (typeof token === 'string' && token !== '') return token
  return undefined
}

const year2020Ms = 1_577_836_800_000

/** `_` or `sent_at` in ms. Smaller numbers are seconds, and ignored as PostHog's capture ignores them. */
function querySentAt(query: URLSearchParams | undefined): number | undefined {
  const text = query?.get('_') ?? query?.get('sent_at') ?? ''
  const ms = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return ms > year2020Ms && ms < 8.64e15 ? ms : undefined
}
