/**
 * From JSON text to the events of a v0 request, with every field checked. The shapes, first match wins: an array
 * of events; a batch object with its own token; a single event; an engage event, which has no name and is
 * accepted on `/engage` only. One wrong field refuses the whole request: there is no partial success in v0.
 */
import { RowmillError } from '../errors/rowmill-error.ts'
import { parseDate } from '../std/parse-date.ts'
import { parseUuid } from '../std/uuid.ts'
import { parsePayload } from './decode.ts'
import { type EventTexts, locateEvents } from './skim.ts'
import { chooseToken } from './token.ts'

/** An event as its client sent it; types are checked, values are not. */
export type SentEvent = {
  token: string | undefined
  distinctId: unknown
  uuid: string | undefined
  event: string
  properties: Readonly<Record<string, unknown>>
  timestamp: string | undefined
  offsetMs: number | undefined
  texts: EventTexts
}
export type SentRequest = {
  events: SentEvent[]
  token: string
  sentAtMs: number | undefined
  isHistorical: boolean
}

type Fields = Readonly<Record<string, unknown>>
type Shape = {
  items: readonly unknown[]
  texts: EventTexts[]
  token: string | undefined
  sentAt: string | undefined
  isHistorical: boolean
}

const noTexts: EventTexts = {
  properties: undefined,
  set: undefined,
  setOnce: undefined,
  distinctId: undefined,
}
const noProperties: Fields = Object.freeze({})
const sentAtMsMin = Date.UTC(2021, 0, 1)

/** Fails with `EVENT_INVALID` or `TOKEN_INVALID`. */
export function readRequest(
  text: string,
  query: URLSearchParams | undefined,
  options: { acceptsEngage: boolean },
): SentRequest {
  const shape = readShape(text, options.acceptsEngage)
  if (shape.items.length === 0) throw invalid('request holds no event')
  const events: SentEvent[] = []
  for (let index = 0; index < shape.items.length; index++) {
    const event = readEvent(shape.items[index], shape.texts[index] ?? noTexts, options.acceptsEngage)
    if (event.event !== '$performance_event') events.push(event)
  }
  if (events.length === 0) throw invalid('payload empty after filtering invalid event types')
  const token = chooseToken(shape.token, events.map(tokenOf))
  const sentAtMs = readSentAt(shape.sentAt) ?? querySentAt(query)
  return { events, token, sentAtMs, isHistorical: shape.isHistorical }
}

function readShape(text: string, acceptsEngage: boolean): Shape {
  const value = parsePayload(text)
  const rest = { token: undefined, sentAt: undefined, isHistorical: false }
  if (Array.isArray(value)) return { items: value, texts: locateEvents(text, 'array'), ...rest }
  if (!isObject(value)) throw invalid('failed to parse request: neither an event nor a batch')
  const token = value.token ?? value.api_key
  if (typeof token === 'string' && Array.isArray(value.batch))
    return {
      items: value.batch,
      texts: locateEvents(text, 'object', 'batch'),
      token,
      sentAt: optional(value, 'sent_at', 'string'),
      isHistorical: optional(value, 'historical_migration', 'boolean') ?? false,
    }
  if (typeof value.event !== 'string' && !acceptsEngage)
    throw invalid('failed to hydrate events: a request without an event name')
  return { items: [value], texts: locateEvents(text, 'object'), ...rest }
}

function readEvent(item: unknown, texts: EventTexts, acceptsEngage: boolean): SentEvent {
  if (!isObject(item)) throw invalid('failed to parse request: an event is not an object')
  const { event, properties = noProperties } = item
  const name = typeof event === 'string' ? event : acceptsEngage ? '$identify' : undefined
  if (name === undefined) throw invalid('failed to parse request: an event has no name')
  if (!isObject(properties)) throw invalid('failed to parse request: properties is not an object')
  optionalObject(item, '$set')
  optionalObject(item, '$set_once')
  return {
    token:
      optional(item, 'token', 'string') ??
      optional(item, '$token', 'string') ??
      optional(item, 'api_key', 'string'),
    distinctId: item.distinct_id ?? item.$distinct_id,
    uuid: readUuid(item.uuid),
    event: name,
    properties,
    timestamp: optional(item, 'timestamp', 'string'),
    offsetMs: readOffset(item.offset),
    texts,
  }
}

function tokenOf(event: SentEvent): string | undefined {
  if (event.token !== undefined) return event.token
  const { token } = event.properties
  return typeof token === 'string' ? token : undefined
}

/** Empty is none, any other text must be a UUID. */
function readUuid(uuid: unknown): string | undefined {
  if (uuid === undefined || uuid === null || uuid === '') return undefined
  const parsed = typeof uuid === 'string' ? parseUuid(uuid) : undefined
  if (parsed === undefined) throw invalid('failed to parse request: uuid is not a UUID')
  return parsed
}

function readOffset(offset: unknown): number | undefined {
  if (offset === undefined || offset === null) return undefined
  if (typeof offset !== 'number' || !Number.isInteger(offset))
    throw invalid('failed to parse request: offset is not an integer')
  return offset
}

/** A batch's own `sent_at`. */
export function readSentAt(text: string | undefined): number | undefined {
  // Only a date with a zone says when it was.
  return text !== undefined && /[zZ]$|[+-]\d\d(?::?\d\d)?$/.test(text) ? parseDate(text) : undefined
}

/** `_` or `sent_at` in ms; what would be before 2021 is in seconds, and ignored. */
/** When the client says in the query that it sent the request, ms since the epoch. */
export function querySentAt(query: URLSearchParams | undefined): number | undefined {
  const text = query?.get('_') ?? query?.get('sent_at')
  if (text === undefined || text === null || !/^\d{1,15}$/.test(text)) return undefined
  const ms = Number(text)
  return ms >= sentAtMsMin ? ms : undefined
}

type Named = { string: string; boolean: boolean }

function optional<T extends keyof Named>(fields: Fields, name: string, type: T): Named[T] | undefined {
  const value = fields[name]
  if (value === undefined || value === null) return undefined
  if (!isOfType(value, type)) throw invalid(`failed to parse request: ${name} is not a ${type}`)
  return value
}

function isOfType<T extends keyof Named>(value: unknown, type: T): value is Named[T] {
  return typeof value === type
}

function optionalObject(fields: Fields, name: string): void {
  const value = fields[name]
  if (value !== undefined && value !== null && !isObject(value))
    throw invalid(`failed to parse request: ${name} is not an object`)
}

function isObject(value: unknown): value is Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function invalid(message: string): RowmillError {
  return new RowmillError('EVENT_INVALID', message)
}
