/** Judges one event of a v1 batch: each is accepted or dropped for itself, and the rest of the batch survives. */
import type { V1RawEvent } from './batch.ts'
import { readOptions, type V1Options } from './options.ts'
import { parseRfc3339 } from './rfc3339.ts'

export type V1DropDetail =
  | 'missing_event_name'
  | 'event_name_too_long'
  | 'missing_distinct_id'
  | 'distinct_id_too_large'
  | 'invalid_event_timestamp'
  | 'malformed_event_properties'
  | 'invalid_options'
  | 'invalid_session_id'
  | 'invalid_window_id'
  | 'dropped_performance_event'

export type V1Event = {
  event: string
  distinctId: string
  /** As the client wrote it. */
  timestamp: string
  timestampMs: number
  sessionId: string | undefined
  windowId: string | undefined
  options: V1Options
  properties: string
}

export type JudgedEvent = { event: V1Event } | { dropped: V1DropDetail }

const nameBytesMax = 200
const distinctIdBytesMax = 200
/** As deep as PostHog's parser goes: whoever reads the event later may do it recursively. */
const nestingMax = 127

/** Ids that many unrelated people would share: a bug in the sending program. Lower case. */
const illegalIds: ReadonlySet<string> = new Set([
  '0',
  '00000000-0000-0000-0000-000000000000',
  '[object object]',
  'anonymous',
  'anonymous-user',
  'backend',
  'distinct_id',
  'distinctid',
  'email',
  'false',
  'guest',
  'id',
  'nan',
  'none',
  'not_authenticated',
  'null',
  'system',
  'true',
  'undefined',
  'user',
])

export function isIllegalId(distinctId: string): boolean {
  return illegalIds.has(distinctId.toLowerCase())
}

export function judgeEvent(raw: V1RawEvent): JudgedEvent {
  const { fields, properties, nesting } = raw
  const event = textOf(fields.event)
  if (event === '$performance_event') return { dropped: 'dropped_performance_event' }
  if (event === undefined || event === '') return { dropped: 'missing_event_name' }
  if (Buffer.byteLength(event) > nameBytesMax) return { dropped: 'event_name_too_long' }
  const distinctId = textOf(fields.distinct_id)?.trim()
  if (distinctId === undefined || distinctId === '') return { dropped: 'missing_distinct_id' }
  if (Buffer.byteLength(distinctId) > distinctIdBytesMax) return { dropped: 'distinct_id_too_large' }
  const timestamp = textOf(fields.timestamp)
  const timestampMs = timestamp === undefined ? undefined : parseRfc3339(timestamp)
  if (timestamp === undefined || timestampMs === undefined) return { dropped: 'invalid_event_timestamp' }
  if (properties[0] !== '{' || nesting > nestingMax) return { dropped: 'malformed_event_properties' }
  const options = readOptions(fields.options)
  if (options === undefined) return { dropped: 'invalid_options' }
  if (!isOptionalText(fields.session_id)) return { dropped: 'invalid_session_id' }
  if (!isOptionalText(fields.window_id)) return { dropped: 'invalid_window_id' }
  const sessionId = textOf(fields.session_id)
  const windowId = textOf(fields.window_id)
  return { event: { event, distinctId, timestamp, timestampMs, sessionId, windowId, options, properties } }
}

const futureMaxMs = 23 * 3_600_000

/** The event's time by the server's clock; a time too far in the future becomes now. */
export function correctTimestamp(
  event: Pick<V1Event, 'timestampMs' | 'options'>,
  clocks: { requestTimestampMs: number; nowMs: number },
): number {
  if (event.options.disableSkewCorrection === true) return withinYears(event.timestampMs)
  const corrected = event.timestampMs - (clocks.requestTimestampMs - clocks.nowMs)
  return corrected - clocks.nowMs > futureMaxMs ? clocks.nowMs : withinYears(corrected)
}

const yearZeroMs = -62_167_219_200_000
const year10000Ms = 253_402_300_800_000

/** Times of other years have no usual text. */
function withinYears(ms: number): number {
  return Math.min(Math.max(ms, yearZeroMs), year10000Ms - 1)
}

/** Lone surrogates have no UTF-8 and are replaced. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.toWellFormed() : undefined
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string'
}
