/**
 * Finds the values of known fields of the JSON object in the arena without building the object. Everything is
 * read once and checked as strictly as a parser would; what is not asked for is skipped, what is asked for is
 * a piece of the text. A piece can be copied as it is: it is one valid JSON value.
 *
 * Strict means: JSON's grammar and nothing else, no control characters or half surrogate pairs in strings, no
 * nesting deeper than 127, no field of the set twice. UTF-8 is not checked here: `isUtf8` is faster.
 */
import { arenaBytes, constantPiece, messageStart, type Piece, textOf } from './arena.ts'

const memory = arenaBytes()

let hasLargeNumber = false

/** Start and end of the values that were found: two numbers a field from the set's base on. */
const spans = new Int32Array(1024)

/** Bytes that may stand in a string as they are: not a quote, a backslash, or a control character. */
const plain = new Uint8Array(256).fill(1, 0x20)
plain[0x22] = 0
plain[0x5c] = 0

/** serde_json gives up when it enters the 128th level. */
const depthMax = 127
/** A number of so many characters without an exponent is in the range of doubles. */
const digitsSafe = 300
const fnvBasis = 0x811c9dc5 | 0
const fnvPrime = 0x01000193

/** Reads the value at a place, at most `depth` levels inside others, and returns the place after it. */
export type ReadValue = (at: number, depth: number) => number

/** The fields of an object that are asked for, by position in `names`. */
export class JsonFieldSet {
  readonly names: readonly string[]
  /** How a field's value is read instead of skipped; the value is checked nowhere else. */
  readonly readers: (ReadValue | undefined)[]
  /** Where the places of its fields are kept; sets in use at the same time need bases of their own. */
  readonly base: number
  readonly #pieces: readonly Piece[]
  /** Position + 1 of a field by the low bits of its name's hash; 0 is none. No two share a slot. */
  readonly #slots: Uint8Array

  /** Of a field that is there twice the last counts; else it is refused. */
  readonly isLastCounted: boolean

  constructor(names: readonly string[], base = 0, isLastCounted = false) {
    if (base + 2 * names.length > spans.length) throw new RangeError('The set has too many fields.')
    this.names = names
    this.readers = names.map(() => undefined)
    this.base = base
    this.isLastCounted = isLastCounted
    this.#pieces = names.map((name) => constantPiece(`${name}"`))
    this.#slots = slotsOf(names.map((name) => Buffer.from(name)))
  }

