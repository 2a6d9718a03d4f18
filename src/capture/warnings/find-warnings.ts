/** Finds what deserves a warning in requests that were read, without a part in how they are read. */
import type { RowmillError } from '../../errors/rowmill-error.ts'
import { type CapturedEvent, dataText } from '../captured-event.ts'
import { distinctIdLengthMax, distinctIdText } from '../distinct-id.ts'
import { type CaptureWarning, type CaptureWarningType, isCaptureWarningType } from './warnings.ts'

/** One warning for all ids of a request that were cut; its details are those of the first. */
export function findCutIds(events: readonly CapturedEvent[]): CaptureWarning[] {
  let first: Record<string, unknown> | undefined
  let count = 0
  for (const event of events) {
    // A cut id has exactly the most code points, so that few events are looked at.
    if (event.kind === 'heatmap' || event.distinctId.length < distinctIdLengthMax) continue
    const length = sentLength(event)
    if (length <= distinctIdLengthMax) continue
    count++
    first ??= { distinctId: event.distinctId, eventUuid: event.uuid, distinct_id_truncated_from: length }
  }
  return first === undefined ? [] : [{ type: 'distinct_id_truncated', count, details: first }]
}

const sdkCharsMax = 200

/** The SDK of a request is that of its first event. */
export function readSdk(events: readonly CapturedEvent[]): { lib: string; version: string } {
  const raw: unknown = events[0] === undefined ? undefined : JSON.parse(dataText(events[0].data))
  const properties = isObject(raw) && isObject(raw.properties) ? raw.properties : {}
  const text = (value: unknown) =>
    typeof value === 'string' && value.trim() !== '' && value.length <= sdkCharsMax ? value : 'unknown'
  return { lib: text(properties.$lib), version: text(properties.$lib_version) }
}

/** Code points of the distinct id as the client sent it. */
function sentLength(event: CapturedEvent): number {
  const raw: unknown = JSON.parse(dataText(event.data))
  if (!isObject(raw)) return 0
  const inner = isObject(raw.properties) ? raw.properties.distinct_id : undefined
  return [...(distinctIdText(raw.distinct_id ?? inner) ?? '')].length
}

/** The warning that a refusal of a v0 request deserves: of all its events, or of one that is too large. */
export function findRefusal(error: RowmillError, events: number): CaptureWarning[] {
  if (error.code === 'RECORD_TOO_LARGE') return [{ type: 'message_size_too_large', count: 1 }]
  const type = error.details.warning
  return isCaptureWarningType(type) ? [{ type, count: Math.max(events, 1) }] : []
}

/** One warning per type for events that were dropped one by one; the ids are those of the first. */
export function countDrops(
  drops: readonly { event: CapturedEvent; details: string | undefined }[],
): CaptureWarning[] {
  const found = new Map<CaptureWarningType, { count: number; first: CapturedEvent }>()
  for (const { event, details } of drops) {
    const type = details === 'event_too_big' ? 'message_size_too_large' : details
    if (!isCaptureWarningType(type)) continue
    const known = found.get(type)
    if (known === undefined) found.set(type, { count: 1, first: event })
    else known.count++
  }
  return [...found].map(([type, { count, first }]) => ({
    type,
    count,
    details: { eventUuid: first.uuid, distinctId: first.distinctId, event: first.event },
  }))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
