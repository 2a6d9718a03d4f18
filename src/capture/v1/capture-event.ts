/** A v1 event as the rest of capture knows it. */
import { type AiLanePredicate, kindOfEvent } from '../ai/ai-lane.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { formatSentAt } from '../timestamp.ts'
import type { V1Batch, V1RawEvent } from './batch/batch.ts'
import { correctTimestamp, isIllegalId, type V1Event } from './batch/event.ts'
import { injectProperties } from './batch/properties.ts'
import type { V1Context } from './request-context.ts'

export type Surroundings = {
  context: V1Context
  batch: V1Batch
  ip: string
  nowMs: number
  aiLanePredicate: AiLanePredicate
}

export function captureEvent(around: Surroundings, event: V1Event, uuid: string): CapturedEvent {
  const { context, batch, nowMs } = around
  const properties = injectProperties(event.properties, {
    sessionId: event.sessionId,
    windowId: event.windowId,
    options: event.options,
    sdk: context.sdk,
  })
  return {
    ...common(around, uuid),
    distinctId: event.distinctId,
    event: event.event,
    timestampMs: correctTimestamp(event, { requestTimestampMs: context.requestTimestampMs, nowMs }),
    data: dataText(event, uuid, properties),
    sessionId: event.sessionId ?? null,
    kind: kindOfEvent(event.event, around.aiLanePredicate),
    isCookieless: event.options.cookielessMode === true,
    isHistorical: batch.isHistorical,
    isPersonProcessingOff: isIllegalId(event.distinctId),
  }
}

/** What is known of an event that breaks the rules, for the record of its drop. */
export function invalidEvent(around: Surroundings, raw: V1RawEvent, uuid: string): CapturedEvent {
  return {
    ...common(around, uuid),
    distinctId: shortText(raw.fields.distinct_id),
    event: shortText(raw.fields.event),
    timestampMs: around.nowMs,
    data: '{}',
    sessionId: null,
    kind: 'analytics',
    isCookieless: false,
    isHistorical: around.batch.isHistorical,
    isPersonProcessingOff: false,
  }
}

function common({ context, ip, nowMs }: Surroundings, uuid: string) {
  return {
    uuid,
    token: context.token,
    ip,
    nowMs,
    sentAt: formatSentAt(context.requestTimestampMs),
    isHeatmapSplit: false,
  }
}

/** No token, no offset, no top-level `$set`: v1 has none of them. */
function dataText(event: V1Event, uuid: string, properties: string): string {
  const name = JSON.stringify(event.event)
  const distinctId = JSON.stringify(event.distinctId)
  const timestamp = JSON.stringify(event.timestamp)
  return `{"event":${name},"distinct_id":${distinctId},"uuid":"${uuid}","properties":${properties},"timestamp":${timestamp}}`
}

function shortText(value: unknown): string {
  return typeof value === 'string' ? value.toWellFormed().slice(0, 200).toWellFormed() : ''
}
