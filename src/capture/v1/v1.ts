/**
 * Capture v1: `POST /i/v1/analytics/events` and `/i/v1/ai/events`. Unlike v0 it is strict, and it fails in
 * parts: a request is refused as a whole only where it cannot be understood or its events cannot be told
 * apart; otherwise each event has a result of its own, and what is acceptable is kept.
 *
 *   headers → body → batch → uuids → each event → admission → log → results
 */
import { isRetryable, isRowmillError } from '../../errors/rowmill-error.ts'
import type { RawRequest, RawResponse, Route } from '../../http/route.ts'
import { parseUuid } from '../../std/uuid.ts'
import type { Admitted } from '../admission/types.ts'
import { type AiLanePredicate, isAiEvent } from '../ai/ai-lane.ts'
import type { CapturePorts } from '../capture.ts'
import type { CapturedEvent, RoutedEvent } from '../captured-event.ts'
import { clientIp } from '../client-ip.ts'
import { asksForDebug, type DebugTrace, traceRequest } from '../debug/debug.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'
import type { IntakeConfig } from '../intake/intake.ts'
import { mergePublished, publishApart } from '../intake/publish-apart.ts'
import { createSink, type Sink } from '../sink.ts'
import { validateToken } from '../token.ts'
import { countDrops } from '../warnings/find-warnings.ts'
import {
  type CaptureWarnings,
  createWarnings,
  isCaptureWarningType,
  type WarnedRequest,
} from '../warnings/warnings.ts'
import { parseBatch, type V1Batch } from './batch/batch.ts'
import { judgeEvent } from './batch/event.ts'
import { captureEvent, invalidEvent } from './capture-event.ts'
import type { V1Config } from './config.ts'
import { v1CorsHeaders, v1PreflightHeaders } from './cors.ts'
import { decompress } from './decompress.ts'
import { errorAnswer, V1Error, type V1ErrorTag } from './error.ts'
import { readContext, type V1Context } from './request-context.ts'
import { answerBody, dropDetail, outcomeOf, type V1Result } from './results.ts'

export type V1Settings = V1Config &
  IntakeConfig & {
    aiLanePredicate: AiLanePredicate
    aiMessageBytesMax: number
    /** Both routes drop what is no AI event. */
    isAiOnly?: boolean
  }

/** AI events may make larger messages than others. */
type CaptureDeps = CapturePorts & {
  sink: Sink
  aiSink: Sink
  warnings: CaptureWarnings
  gateway: Gateway
}

export function createV1Routes(ports: CapturePorts, config: V1Settings): Route[] {
  const sink = createSink(ports, config)
  const deps: CaptureDeps = {
    ...ports,
    sink,
    warnings: createWarnings({ ...ports, sink }, config.warnings),
    aiSink: createSink(ports, { messageBytesMax: config.aiMessageBytesMax }),
    gateway: createGateway(ports.metrics, config),
  }
  const isAiOnly = (path: string) => path === '/i/v1/ai/events' || config.isAiOnly === true
  return (['/i/v1/analytics/events', '/i/v1/ai/events'] as const).flatMap((path): Route[] => [
    {
      methods: ['POST'],
      path,
      bodyBytesMax: config.bodyBytesMax,
      handle: (request) => answerTraced(deps, config, { request, isAiOnly: isAiOnly(path) }),
      refuse: (error, request) =>
        refusal(deps, { tag: tagOfStatus(error.entry.status), message: error.entry.means }, request),
    },
    {
      methods: ['OPTIONS'],
      path,
      bodyBytesMax: 0,
      handle: async (request) => ({
        status: 200,
        headers: v1PreflightHeaders(request.headers),
      }),
    },
  ])
}

type Asked = {
  request: RawRequest
  isAiOnly: boolean
  trace?: DebugTrace
  /** Known as soon as the headers are read. */
  context?: V1Context
}

function answerTraced(deps: CaptureDeps, config: V1Settings, asked: Asked): Promise<RawResponse> {
  const { request } = asked
  if (!asksForDebug(request.headers)) return answer(deps, config, asked)
  return traceRequest({ logger: deps.logger, route: request.path, request }, (trace) =>
    answer(deps, config, { ...asked, trace }),
  )
}

