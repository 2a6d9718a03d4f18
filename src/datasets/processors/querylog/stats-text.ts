/**
 * A query's statistics as they are stored: compact JSON with sorted keys, numbers as serde_json prints them,
 * inside a string. Each statistic is a piece of the message; the pieces are sorted and copied. Lists, objects
 * and texts with escapes are rare and are parsed and printed.
 */
import {
  arenaBytes,
  constantPiece,
  putAscii,
  putByte,
  putCopy,
  putText,
  reserve,
  textOf,
} from '../../../std/arena.ts'
import { escapesPassed, readText, skipSpace, skipString, skipValue } from '../../../std/arena-json.ts'
import { isI64, isU64, readFloat } from '../../../std/arena-numbers.ts'
import { floatText, parseLosslessText } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { invalidJson } from '../message-fields.ts'
import type { PayloadFields } from '../payload/payload-fields.ts'
import { compareBytes, sortedText } from './sorted-text.ts'

const memory = arenaBytes()
const quote = 0x22
const backslash = 0x5c
const letterN = 0x6e

/** Numbers of a statistic in `#places`: start and end of the name without its quotes, and of the value. */
const placeCount = 4
/** More than a name and its quotes take beyond their text, and more than a number takes. */
const statBytesExtra = 64

export type KnownStats = {
  /** JSON of statistics that are stored even if they were not sent. */
  withDefault: Readonly<Record<string, string>>
  /** Fields that are not stored where they are null. */
  withoutNull: readonly number[]
}

export class StatsText {
  readonly #fields: PayloadFields
  readonly #withoutNull: readonly number[]
  readonly #defaults: readonly { field: number; places: readonly number[] }[]
  #places = new Int32Array(placeCount * 64)
  #count = 0

