/**
 * From a checked event of a v0 request to the captured event that goes on the log. An event that carries heatmap
 * data gives two: itself without that data, and a `$$heatmap` event with nothing but it.
 */
import { RowmillError } from '../errors/rowmill-error.ts'
import { type AiLanePredicate, kindOfEvent } from './ai/ai-lane.ts'
import type { CapturedEvent } from './captured-event.ts'
import { normalizeDistinctId } from './distinct-id.ts'
import type { SentEvent } from './request.ts'
import { computeTimestamp } from './timestamp.ts'
import type { CaptureWarningType } from './warnings/warnings.ts'

/** What the events of one request share. */
export type EventContext = {
  token: string
  ip: string
  nowMs: number
  sentAtMs: number | undefined
  /** As it goes into the message. */
  sentAt: string | undefined
  isHistorical: boolean
  aiLanePredicate: AiLanePredicate
  /** A time-ordered UUID of that time. */
  uuidV7: (ms: number) => string
}

const heatmapKeys = [
  '$heatmap_data',
  '$viewport_height',
  '$viewport_width',
  '$session_id',
  '$prev_pageview_pathname',
  '$prev_pageview_max_scroll',
  '$current_url',
  '$cookieless_mode',
] as const
const internalIp = '127.0.0.1'

/** One or two captured events. Fails with `EVENT_INVALID`. */
export function buildEvents(sent: SentEvent, context: EventContext): CapturedEvent[] {
  const { properties } = sent
  const carriesHeatmap =
    sent.event !== '$$heatmap' &&
    (properties.$heatmap_data !== undefined ||
      (properties.$prev_pageview_pathname !== undefined && properties.$current_url !== undefined))
  if (!carriesHeatmap) return [buildEvent(sent, context)]
  if (properties.$heatmap_data === undefined)
    return [splitOriginal(sent, context), buildHeatmap(sent, context)]
  const { $heatmap_data: _data, ...rest } = properties
  const original = { ...sent, properties: rest, texts: { ...sent.texts, properties: JSON.stringify(rest) } }
  return [splitOriginal(original, context), buildHeatmap(sent, context)]
}

function splitOriginal(sent: SentEvent, context: EventContext): CapturedEvent {
  return { ...buildEvent(sent, context), isHeatmapSplit: true }
}

function buildHeatmap(sent: SentEvent, context: EventContext): CapturedEvent {
  const properties: Record<string, unknown> = {}
  for (const key of heatmapKeys)
    if (sent.properties[key] !== undefined) properties[key] = sent.properties[key]
  const distinctId = distinctIdOf(sent)
  return buildEvent(
    {
      token: sent.token,
      distinctId,
      uuid: undefined,
      event: '$$heatmap',
      properties,
      timestamp: sent.timestamp,
      offsetMs: sent.offsetMs,
      texts: {
        properties: JSON.stringify(properties),
        set: undefined,
        setOnce: undefined,
        distinctId: JSON.stringify(distinctId),
      },
    },
    context,
  )
}

export function buildEvent(sent: SentEvent, context: EventContext): CapturedEvent {
  if (sent.event === '') throw invalid('event submitted with an empty event name', 'missing_event_name')
  const { properties } = sent
  const isCookieless = properties.$cookieless_mode ?? false
  const distinctId = distinctIdOf(sent)
  if (typeof isCookieless !== 'boolean' || properties.$cookieless_mode === null)
    throw invalid('event submitted with an invalid $cookieless_mode')
  const timestampMs = computeTimestamp({
    timestamp: sent.timestamp,
    offsetMs: sent.offsetMs,
    sentAtMs: context.sentAtMs,
    ignoresSentAt: properties.$ignore_sent_at === true,
    nowMs: context.nowMs,
  })
  const uuid = sent.uuid ?? context.uuidV7(timestampMs)
  return {
    uuid,
    distinctId,
    event: sent.event,
    token: context.token,
    ip: properties.capture_internal === undefined ? context.ip : internalIp,
    nowMs: context.nowMs,
    sentAt: context.sentAt,
    timestampMs,
    data: writeData(sent, uuid),
    sessionId: null,
    kind: kindOfEvent(sent.event, context.aiLanePredicate),
    isCookieless,
    isHistorical: context.isHistorical,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
  }
}

function distinctIdOf(sent: SentEvent): string {
  const id =
    sent.distinctId === undefined || sent.distinctId === null
      ? normalizeDistinctId(sent.properties.distinct_id)
      : normalizeDistinctId(sent.distinctId, sent.texts.distinctId)
  if (id === undefined) throw invalid('event submitted without a distinct_id', 'missing_distinct_id')
  return id
}

/** The raw event again, in the order of PostHog's fields; what is absent or null is left out. */
function writeData(sent: SentEvent, uuid: string): string {
  const { texts } = sent
  let data = '{'
  if (sent.token !== undefined) data += `"token":${JSON.stringify(sent.token)},`
  if (sent.distinctId !== undefined && sent.distinctId !== null)
    data += `"distinct_id":${texts.distinctId ?? JSON.stringify(sent.distinctId)},`
  data += `"uuid":"${uuid}","event":${JSON.stringify(sent.event)},"properties":${texts.properties ?? '{}'}`
  if (sent.timestamp !== undefined) data += `,"timestamp":${JSON.stringify(sent.timestamp)}`
  if (sent.offsetMs !== undefined) data += `,"offset":${sent.offsetMs}`
  if (texts.set !== undefined && texts.set !== 'null') data += `,"$set":${texts.set}`
  if (texts.setOnce !== undefined && texts.setOnce !== 'null') data += `,"$set_once":${texts.setOnce}`
  return `${data}}`
}

/** `warning` is what the project is told of it. */
function invalid(message: string, warning?: CaptureWarningType): RowmillError {
  return new RowmillError('EVENT_INVALID', message, warning === undefined ? {} : { details: { warning } })
}