async function answer(deps: CaptureDeps, config: V1Settings, asked: Asked): Promise<RawResponse> {
  const { request } = asked
  try {
    const results = await takeBatch(deps, config, asked)
    const mustRetry = [...results.values()].some(({ result }) => result === 'retry')
    deps.metrics.count('capture_v1_batch_outcomes', 1, { outcome: outcomeOf(results.values()) })
    return {
      status: 200,
      headers: {
        'Content-Type': 'application/json',
        ...commonHeaders(request),
        ...(mustRetry ? { 'Retry-After': '1' } : {}),
      },
      body: answerBody(results),
    }
  } catch (error) {
    if (!(error instanceof V1Error)) throw error
    const { context } = asked
    if (deps.warnings.isEnabled && context !== undefined && isCaptureWarningType(error.tag))
      await deps.warnings.send([{ type: error.tag, count: 1 }], warned(context, request))
    return refusal(deps, error, request)
  }
}

function refusal(
  deps: CaptureDeps,
  error: Pick<V1Error, 'tag' | 'message'>,
  request: Pick<RawRequest, 'headers'>,
): RawResponse {
  const { status, body, headers } = errorAnswer(error)
  deps.metrics.count('capture_v1_analytics_error', 1, { error: error.tag, status_code: String(status) })
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...commonHeaders(request), ...headers },
    body,
  }
}

function tagOfStatus(status: number): V1ErrorTag {
  if (status === 408) return 'body_read_timeout'
  if (status === 413) return 'payload_too_large'
  return status === 503 ? 'service_unavailable' : 'internal_error'
}

function commonHeaders({ headers }: Pick<RawRequest, 'headers'>): Record<string, string> {
  const requestId = headers['posthog-request-id']
  return {
    ...v1CorsHeaders(headers),
    ...(typeof requestId === 'string' ? { 'PostHog-Request-Id': requestId } : {}),
  }
}

async function takeBatch(
  deps: CaptureDeps,
  config: V1Settings,
  asked: Asked,
): Promise<Map<string, V1Result>> {
  const { request, isAiOnly, trace } = asked
  const nowMs = deps.clock.now()
  const context = readContext((name) => textHeader(request, name), checkToken)
  asked.context = context
  const payload = await decompress(request.body, context.encoding, config.payloadBytesMax)
  if (context.encoding !== undefined) request.reserve(payload.length)
  const batch = parseBatch(payload)
  const uuids = readUuids(batch)
  const ip = batch.isInternal ? '127.0.0.1' : clientIp(request, config.trustProxy)
  const scene = { context, batch, ip, nowMs, aiLanePredicate: config.aiLanePredicate }
  const judged = judge(deps, scene, { uuids, isAiOnly })
  const captured = deps.gateway.judge(judged.captured, { headers: request.headers, nowMs })
  const admitted = deps.admission.admit(captured, 'analytics')
  const dropped = [...judged.dropped, ...admitted.dropped]
  trace?.tell({
    token: context.token,
    compression: context.encoding ?? 'none',
    received: batch.events.length,
    accepted: admitted.accepted.length,
    dropped: dropped.length,
  })
  if (isOverQuota(judged.captured.length, admitted)) {
    await deps.sink.publish([], dropped)
    throw new V1Error('billing_limit_exceeded', 'Billing quota exceeded. Events are being dropped.')
  }
  for (const drop of admitted.dropped)
    judged.results.set(drop.event.uuid, { result: 'drop', details: dropDetail(drop) })
  for (const { uuid } of admitted.limited)
    judged.results.set(uuid, { result: 'warning', details: 'person_processing_disabled' })
  if (deps.warnings.isEnabled)
    admitted.accepted.push(
      ...deps.warnings.route(countDrops(detailed(judged.dropped)), warned(context, request)),
    )
  const tooLarge = await publishAll(deps, judged.results, { admitted, dropped })
  if (tooLarge.length > 0) {
    const drops = tooLarge.map((event) => ({ event, details: 'event_too_big' }))
    await deps.warnings.send(countDrops(drops), warned(context, request))
  }
  return judged.results
}

function warned({ token, sdk }: V1Context, { path }: RawRequest): WarnedRequest {
  return { token, path, sdk }
}

function detailed(dropped: Admitted['dropped']): Parameters<typeof countDrops>[0] {
  return dropped.map(({ event, details }) => ({ event, details: String(details?.details) }))
}

