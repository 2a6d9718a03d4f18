/**
 * The quick way of a v0 request, for what nearly every SDK sends: plain JSON of ordinary events. Nothing is parsed:
 * the bytes are checked, the few members that capture has to know are read, and the rest goes on as it came. It
 * either gives exactly what the full way gives (`request.ts`, `build-event.ts`), or gives up before anything was
 * done, and the full way has the word. A property test compares the two.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { isUuid } from '../../std/uuid.ts'
import { kindOfEvent } from '../ai/ai-lane.ts'
import type { EventContext } from '../build-event.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { normalizeDistinctId } from '../distinct-id.ts'
import { readSentAt } from '../request.ts'
import { computeTimestamp } from '../timestamp.ts'
import { chooseToken } from '../token.ts'
import { EscapedWriter } from './escape.ts'
import {
  type BatchPlaces,
  type EventPlaces,
  locateArray,
  locateBatch,
  locateEvent,
  nowhere,
  type Place,
} from './sent-event.ts'

/** What an event's own members may grow by: names, quotes and a UUID. */
const memberBytesMax = 256

export type QuickRequest = {
  token: string
  sentAtMs: number | undefined
  isHistorical: boolean
  /** How many events it holds. */
  length: number
  /** Fails with `EVENT_INVALID`. */
  build(context: EventContext): CapturedEvent[]
}

/** Undefined where the full way must read the request. Fails with `TOKEN_INVALID`. */
export function readQuickly(source: Buffer): QuickRequest | undefined {
  const isPlain = isAscii(source)
  if (!isPlain && !isUtf8(source)) return undefined
  const shape = locate(source)
  if (shape?.events === undefined || shape.events.length === 0) return undefined
  const texts = new Texts(source, isPlain)
  const read: ReadEvent[] = []
  for (const places of shape.events) {
    const event = readEvent(places, texts)
    if (event === undefined) return undefined
    read.push(event)
  }
  const token = chooseToken(tokenOfBatch(shape, texts), tokensOf(read))
  return {
    token,
    sentAtMs: readSentAt(texts.at(shape.sentAt)),
    isHistorical: shape.isHistorical === true,
    length: read.length,
    build: (context) => buildAll(read, source, context),
  }
}

type Shape = Omit<BatchPlaces, 'events'> & { events: EventPlaces[] | undefined; isBatch: boolean }
type ReadEvent = {
  places: EventPlaces
  uuid: string | undefined
  event: string
  token: string | undefined
  distinctId: string | undefined
  timestamp: string | undefined
}

function locate(source: Uint8Array): Shape | undefined {
  const alone = { token: nowhere, apiKey: nowhere, sentAt: nowhere, isHistorical: false, isBatch: false }
  if (source[0] === 91) return { ...alone, events: locateArray(source) }
  if (source[0] !== 123) return undefined
  const event = locateEvent(source)
  if (event !== undefined) return { ...alone, events: [event] }
  const batch = locateBatch(source)
  if (batch === undefined || (batch.token === nowhere && batch.apiKey === nowhere)) return undefined
  return { ...batch, isBatch: true }
}

function tokenOfBatch(shape: Shape, texts: Texts): string | undefined {
  if (!shape.isBatch) return undefined
  return texts.at(shape.token === nowhere ? shape.apiKey : shape.token)
}

function* tokensOf(events: readonly ReadEvent[]): Generator<string | undefined> {
  for (const event of events) yield event.token
}

function readEvent(places: EventPlaces, texts: Texts): ReadEvent | undefined {
  const event = texts.at(places.event) ?? ''
  if (event === '' || event === '$performance_event' || event === '$$heatmap') return undefined
  const uuid = texts.at(places.uuid)
  if (uuid !== undefined && !isUuid(uuid)) return undefined
  return {
    places,
    uuid,
    event,
    token: texts.at(places.token) ?? texts.at(places.apiKey) ?? texts.at(places.innerToken),
    distinctId: texts.at(places.distinctId) ?? texts.at(places.innerDistinctId),
    timestamp: texts.at(places.timestamp),
  }
}

function buildAll(events: readonly ReadEvent[], source: Uint8Array, context: EventContext): CapturedEvent[] {
  const out = new EscapedWriter(source.length * 2 + events.length * memberBytesMax)
  return events.map((event) => build(event, { source, out, context }))
}

function build(
  sent: ReadEvent,
  given: { source: Uint8Array; out: EscapedWriter; context: EventContext },
): CapturedEvent {
  const { source, out, context } = given
  const distinctId = normalizeDistinctId(sent.distinctId)
  if (distinctId === undefined)
    throw new RowmillError('EVENT_INVALID', 'event submitted without a distinct_id', {
      details: { warning: 'missing_distinct_id' },
    })
  const timestampMs = computeTimestamp({
    timestamp: sent.timestamp,
    offsetMs: undefined,
    sentAtMs: context.sentAtMs,
    ignoresSentAt: false,
    nowMs: context.nowMs,
  })
  const uuid = sent.uuid ?? context.uuidV7(timestampMs)
  const from = out.at
  writeData(sent.places, uuid, { source, out })
  return {
    uuid,
    distinctId,
    event: sent.event,
    token: context.token,
    ip: context.ip,
    nowMs: context.nowMs,
    sentAt: context.sentAt,
    timestampMs,
    data: { bytes: out.bytes, from, until: out.at },
    sessionId: null,
    kind: kindOfEvent(sent.event, context.aiLanePredicate),
    isCookieless: false,
    isHistorical: context.isHistorical,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
  }
}

/** The members in the order in which the full way writes them. */
function writeData(
  places: EventPlaces,
  uuid: string,
  given: { source: Uint8Array; out: EscapedWriter },
): void {
  const { source, out } = given
  const copy = (name: string, place: Place) => {
    if (place === nowhere) return
    out.plain(name)
    out.copy(source, place.from, place.until)
  }
  out.plain('{')
  const token = places.token === nowhere ? places.apiKey : places.token
  copy('\\"token\\":', token)
  if (token !== nowhere) out.plain(',')
  copy('\\"distinct_id\\":', places.distinctId)
  if (places.distinctId !== nowhere) out.plain(',')
  out.plain('\\"uuid\\":\\"')
  out.plain(uuid)
  copy('\\",\\"event\\":', places.event)
  copy(',\\"properties\\":', places.properties)
  copy(',\\"timestamp\\":', places.timestamp)
  copy(',\\"$set\\":', places.set)
  copy(',\\"$set_once\\":', places.setOnce)
  out.plain('}')
}

/** The text of a plain string. Where all bytes are ASCII they are made one text, and the rest are parts of it. */
class Texts {
  readonly #source: Buffer
  readonly #whole: string | undefined

  constructor(source: Buffer, isPlain: boolean) {
    this.#source = source
    this.#whole = isPlain ? source.toString('latin1') : undefined
  }

  at(place: Place): string | undefined {
    if (place === nowhere) return undefined
    return this.#whole === undefined
      ? this.#source.toString('utf8', place.from + 1, place.until - 1)
      : this.#whole.slice(place.from + 1, place.until - 1)
  }
}
