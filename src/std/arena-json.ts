/**
 * Finds the values of known fields of the JSON object in the arena without building the object. Everything is
 * read once and checked as strictly as a parser would; what is not asked for is skipped, what is asked for is
 * a piece of the text. A piece can be copied as it is: it is one valid JSON value.
 *
 * Strict means: JSON's grammar and nothing else, no control characters or half surrogate pairs in strings, no
 * nesting deeper than 127, no field of the set twice. UTF-8 is not checked here: `isUtf8` is faster.
 */
import { arenaBytes, arenaView, constantPiece, messageStart, textOf } from './arena.ts'
import { slotOf, slotsOf } from './arena-names.ts'

const memory = arenaBytes()
const view = arenaView()

let hasLargeNumber = false
let hasBeyondAscii = false
/** How many escapes there have been. */
let escapes = 0

/** Start and end of the values that were found: two numbers a field from the set's base on. */
const spans = new Int32Array(1024)

/** serde_json gives up when it enters the 128th level. */
export const depthMax = 127
/** A number of so many characters without an exponent is in the range of doubles. */
const digitsSafe = 300

/** Reads the value at a place, at most `depth` levels inside others, and returns the place after it. */
export type ReadValue = (at: number, depth: number) => number

/** What is no JSON, and where in the arena. */
export class JsonSyntaxError extends SyntaxError {
  override readonly name = 'SyntaxError'
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

export interface FieldVisitor {
  /** A field was found: `nameStart` is the place of its name's quote; the set has its value's place already. */
  visit(field: number, nameStart: number): void
}

/** The fields of an object that are asked for, by position in `names`. */
export class JsonFieldSet {
  readonly names: readonly string[]
  /** How a field's value is read instead of skipped; the value is checked nowhere else. */
  readonly readers: (ReadValue | undefined)[]
  /** Is told of each field as it is found. */
  visitor: FieldVisitor | undefined = undefined
  /** Where the places of its fields are kept; sets in use at the same time need bases of their own. */
  readonly base: number
  /** By position + 1: where a field's name in quotes begins among the constants, and where its colon ends. */
  readonly #places: Int32Array
  /** Position + 1 of a field by the low bits of its name's hash; 0 is none. No two share a slot. */
  readonly #slots: Uint8Array
  /** By position + 1: the two fields, again by position + 1, that came next of late. */
  readonly #following: Int16Array

  /** Of a field that is there twice the last counts; else it is refused. */
  readonly isLastCounted: boolean

  constructor(names: readonly string[], base = 0, isLastCounted = false) {
    if (base + 2 * names.length > spans.length) throw new RangeError('The set has too many fields.')
    this.names = names
    this.readers = names.map(() => undefined)
    this.base = base
    this.isLastCounted = isLastCounted
    const pieces = names.map((name) => constantPiece(`"${name}":`))
    this.#places = Int32Array.from([0, 0, ...pieces.flatMap(({ start, end }) => [start, end])])
    this.#following = new Int16Array(2 * names.length + 2)
    this.#slots = slotsOf(pieces)
  }

