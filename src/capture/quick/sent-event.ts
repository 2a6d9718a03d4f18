/**
 * Finds the members of an event, or of a batch around events, that capture has to know, as places in the bytes.
 * What they are not needed for (properties, `$set`) is checked and left where it is. Whatever the full way treats
 * in a way of its own is given up here: a member of an unexpected type, twice the same name, escapes in a name or
 * in a value that is read, and properties that change how the event is treated.
 */
import { codes, scanColon, scanPlainString, scanValue, scanWord, skipSpaces } from './scan.ts'

/** Where a value begins and ends, quotes included; 0 and 0 for none. */
export type Place = { from: number; until: number }

export type EventPlaces = {
  token: Place
  distinctId: Place
  uuid: Place
  event: Place
  properties: Place
  timestamp: Place
  set: Place
  setOnce: Place
  /** Inside the properties. */
  innerToken: Place
  innerDistinctId: Place
}
export type BatchPlaces = {
  token: Place
  apiKey: Place
  sentAt: Place
  isHistorical: boolean
  events: EventPlaces[]
}

/** Gives the place after the member's value, -1 to give up. */
type ReadMember<Into> = (source: Uint8Array, name: Place, valueAt: number, into: Into) => number

const nowhere: Place = Object.freeze({ from: 0, until: 0 })
const names = {
  token: nameBytes('token'),
  dollarToken: nameBytes('$token'),
  apiKey: nameBytes('api_key'),
  distinctId: nameBytes('distinct_id'),
  dollarDistinctId: nameBytes('$distinct_id'),
  uuid: nameBytes('uuid'),
  event: nameBytes('event'),
  properties: nameBytes('properties'),
  timestamp: nameBytes('timestamp'),
  offset: nameBytes('offset'),
  set: nameBytes('$set'),
  setOnce: nameBytes('$set_once'),
  batch: nameBytes('batch'),
  sentAt: nameBytes('sent_at'),
  isHistorical: nameBytes('historical_migration'),
}
/** Properties that change how an event is treated. */
const special = [
  '$cookieless_mode',
  '$ignore_sent_at',
  'capture_internal',
  '$heatmap_data',
  '$prev_pageview_pathname',
].map(nameBytes)
const specialLengths: ReadonlySet<number> = new Set(special.map((name) => name.length))

function nameBytes(name: string): Uint8Array {
  return new TextEncoder().encode(name)
}

/** The events of an array; undefined to give up. */
export function locateArray(source: Uint8Array): EventPlaces[] | undefined {
  const events: EventPlaces[] = []
  return isEnd(source, scanEvents(source, 0, events)) ? events : undefined
}

/** One event; undefined to give up. */
export function locateEvent(source: Uint8Array): EventPlaces | undefined {
  const places = emptyEvent()
  return isEnd(source, scanEvent(source, 0, places)) ? places : undefined
}

/** A batch object; undefined to give up, also for an object without a batch. */
export function locateBatch(source: Uint8Array): BatchPlaces | undefined {
  const batch: BatchPlaces = {
    token: nowhere,
    apiKey: nowhere,
    sentAt: nowhere,
    isHistorical: false,
    events: [],
  }
  return isEnd(source, walkObject(source, 0, { into: batch, read: readBatchMember })) ? batch : undefined
}

function isEnd(source: Uint8Array, at: number): boolean {
  return at > 0 && skipSpaces(source, at) === source.length
}

function emptyEvent(): EventPlaces {
  return {
    token: nowhere,
    distinctId: nowhere,
    uuid: nowhere,
    event: nowhere,
    properties: nowhere,
    timestamp: nowhere,
    set: nowhere,
    setOnce: nowhere,
    innerToken: nowhere,
    innerDistinctId: nowhere,
  }
}

function scanEvents(source: Uint8Array, start: number, events: EventPlaces[]): number {
  let at = skipSpaces(source, start + 1)
  while (at < source.length) {
    const places = emptyEvent()
    at = scanEvent(source, at, places)
    if (at < 0) return -1
    events.push(places)
    at = skipSpaces(source, at)
    if (at >= source.length) return -1
    if (source[at] === codes.closeBracket) return at + 1
    if (source[at] !== codes.comma) return -1
    at = skipSpaces(source, at + 1)
  }
  return -1
}

function scanEvent(source: Uint8Array, start: number, places: EventPlaces): number {
  const end = walkObject(source, start, { into: places, read: readEventMember })
  return places.event === nowhere || places.properties === nowhere ? -1 : end
}

/** Walks an object whose names have no escapes. */
function walkObject<Into>(
  source: Uint8Array,
  start: number,
  given: { into: Into; read: ReadMember<Into> },
): number {
  if (source[start] !== codes.openBrace) return -1
  const { into, read } = given
  let at = skipSpaces(source, start + 1)
  if (at < source.length && source[at] === codes.closeBrace) return at + 1
  while (at < source.length) {
    const until = scanPlainString(source, at)
    if (until < 0) return -1
    const valueAt = scanColon(source, until)
    if (valueAt < 0) return -1
    const end = read(source, { from: at + 1, until: until - 1 }, valueAt, into)
    if (end < 0) return -1
    at = skipSpaces(source, end)
    if (at >= source.length) return -1
    if (source[at] === codes.closeBrace) return at + 1
    if (source[at] !== codes.comma) return -1
    at = skipSpaces(source, at + 1)
  }
  return -1
}