/** Writes what became of the events that did not reach the log into the results. */
async function publishAll(
  deps: CaptureDeps,
  results: Map<string, V1Result>,
  { admitted, dropped }: { admitted: Admitted; dropped: Admitted['dropped'] },
): Promise<readonly CapturedEvent[]> {
  const isAi = ({ event }: RoutedEvent) => event.kind === 'ai'
  const ai = admitted.accepted.filter(isAi)
  const others = admitted.accepted.filter((routed) => !isAi(routed))
  const published = mergePublished(
    await publishApart(deps.sink, others, dropped),
    await publishApart(deps.aiSink, ai, []),
  )
  for (const { uuid } of published.tooLarge) results.set(uuid, { result: 'drop', details: 'event_too_big' })
  for (const { event, error } of published.unpersisted) {
    if (!isRetryable(error)) throw error
    // A warning beside the events is nobody's to send again.
    if (results.has(event.uuid)) results.set(event.uuid, { result: 'retry', details: 'not_persisted' })
  }
  const [first] = published.unpersisted
  if (first !== undefined)
    deps.logger.warn(
      { error: first.error, events: published.unpersisted.length },
      'Events did not reach the log',
    )
  return published.tooLarge
}

type Judged = {
  captured: Admitted['dropped'][number]['event'][]
  dropped: Admitted['dropped']
  /** Of all events, in their order. */
  results: Map<string, V1Result>
}
type Scene = Parameters<typeof captureEvent>[0] & { context: V1Context; batch: V1Batch }

function judge(
  deps: CaptureDeps,
  scene: Scene,
  asked: { uuids: readonly string[]; isAiOnly: boolean },
): Judged {
  const judged: Judged = { captured: [], dropped: [], results: new Map() }
  scene.batch.events.forEach((raw, index) => {
    const uuid = asked.uuids[index] ?? ''
    const verdict = judgeEvent(raw)
    const isMisrouted =
      'event' in verdict && asked.isAiOnly && !isAiEvent(verdict.event.event, scene.aiLanePredicate)
    if ('dropped' in verdict || isMisrouted) {
      const details = 'dropped' in verdict ? verdict.dropped : 'misrouted_event'
      judged.results.set(uuid, { result: 'drop', details })
      judged.dropped.push({
        event: invalidEvent(scene, raw, uuid),
        reason: 'invalid_event',
        details: { details },
      })
      deps.metrics.count('capture_v1_parsed_events', 1, { result: 'malformed', error: details })
      return
    }
    const event = captureEvent(scene, verdict.event, uuid)
    judged.captured.push(event)
    judged.results.set(
      uuid,
      event.isPersonProcessingOff
        ? { result: 'ok', details: 'person_processing_disabled' }
        : { result: 'ok' },
    )
    deps.metrics.count('capture_v1_parsed_events', 1, { result: 'valid', error: '' })
  })
  return judged
}

/** Whether the quota has left nothing of what was valid. */
function isOverQuota(valid: number, admitted: Admitted): boolean {
  return (
    valid > 0 &&
    admitted.accepted.length === 0 &&
    admitted.dropped.every(({ reason }) => reason === 'billing_limit_exceeded')
  )
}

/** Results are told by uuid, so a batch whose uuids do not tell its events apart has none. */
function readUuids(batch: V1Batch): string[] {
  const seen = new Set<string>()
  return batch.events.map(({ fields }) => {
    const given = fields.uuid
    const text = typeof given === 'string' ? given.trim() : ''
    if (text === '') throw new V1Error('missing_event_uuid', 'event submitted without a uuid')
    const uuid = parseUuid(text)
    if (uuid === undefined)
      throw new V1Error('invalid_event_uuid', `event submitted with an invalid uuid: ${text.slice(0, 100)}`)
    if (seen.has(uuid)) throw new V1Error('duplicate_event_uuid', `duplicate event uuid: ${uuid}`)
    seen.add(uuid)
    return uuid
  })
}

function checkToken(token: string): void {
  try {
    validateToken(token)
  } catch (cause) {
    if (!isRowmillError(cause, 'TOKEN_INVALID')) throw cause
    throw new V1Error('invalid_api_token', 'The provided API token is not valid.', { cause })
  }
}

function textHeader(request: RawRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