  constructor(fields: PayloadFields, { withDefault, withoutNull }: KnownStats) {
    this.#fields = fields
    this.#withoutNull = withoutNull
    this.#defaults = Object.entries(withDefault).map(([name, json]) => {
      const [key, value] = [constantPiece(name), constantPiece(json)]
      return { field: fields.set.names.indexOf(name), places: [key.start, key.end, value.start, value.end] }
    })
  }

  /** Puts the statistics of the object at `start`, whose fields have been found. */
  put(start: number): void {
    this.#count = 0
    for (const { field, places } of this.#defaults)
      if (this.#fields.isAbsent(field))
        this.#places.set(places, this.#placeFor(places[0] ?? 0, places[1] ?? 0))
    if (this.#collect(start)) this.#putCollected()
    else this.#putDecoded(start)
  }

  /** Sorts the statistics by name; `false` if a name has an escape, by which they cannot be compared. */
  #collect(start: number): boolean {
    let at = skipSpace(start + 1)
    while (memory[at] === quote) {
      const escapesBefore = escapesPassed()
      const nameEnd = skipString(at)
      if (escapesPassed() !== escapesBefore) return false
      const valueStart = skipSpace(skipSpace(nameEnd) + 1)
      const valueEnd = skipValue(valueStart, 0)
      if (!this.#isLeftOut(valueStart)) {
        const place = this.#placeFor(at + 1, nameEnd - 1)
        this.#places[place] = at + 1
        this.#places[place + 1] = nameEnd - 1
        this.#places[place + 2] = valueStart
        this.#places[place + 3] = valueEnd
      }
      at = skipSpace(valueEnd)
      if (memory[at] === 0x2c) at = skipSpace(at + 1)
    }
    return true
  }

  #isLeftOut(valueStart: number): boolean {
    return (
      memory[valueStart] === letterN &&
      this.#withoutNull.some((field) => this.#fields.start(field) === valueStart)
    )
  }

  /** Where a statistic of this name goes; one that has the same name gives way. */
  #placeFor(nameStart: number, nameEnd: number): number {
    const places = this.#room()
    let at = placeCount * this.#count
    while (at > 0) {
      const order = this.#compare(at - placeCount, nameStart, nameEnd)
      if (order === 0) return at - placeCount
      if (order < 0) break
      at -= placeCount
    }
    places.copyWithin(at + placeCount, at, placeCount * this.#count)
    this.#count++
    return at
  }

  /** The order of the name at a place and another. */
  #compare(place: number, otherStart: number, otherEnd: number): number {
    const start = this.#places[place] ?? 0
    const end = this.#places[place + 1] ?? 0
    const length = Math.min(end - start, otherEnd - otherStart)
    for (let index = 0; index < length; index++) {
      const order = (memory[start + index] ?? 0) - (memory[otherStart + index] ?? 0)
      if (order !== 0) return order
    }
    return end - start - (otherEnd - otherStart)
  }

  #room(): Int32Array {
    if (placeCount * (this.#count + 1) > this.#places.length) {
      const grown = new Int32Array(this.#places.length * 2)
      grown.set(this.#places)
      this.#places = grown
    }
    return this.#places
  }

  #putCollected(): void {
    const places = this.#places
    putByte(quote)
    for (let at = 0; at < placeCount * this.#count; at += placeCount) {
      const nameStart = places[at] ?? 0
      const nameEnd = places[at + 1] ?? 0
      reserve(nameEnd - nameStart + statBytesExtra)
      putByte(at === 0 ? 0x7b : 0x2c)
      putQuote()
      putCopy(nameStart, nameEnd)
      putQuote()
      putByte(0x3a)
      putValue(places[at + 2] ?? 0, places[at + 3] ?? 0)
    }
    reserve(2)
    putByte(0x7d)
    putByte(quote)
  }

  /** The same by texts, with names decoded. */
  #putDecoded(start: number): void {
    const stats = new Map<string, string>()
    for (const { field, places } of this.#defaults)
      if (this.#fields.isAbsent(field))
        stats.set(this.#fields.set.names[field] ?? '', textOf(places[2] ?? 0, places[3] ?? 0))
    let at = skipSpace(start + 1)
    while (memory[at] === quote) {
      const nameEnd = skipString(at)
      const valueStart = skipSpace(skipSpace(nameEnd) + 1)
      const valueEnd = skipValue(valueStart, 0)
      if (!this.#isLeftOut(valueStart)) stats.set(readText(at, nameEnd), valueText(valueStart, valueEnd))
      at = skipSpace(valueEnd)
      if (memory[at] === 0x2c) at = skipSpace(at + 1)
    }
    const sorted = [...stats].sort(([one], [other]) => compareBytes(one, other))
    putText(JSON.stringify(`{${sorted.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`))
  }
}

function putQuote(): void {
  putByte(backslash)
  putByte(quote)
}

/** Puts the JSON of a value as a part of a string. */
function putValue(start: number, end: number): void {
  const first = memory[start] ?? 0
  reserve(end - start + statBytesExtra)
  if (first === quote && !hasBackslash(start, end)) {
    putQuote()
    putCopy(start + 1, end - 1)
    putQuote()
  } else if (first === quote || first === 0x5b || first === 0x7b)
    putText(JSON.stringify(valueText(start, end)).slice(1, -1))
  else if (first >= 0x61 || isU64(start, end) || isI64(start, end)) putCopy(start, end)
  else putFloat(start, end)
}

function putFloat(start: number, end: number): void {
  const value = readFloat(start, end)
  if (value === undefined)
    throw new InvalidMessage('A number is beyond the range of doubles.', { path: 'query_list[].stats' })
  putAscii(floatText(value))
}

function valueText(start: number, end: number): string {
  try {
    return sortedText(parseLosslessText(textOf(start, end)))
  } catch (error) {
    throw invalidJson(error)
  }
}

function hasBackslash(start: number, end: number): boolean {
  for (let place = start; place < end; place++) if (memory[place] === backslash) return true
  return false
}