  /**
   * The position of the field whose name and colon begin at `at`, or -1: `afterName` is then the place
   * behind the colon. `previous` is the position of the field before it, or -1.
   */
  find(at: number, previous: number): number {
    const slot = 2 * previous + 2
    const expected = this.#following[slot] ?? 0
    if (this.#isNamed(expected, at)) return expected - 1
    const other = this.#following[slot + 1] ?? 0
    if (this.#isNamed(other, at)) return other - 1
    const field = this.#search(at)
    if (field >= 0) {
      this.#following[slot + 1] = expected
      this.#following[slot] = field + 1
    }
    return field
  }

  /** Whether the name and the colon of a field, by its position + 1, are at a place. */
  #isNamed(number: number, at: number): boolean {
    if (number === 0) return false
    const start = this.#places[2 * number] ?? 0
    const last = (this.#places[2 * number + 1] ?? 0) - 4
    const distance = at - start
    for (let known = start; known < last; known += 4)
      if (view.getInt32(known, true) !== view.getInt32(known + distance, true)) return false
    if (view.getInt32(last, true) !== view.getInt32(last + distance, true)) return false
    afterName = last + 4 + distance
    return true
  }

  #search(at: number): number {
    const before = escapes
    const end = skipString(at)
    afterName = skipColon(end)
    if (escapes !== before) return this.names.indexOf(readText(at, end))
    const number = this.#slots[slotOf(at, end, this.#slots.length)] ?? 0
    if (number === 0) return -1
    const start = this.#places[2 * number] ?? 0
    if ((this.#places[2 * number + 1] ?? 0) - start !== end - at + 1) return -1
    const distance = at - start
    for (let place = at; place < end; place++) if (memory[place] !== memory[place - distance]) return -1
    return number - 1
  }
}

/** Where the colon ends behind the name that was found last. */
let afterName = 0

/** The place behind the colon that comes next. */
function skipColon(at: number): number {
  const place = memory[at] === 0x3a ? at : skipSpace(at)
  if (memory[place] !== 0x3a) fail('a colon', place)
  return place + 1
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
  const { base, visitor } = fields
  for (let slot = base; slot < base + 2 * fields.names.length; slot += 2) spans[slot] = 0
  if (memory[at] !== 0x7b) fail('an object', at)
  let place = skipSpace(at + 1)
  if (memory[place] === 0x7d) return place + 1
  let previous = -1
  for (;;) {
    const nameStart = place
    const field = fields.find(place, previous)
    place = afterName
    if ((memory[place] ?? 0) <= 0x20) place = skipSpace(place)
    const start = place
    const readValue = field < 0 ? undefined : fields.readers[field]
    place = readValue === undefined ? skipValue(place, depth + 1) : readValue(place, depth + 1)
    if (field >= 0) {
      const slot = base + 2 * field
      if (spans[slot] !== 0 && !fields.isLastCounted)
        throw new JsonSyntaxError(`The field ${fields.names[field]} is there twice.`, start)
      spans[slot] = start
      spans[slot + 1] = place
      previous = field
      visitor?.visit(field, nameStart)
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
  beginMessage()
  endMessage(findFields(skipSpace(start), fields), end)
}

/** Nothing has been found yet of what `foundLargeNumber` and `foundBeyondAscii` tell. */
export function beginMessage(): void {
  hasLargeNumber = false
  hasBeyondAscii = false
}

/** Refuses anything but space from `at` up to `end`. */
export function endMessage(at: number, end: number): void {
  const after = skipSpace(at)
  if (after !== end) fail('the end', after)
}

/** Whether there is a byte beyond ASCII in the last message: only then it may be no UTF-8. */
export function foundBeyondAscii(): boolean {
  return hasBeyondAscii
}

/** Whether there is a number in the last message that no double can hold, be it in a field or skipped. */
export function foundLargeNumber(): boolean {
  return hasLargeNumber
}

/** How many escapes have been passed over so far: more than before a string was, if it holds one. */
export function escapesPassed(): number {
  return escapes
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
  if (byte <= 0x39) return skipNumber(at)
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
    // Four bytes at a time: the highest bit of a byte is set where it is a quote, a backslash, a control
    // character, or beyond ASCII. The lowest one that is set is right; a carry may set others above it.
    const four = view.getInt32(place, true)
    const special =
      (((four ^ 0x22222222) - 0x01010101) | ((four ^ 0x5c5c5c5c) - 0x01010101) | (four - 0x20202020) | four) &
      0x80808080
    if (special === 0) {
      place += 4
      continue
    }
    place += (31 - Math.clz32(special & -special)) >> 3
    if (memory[place] === 0x22) return place + 1
    place = skipSpecial(place)
  }
}

/** The place after a character of a string that is an escape, or after all that are beyond ASCII. */
function skipSpecial(at: number): number {
  const byte = memory[at] ?? 0
  if (byte === 0x5c) {
    escapes++
    return skipEscape(at)
  }
  if (byte < 0x80) fail('a character of a string', at)
  hasBeyondAscii = true
  let place = at
  while ((memory[place] ?? 0) >= 0x80) place++
  return place
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
    place = skipColon(skipString(place))
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
  throw new JsonSyntaxError(`Expected ${expected} at byte ${at - messageStart} of the JSON.`, at)
}

function tooDeep(at: number): never {
  throw new JsonSyntaxError(`The JSON is nested deeper than ${depthMax} at byte ${at - messageStart}.`, at)
}