  /** The position of the field whose name begins at `start` and ends before a quote, or -1. */
  find(start: number, hash: number): number {
    const field = (this.#slots[hash & (this.#slots.length - 1)] ?? 0) - 1
    const piece = field < 0 ? undefined : this.#pieces[field]
    if (piece === undefined) return -1
    let place = start
    for (let known = piece.start; known < piece.end; known++) if (memory[known] !== memory[place++]) return -1
    return field
  }
}

/** Where the value of a field begins; 0 if it is not there. */
export function fieldStart(base: number, field: number): number {
  return spans[base + 2 * field] ?? 0
}

/** The place after the value of a field. */
export function fieldEnd(base: number, field: number): number {
  return spans[base + 2 * field + 1] ?? 0
}

/**
 * Reads the object at `at`, at most `depth` levels inside others, and keeps the places of the set's fields
 * from the set's base on. Returns the place after the object.
 *
 * Throws a `SyntaxError` that says what is wrong and at which byte.
 */
export function findFields(at: number, fields: JsonFieldSet, depth = 0): number {
  const { base } = fields
  for (let slot = base; slot < base + 2 * fields.names.length; slot += 2) spans[slot] = 0
  if (memory[at] !== 0x7b) fail('an object', at)
  let place = skipSpace(at + 1)
  if (memory[place] === 0x7d) return place + 1
  for (;;) {
    if (memory[place] !== 0x22) fail('a name', place)
    const nameStart = place + 1
    let hash = fnvBasis
    place = nameStart
    let byte = memory[place] ?? 0
    while (plain[byte] === 1) {
      hash = Math.imul(hash ^ byte, fnvPrime)
      byte = memory[++place] ?? 0
    }
    let field: number
    if (byte === 0x22) {
      field = fields.find(nameStart, hash)
      place++
    } else {
      place = skipString(nameStart - 1)
      field = fields.names.indexOf(readText(nameStart - 1, place))
    }
    if (memory[place] !== 0x3a) place = skipSpace(place)
    if (memory[place] !== 0x3a) fail('a colon', place)
    place++
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    const start = place
    const readValue = field < 0 ? undefined : fields.readers[field]
    place = readValue === undefined ? skipValue(place, depth + 1) : readValue(place, depth + 1)
    if (field >= 0) {
      const slot = base + 2 * field
      if (spans[slot] !== 0 && !fields.isLastCounted)
        throw new SyntaxError(`The field ${fields.names[field]} is there twice.`)
      spans[slot] = start
      spans[slot + 1] = place
    }
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    if (memory[place] === 0x2c) {
      place++
      if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    } else if (memory[place] === 0x7d) return place + 1
    else fail('a comma or a closing brace', place)
  }
}

/** Reads the text from `start` up to `end` as one object and nothing after it. See `findFields`. */
export function findMessageFields(start: number, end: number, fields: JsonFieldSet): void {
  hasLargeNumber = false
  const after = skipSpace(findFields(skipSpace(start), fields))
  if (after !== end) fail('the end', after)
}

/** Whether there is a number in the last message that no double can hold, be it in a field or skipped. */
export function foundLargeNumber(): boolean {
  return hasLargeNumber
}

/** Whether there is such a number in the value at `at`, which is known to be valid JSON. */
export function holdsLargeNumber(at: number): boolean {
  hasLargeNumber = false
  skipValue(at, 0)
  return hasLargeNumber
}

/** The text of the string whose quotes are at `start` and before `end`. */
export function readText(start: number, end: number): string {
  const text: unknown = JSON.parse(textOf(start, end))
  return typeof text === 'string' ? text : fail('a string', start)
}

/** The place after a value, which is checked. */
export function skipValue(at: number, depth: number): number {
  const byte = memory[at] ?? 0
  if (byte === 0x22) return skipString(at)
  if (byte === 0x7b) return skipObject(at, depth + 1)
  if (byte === 0x5b) return skipArray(at, depth + 1)
  if (byte === 0x74) return skipWord(at, 'true')
  if (byte === 0x66) return skipWord(at, 'false')
  if (byte === 0x6e) return skipWord(at, 'null')
  return skipNumber(at)
}

/** The place after a string that begins with its quote at `at`. */
export function skipString(at: number): number {
  if (memory[at] !== 0x22) fail('a string', at)
  let place = at + 1
  for (;;) {
    while (plain[memory[place] ?? 0] === 1) place++
    if (memory[place] === 0x22) return place + 1
    if (memory[place] !== 0x5c) fail('a character of a string', place)
    place = skipEscape(place)
  }
}

export function skipSpace(at: number): number {
  let place = at
  for (;;) {
    const byte = memory[place]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return place
    place++
  }
}

export function skipNumber(at: number): number {
  let place = memory[at] === 0x2d ? at + 1 : at
  if (memory[place] === 0x30) place++
  else place = skipDigits(place)
  if (memory[place] === 0x2e) place = skipDigits(place + 1)
  const hasExponent = memory[place] === 0x65 || memory[place] === 0x45
  if (hasExponent) {
    const sign = memory[place + 1]
    place = skipDigits(sign === 0x2b || sign === 0x2d ? place + 2 : place + 1)
  }
  if (hasExponent || place - at > digitsSafe) hasLargeNumber ||= isBeyondRange(at, place)
  return place
}

function isBeyondRange(start: number, end: number): boolean {
  return !Number.isFinite(Number(textOf(start, end, 'latin1')))
}

function skipDigits(at: number): number {
  let place = at
  while (isDigit(memory[place] ?? 0)) place++
  if (place === at) fail('a digit', at)
  return place
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function skipObject(at: number, depth: number): number {
  if (depth > depthMax) tooDeep(at)
  let place = skipSpace(at + 1)
  if (memory[place] === 0x7d) return place + 1
  for (;;) {
    place = skipString(place)
    if (memory[place] !== 0x3a) place = skipSpace(place)
    if (memory[place] !== 0x3a) fail('a colon', place)
    place++
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    place = skipValue(place, depth)
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    if (memory[place] === 0x7d) return place + 1
    if (memory[place] !== 0x2c) fail('a comma or a closing brace', place)
    place = skipSpace(place + 1)
  }
}

function skipArray(at: number, depth: number): number {
  if (depth > depthMax) tooDeep(at)
  let place = skipSpace(at + 1)
  if (memory[place] === 0x5d) return place + 1
  for (;;) {
    // Most elements of long arrays are plain integers, which need no call.
    const start = place
    if (memory[place] !== 0x30) while (isDigit(memory[place] ?? 0)) place++
    const byte = memory[place]
    const isInteger = place > start && place - start < digitsSafe && (byte === 0x2c || byte === 0x5d)
    if (!isInteger) place = skipValue(start, depth)
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    if (memory[place] === 0x5d) return place + 1
    if (memory[place] !== 0x2c) fail('a comma or a closing bracket', place)
    place++
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
  }
}

function skipWord(at: number, word: string): number {
  for (let index = 0; index < word.length; index++)
    if (memory[at + index] !== word.charCodeAt(index)) fail('a value', at)
  return at + word.length
}

/** The place after the escape at `at`; for half a surrogate pair, after the other half. */
function skipEscape(at: number): number {
  const byte = memory[at + 1] ?? 0
  if (byte !== 0x75) {
    if (!'"\\/bfnrt'.includes(String.fromCharCode(byte))) fail('an escape', at)
    return at + 2
  }
  const unit = hexUnit(at + 2)
  if (unit < 0xd800 || unit > 0xdfff) return at + 6
  const isPair = unit < 0xdc00 && memory[at + 6] === 0x5c && memory[at + 7] === 0x75
  const other = isPair ? hexUnit(at + 8) : 0
  if (other < 0xdc00 || other > 0xdfff) fail('the other half of a surrogate pair', at + 6)
  return at + 12
}

function hexUnit(at: number): number {
  const digits = textOf(at, at + 4, 'latin1')
  return /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : fail('four hexadecimal digits', at)
}

function fail(expected: string, at: number): never {
  throw new SyntaxError(`Expected ${expected} at byte ${at - messageStart} of the JSON.`)
}

function tooDeep(at: number): never {
  throw new SyntaxError(`The JSON is nested deeper than ${depthMax} at byte ${at - messageStart}.`)
}

/** The smallest table of slots in which no two names meet. */
function slotsOf(names: readonly Buffer[]): Uint8Array {
  for (let size = 8; size <= 1 << 20; size *= 2) {
    const slots = new Uint8Array(size)
    const hasRoom = names.every((name, field) => {
      const slot = hashOf(name) & (size - 1)
      if (slots[slot] !== 0) return false
      slots[slot] = field + 1
      return true
    })
    if (hasRoom) return slots
  }
  throw new RangeError('Two names of a set of fields are the same.')
}

function hashOf(name: Buffer): number {
  let hash = fnvBasis
  for (const byte of name) hash = Math.imul(hash ^ byte, fnvPrime)
  return hash
}
