/**
 * Provenance of AI events. PostHog's AI gateway bills the calls that it passes on by itself and signs the events
 * it sends for them; an event whose signature holds is marked (`$ai_gateway_verified`, `$ai_gateway_request_id`)
 * and does not count for the quota of AI events. Nobody else may set these marks: from every other AI event all
 * `$ai_gateway…` properties are taken away. Without a secret no signature holds.
 *
 * A signature covers token, distinct id, request id and time, so each event of a request is judged for itself; of
 * an OTLP export it covers the whole body. Trust needs a request id, because who bills tells repetitions by it.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Secret } from '../../std/secret.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { CapturedEvent } from '../captured-event.ts'
import {
  type Marks,
  mayHoldGatewayProperties,
  setGatewayProperties,
  stripGatewayProperties,
} from './gateway-properties.ts'
import { type GatewaySignature, type Provenance, readSignature, verifySignature } from './signature.ts'

export type GatewayConfig = { gatewaySigningSecret?: Secret | undefined }
export type SignedRequest = { headers: IncomingHttpHeaders; nowMs: number }

export interface Gateway {
  /** The events of a request, the AI events among them marked or stripped. */
  judge(events: CapturedEvent[], request: SignedRequest): CapturedEvent[]
  /** The same of an OTLP export of traces; `body` is what was sent. */
  judgeExport(
    events: CapturedEvent[],
    request: SignedRequest & { token: string; body: Buffer },
  ): CapturedEvent[]
}

/** What is signed of an export besides its token: the signature of another kind of export does not hold for it. */
const traceScope = 'otel-v1'

export function createGateway(metrics: Metrics, config: GatewayConfig): Gateway {
  const secret = config.gatewaySigningSecret?.reveal() ?? ''
  const verify = (
    signature: GatewaySignature | undefined,
    nowMs: number,
    fieldsOf: (signature: GatewaySignature) => readonly string[],
  ): Provenance =>
    secret === '' || signature === undefined || signature.requestId === ''
      ? 'invalid'
      : verifySignature(secret, fieldsOf(signature), { ...signature, nowMs })
  return {
    judge(events, { headers, nowMs }) {
      if (!events.some(isAi)) return events
      const signature = readSignature(headers)
      return events.map((event) => {
        if (!isAi(event)) return event
        const provenance = verify(signature, nowMs, ({ requestId, signedAt }) => [
          event.token,
          event.distinctId,
          requestId,
          signedAt,
        ])
        const judged = judgeEvent(event, provenance, signature)
        if (judged.reason !== undefined)
          metrics.count('capture_v1_gateway_provenance', 1, { reason: judged.reason })
        return judged.event
      })
    },
    judgeExport(events, { headers, nowMs, token, body }) {
      const signature = readSignature(headers)
      const provenance = verify(signature, nowMs, ({ requestId, signedAt }) => {
        const digest = createHash('sha256').update(body).digest('hex')
        const { 'content-type': type = '', 'content-encoding': encoding = '' } = headers
        return [token, traceScope, type, encoding, digest, requestId, signedAt]
      })
      const reason = signature === undefined ? 'unsigned' : provenance
      metrics.count('capture_ai_otel_gateway_provenance', 1, { reason })
      return events.map((event) => judgeSpan(event, provenance, signature))
    },
  }
}

function isAi({ event }: CapturedEvent): boolean {
  return event.startsWith('$ai_')
}

function marksOf(signature: GatewaySignature | undefined): Marks {
  return { $ai_gateway_verified: true, $ai_gateway_request_id: signature?.requestId ?? '' }
}

/** `reason` is what was done, for the metric; none where nothing was. */
type Judged = { event: CapturedEvent; reason?: 'verified' | 'forged' | 'stale' | 'stripped' }

/** What came with a signature that holds is believed as a whole. */
function judgeEvent(
  event: CapturedEvent,
  provenance: Provenance,
  signature: GatewaySignature | undefined,
): Judged {
  if (provenance === 'verified') {
    const { data } = setGatewayProperties(event.data, marksOf(signature))
    return { event: { ...event, data, isGatewayVerified: true }, reason: 'verified' }
  }
  if (!mayHoldGatewayProperties(event.data)) return { event }
  const { data, removed } = stripGatewayProperties(event.data)
  if (removed.length === 0) return { event }
  const stripped = { ...event, data }
  if (removed.includes('$ai_gateway_verified')) return { event: stripped, reason: 'forged' }
  return { event: stripped, reason: provenance === 'stale' ? 'stale' : 'stripped' }
}

/** The gateway relays spans that others made, so what they say of it is never believed. */
function judgeSpan(
  event: CapturedEvent,
  provenance: Provenance,
  signature: GatewaySignature | undefined,
): CapturedEvent {
  if (provenance !== 'verified') return judgeEvent(event, provenance, signature).event
  const marks = { ...marksOf(signature), $ai_gateway_relay: true }
  return { ...event, data: stripGatewayProperties(event.data, marks).data, isGatewayVerified: true }
}
