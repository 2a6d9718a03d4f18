import type { CapturedHeaders, CapturedMessage, RawEvent } from '../event/captured.ts'
import type { LogRecord } from '../ports/log.ts'
import { isRecord } from './entities/jsonb.ts'
import type { Team } from './teams.ts'

export type Properties = Record<string, unknown>

/** A captured event, parsed once. Its properties are changed in place on their way to the row. */
export type DecodedEvent = {
  /** Its place in the batch. */
  readonly index: number
  readonly record: LogRecord
  /** Lower case. */
  readonly uuid: string
  readonly event: string
  readonly token: string
  distinctId: string
  properties: Properties
  /** Of capture's clock; undefined if the producer did not say. */
  readonly capturedAtMs: number | undefined
  /** Undefined if neither message nor header has a usable one. */
  readonly timestampMs: number | undefined
  readonly isHistorical: boolean
  readonly isHeatmapSplit: boolean
  readonly isPersonForcedOff: boolean
}

export type IncomingEvent = DecodedEvent & {
  readonly team: Team
  /** The event's time, once it is known to be usable; until then the time of its arrival. */
  timeMs: number
  processing: 'on' | 'off' | 'forced-off'
  /** It said `$process_person_profile: true`. */
  isProcessingExplicit: boolean
}

/** Why a record is no captured event. The message names the field and never shows its value. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage'
}

/** The fields of a message whose producer may be anybody. */
type Unchecked<Message> = { [Field in keyof Message]?: unknown }

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * Reads one record. What stands in the message wins over what stands inside its `data`, as in PostHog's
 * ingestion, so the time is the one that capture computed. Throws `InvalidMessage`.
 */
export function decodeRecord(record: LogRecord, index: number): DecodedEvent {
  const message: Unchecked<CapturedMessage> = parseObject(record.value.toString(), 'the message')
  const data: Unchecked<CapturedMessage & RawEvent> = parseObject(requireText(message.data, 'data'), 'data')
  if (hasManyOpenings(record.value, depthMax) && isDeeperThan(data, depthMax))
    throw new InvalidMessage(`data is nested deeper than ${depthMax}`)
  const uuid = requireText(message.uuid ?? data.uuid, 'uuid')
  if (!uuidForm.test(uuid)) throw new InvalidMessage('uuid is not a UUID')
  const headers: Partial<CapturedHeaders> = record.headers
  const sentAt = message.sent_at ?? data.sent_at
  const decoded: DecodedEvent = {
    index,
    record,
    uuid: uuid.toLowerCase(),
    event: eventName(requireText(message.event ?? data.event, 'event')),
    token: cleanText(requireText(message.token ?? data.token ?? headers.token, 'token')),
    distinctId: cleanText(requireText(message.distinct_id ?? data.distinct_id, 'distinct_id')),
    properties: optionalObject(data.properties, 'properties'),
    capturedAtMs: parseTime(message.now ?? headers.now),
    timestampMs: parseTime(message.timestamp ?? data.timestamp) ?? parseMs(headers.timestamp),
    isHistorical: message.historical_migration === true || headers.historical_migration === 'true',
    isHeatmapSplit: headers.skip_heatmap_processing === 'true',
    isPersonForcedOff: headers.force_disable_person_processing === 'true',
  }
  mergeIn(decoded.properties, '$set', data.$set)
  mergeIn(decoded.properties, '$set_once', data.$set_once)
  if (!decoded.properties.$ip && message.ip) decoded.properties.$ip = message.ip
  if (sentAt) decoded.properties.$sent_at = sentAt
  return decoded
}

/** The key by which capture keeps the events of one person in order. */
export function personKey(event: Pick<DecodedEvent, 'record' | 'token' | 'distinctId'>): string {
  return event.record.key?.toString() ?? `${event.token}:${event.distinctId}`
}

const nameLengthMax = 200

function eventName(name: string): string {
  return name.length > nameLengthMax ? name.slice(0, nameLengthMax).toWellFormed() : name.toWellFormed()
}

/** No NUL and no half of a surrogate pair. */
export function cleanText(text: string): string {
  const wellFormed = text.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed
}

const isoForm = /^[+-]?\d{4,6}-\d\d(-\d\d([T ]|$))?/
const zoneForm = /(Z|[+-]\d\d:?\d\d)$/i

/** Ms since the epoch from RFC 3339 text; without a zone it is UTC. Years 0 to 9999. */
export function parseTime(text: unknown): number | undefined {
  if (typeof text !== 'string' || !isoForm.test(text)) return undefined
  const hasTime = text.length > 10
  const ms = Date.parse(hasTime && !zoneForm.test(text) ? `${text}Z` : text)
  return isUsableTime(ms) ? ms : undefined
}

function parseMs(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^-?\d{1,15}$/.test(text)) return undefined
  const ms = Number(text)
  return isUsableTime(ms) ? ms : undefined
}

const yearZeroMs = Date.parse('0000-01-01T00:00:00Z')
const yearTenThousandMs = Date.UTC(10_000, 0, 1)

function isUsableTime(ms: number): boolean {
  return ms >= yearZeroMs && ms < yearTenThousandMs
}

/** As deep as PostHog's capture lets JSON be; deeper than that, not every part of the way could take it. */
const depthMax = 128

/** Whether so many objects and lists open in the text: only text with many is worth a closer look. */
function hasManyOpenings(text: Buffer, many: number): boolean {
  let count = 0
  for (const opening of [0x5b, 0x7b])
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1))
      if (++count > many) return true
  return false
}

function isDeeperThan(value: unknown, depth: number): boolean {
  let level: unknown[] = [value]
  for (let at = 0; at <= depth; at++) {
    level = level.flatMap((inner) =>
      typeof inner === 'object' && inner !== null ? Object.values(inner) : [],
    )
    if (level.length === 0) return false
  }
  return true
}

function mergeIn(properties: Properties, key: '$set' | '$set_once', value: unknown): void {
  if (!isRecord(value)) return
  const inner = properties[key]
  properties[key] = isRecord(inner) ? { ...inner, ...value } : value
}

function parseObject(text: string, field: string): Properties {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // The parser's own message would show a piece of the event.
    if (error instanceof SyntaxError) throw new InvalidMessage(`${field} is not JSON`)
    throw error
  }
  if (!isRecord(value)) throw new InvalidMessage(`${field} is not a JSON object`)
  return value
}

function optionalObject(value: unknown, field: string): Properties {
  if (value === undefined || value === null) return {}
  if (!isRecord(value)) throw new InvalidMessage(`${field} is not an object`)
  return value
}

function requireText(value: unknown, field: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new InvalidMessage(`${field} is missing or not text`)
}
