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
  apiKey: Place
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
  isHistorical: boolean | undefined
  /** Undefined until the batch is found. */
  events: EventPlaces[] | undefined
}

export const nowhere: Place = Object.freeze({ from: 0, until: 0 })
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

function nameBytes(name: string): Uint8Array {
  return new TextEncoder().encode(name)
}

/** The events of an array; undefined to give up. */
export function locateArray(source: Uint8Array): EventPlaces[] | undefined {
  const events: EventPlaces[] = []
  return isEnd(source, new Locator(source).events(0, events)) ? events : undefined
}

/** One event; undefined to give up. */
export function locateEvent(source: Uint8Array): EventPlaces | undefined {
  const places = emptyEvent()
  return isEnd(source, new Locator(source).event(0, places)) ? places : undefined
}

/** A batch object; undefined to give up, also for an object without a batch. */
export function locateBatch(source: Uint8Array): BatchPlaces | undefined {
  const batch: BatchPlaces = {
    token: nowhere,
    apiKey: nowhere,
    sentAt: nowhere,
    isHistorical: undefined,
    events: undefined,
  }
  return isEnd(source, new Locator(source).batch(0, batch)) ? batch : undefined
}

function isEnd(source: Uint8Array, at: number): boolean {
  return at > 0 && skipSpaces(source, at) === source.length
}

function emptyEvent(): EventPlaces {
  return {
    token: nowhere,
    apiKey: nowhere,
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

class Locator {
  readonly #source: Uint8Array
  /** The name in hand. */
  #nameFrom = 0
  #nameUntil = 0

  constructor(source: Uint8Array) {
    this.#source = source
  }

  batch(start: number, batch: BatchPlaces): number {
    return this.#members(start, (valueAt) => this.#batchMember(valueAt, batch))
  }

  events(start: number, events: EventPlaces[]): number {
    const source = this.#source
    let at = skipSpaces(source, start + 1)
    while (at < source.length) {
      const places = emptyEvent()
      at = this.event(at, places)
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

  event(start: number, places: EventPlaces): number {
    const end = this.#members(start, (valueAt) => this.#eventMember(valueAt, places))
    return places.event === nowhere || places.properties === nowhere ? -1 : end
  }

  /** Walks an object whose names have no escapes; `read` gives the place after the value, or -1. */
  #members(start: number, read: (valueAt: number) => number): number {
    const source = this.#source
    if (source[start] !== codes.openBrace) return -1
    let at = skipSpaces(source, start + 1)
    if (at < source.length && source[at] === codes.closeBrace) return at + 1
    while (at < source.length) {
      const until = scanPlainString(source, at)
      if (until < 0) return -1
      this.#nameFrom = at + 1
      this.#nameUntil = until - 1
      const valueAt = scanColon(source, until)
      if (valueAt < 0) return -1
      at = read(valueAt)
      if (at < 0) return -1
      at = skipSpaces(source, at)
      if (at >= source.length) return -1
      if (source[at] === codes.closeBrace) return at + 1
      if (source[at] !== codes.comma) return -1
      at = skipSpaces(source, at + 1)
    }
    return -1
  }

  #batchMember(valueAt: number, batch: BatchPlaces): number {
    if (this.#isNamed(names.batch)) {
      if (batch.events !== undefined || this.#source[valueAt] !== codes.openBracket) return -1
      batch.events = []
      return this.events(valueAt, batch.events)
    }
    if (this.#isNamed(names.token)) return this.#text(valueAt, batch, 'token')
    if (this.#isNamed(names.apiKey)) return this.#text(valueAt, batch, 'apiKey')
    if (this.#isNamed(names.sentAt)) return this.#text(valueAt, batch, 'sentAt')
    if (this.#isNamed(names.isHistorical)) {
      if (batch.isHistorical !== undefined) return -1
      batch.isHistorical = this.#source[valueAt] === codes.t
      return scanWord(this.#source, valueAt, batch.isHistorical ? 'true' : 'false')
    }
    return scanValue(this.#source, valueAt, 0)
  }

  #eventMember(valueAt: number, places: EventPlaces): number {
    switch (this.#nameUntil - this.#nameFrom) {
      case 4:
        if (this.#isNamed(names.uuid)) return this.#text(valueAt, places, 'uuid')
        return this.#isNamed(names.set) ? this.#object(valueAt, places, 'set') : this.#other(valueAt)
      case 5:
        if (this.#isNamed(names.event)) return this.#text(valueAt, places, 'event')
        if (this.#isNamed(names.batch)) return -1
        return this.#isNamed(names.token) ? this.#text(valueAt, places, 'token') : this.#other(valueAt)
      case 6:
        return this.#isNamed(names.offset) || this.#isNamed(names.dollarToken) ? -1 : this.#other(valueAt)
      case 7:
        return this.#isNamed(names.apiKey) ? this.#text(valueAt, places, 'apiKey') : this.#other(valueAt)
      case 9:
        if (this.#isNamed(names.timestamp)) return this.#text(valueAt, places, 'timestamp')
        return this.#isNamed(names.setOnce) ? this.#object(valueAt, places, 'setOnce') : this.#other(valueAt)
      case 10:
        if (!this.#isNamed(names.properties)) return this.#other(valueAt)
        return this.#properties(valueAt, places)
      case 11:
        if (!this.#isNamed(names.distinctId)) return this.#other(valueAt)
        return this.#text(valueAt, places, 'distinctId')
      case 12:
        return this.#isNamed(names.dollarDistinctId) ? -1 : this.#other(valueAt)
      default:
        return this.#other(valueAt)
    }
  }

  #properties(start: number, places: EventPlaces): number {
    if (places.properties !== nowhere) return -1
    const until = this.#members(start, (valueAt) => this.#property(valueAt, places))
    if (until > 0) places.properties = { from: start, until }
    return until
  }

  #property(valueAt: number, places: EventPlaces): number {
    const length = this.#nameUntil - this.#nameFrom
    if (length === 5 && this.#isNamed(names.token)) return this.#text(valueAt, places, 'innerToken')
    if (length === 11 && this.#isNamed(names.distinctId))
      return this.#text(valueAt, places, 'innerDistinctId')
    if (length >= 13) for (const name of special) if (this.#isNamed(name)) return -1
    return scanValue(this.#source, valueAt, 1)
  }

  #other(valueAt: number): number {
    return scanValue(this.#source, valueAt, 0)
  }

  #text<Name extends string>(valueAt: number, places: Record<Name, Place>, name: Name): number {
    const until = scanPlainString(this.#source, valueAt)
    if (until < 0 || places[name] !== nowhere) return -1
    places[name] = { from: valueAt, until }
    return until
  }

  #object(valueAt: number, places: EventPlaces, name: 'set' | 'setOnce'): number {
    if (this.#source[valueAt] !== codes.openBrace || places[name] !== nowhere) return -1
    const until = scanValue(this.#source, valueAt, 0)
    if (until > 0) places[name] = { from: valueAt, until }
    return until
  }

  #isNamed(name: Uint8Array): boolean {
    const from = this.#nameFrom
    if (this.#nameUntil - from !== name.length) return false
    for (let index = 0; index < name.length; index++)
      if (this.#source[from + index] !== name[index]) return false
    return true
  }
}
