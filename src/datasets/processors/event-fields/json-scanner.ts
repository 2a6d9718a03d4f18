/**
 * Walks the JSON of a message in the arena, forwards only, and builds no values: a reader asks for the keys it wants, takes
 * the places of their values, and skips the rest. Everything is checked on the way as strictly as Rust's
 * serde_json checks it: grammar, escapes, halves of surrogate pairs, numbers out of range, nesting. That the
 * bytes are UTF-8 is for the caller to check, which is quick.
 *
 * Texts are handled in their bytes: a string of this folder holds one byte in each character ("latin1"), so
 * that places in it are places in the message, and its order is the order of UTF-8 bytes.
 */
import {
  arenaBytes,
  bytesOf,
  loadMessage,
  messageStart,
  putAscii,
  reserve,
  rowEnd,
  textOf,
} from '../../../std/arena.ts'
import {
  beginMessage,
  depthMax,
  escapesPassed,
  findFields,
  foundLargeNumber,
  type JsonFieldSet,
  JsonSyntaxError,
  skipNumber,
  skipSpace,
  skipString,
  skipValue,
} from '../../../std/arena-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { jsonPathAt } from './json-path.ts'

const memory = arenaBytes()
const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
const digit0 = 0x30
const digit9 = 0x39
/** An integer of fewer digits is in the range of doubles. */
const digitsSafe = 300
/** Whoever wants more texts of a message gets slices of one text of the whole. */
const tokensApart = 8

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null'

/** Reads the message in the arena: one at a time. */
export class JsonScanner {
  /** Of the token read last; of a string without its quotes. */
  start = 0
  end = 0
  /** Whether the string read last holds an escape. */
  isEscaped = false
  /** Whether the number read last is none of JSON's integers: it has a fraction or an exponent, or is -0. */
  isFloat = false
  /** Index of the key found last by a key table, or -1. */
  keyIndex = -1
  #messageEnd = messageStart
  #source: string | undefined = undefined
  #tokens = 0
  #at = messageStart
  #depth = 0
  #isFirst = false

  open(message: Buffer): void {
    this.#messageEnd = loadMessage(message)
    beginMessage()
    this.#source = undefined
    this.#tokens = 0
    this.#at = messageStart
    this.#depth = 0
  }

  /** Keeps a text of ASCII in front of the row and returns its place. */
  keep(text: string): number {
    const place = rowEnd()
    reserve(text.length)
    putAscii(text)
    return place
  }

  /** Place of the next token. */
  get at(): number {
    this.#peek()
    return this.#at
  }

  /** Place after the token read last. */
  get position(): number {
    return this.#at
  }

  /** What the next value is. */
  kind(): JsonKind {
    const byte = this.#peek()
    if (byte === quote) return 'string'
    if (byte === openBrace) return 'object'
    if (byte === openBracket) return 'array'
    if (byte === 0x74) return 'true'
    if (byte === 0x66) return 'false'
    if (byte === 0x6e) return 'null'
    if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return 'number'
    return this.fail('Expected a value.')
  }

  takeNull(): boolean {
    if (this.#peek() !== 0x6e) return false
    this.#word('null')
    return true
  }

  takeString(): boolean {
    if (this.#peek() !== quote) return false
    this.#string()
    return true
  }

  enterObject(): void {
    this.#enter(openBrace, 'Expected an object.')
  }

  enterArray(): void {
    this.#enter(openBracket, 'Expected an array.')
  }

  /** Reads the next key of the object and its colon; `false` leaves the object. */
  nextKey(): boolean {
    let byte = this.#peek()
    if (byte === closeBrace) return this.#leave()
    if (this.#isFirst) this.#isFirst = false
    else if (byte === comma) {
      this.#at++
      byte = this.#peek()
    } else this.fail('Expected a comma or a closing brace.')
    if (byte !== quote) this.fail('Expected a string.')
    this.#string()
    if (memory[this.#at] !== colon && this.#peek() !== colon) this.fail('Expected a colon.')
    this.#at++
    return true
  }

  /** Comes to the next item of the array; `false` leaves the array. */
  nextItem(): boolean {
    const byte = this.#peek()
    if (byte === closeBracket) return this.#leave()
    if (this.#isFirst) this.#isFirst = false
    else if (byte === comma) this.#at++
    else this.fail('Expected a comma or a closing bracket.')
    return true
  }

  /** Refuses a key that has been there before: `seen` holds a bit for each index of the table. */
  once(seen: number): number {
    if (this.keyIndex < 0) return seen
    const bit = 1 << this.keyIndex
    if ((seen & bit) !== 0) this.fail('The key is there twice.')
    return seen | bit
  }

  string(): void {
    if (this.#peek() !== quote) this.fail('Expected a string.')
    this.#string()
  }

  number(): void {
    this.#peek()
    const start = this.#at
    this.start = start
    let at = start
    while (isDigit(memory[at] ?? 0)) at++
    const next = memory[at] ?? 0
    const isPlain = at > start && (next === comma || next === closeBrace || next === closeBracket)
    if (isPlain && (memory[start] !== digit0 || at === start + 1) && at - start < digitsSafe) {
      this.isFloat = false
      this.#at = at
    } else this.#number(start)
    this.end = this.#at
  }

  boolean(): boolean {
    const byte = this.#peek()
    if (byte === 0x74) this.#word('true')
    else if (byte === 0x66) this.#word('false')
    else this.fail('Expected true or false.')
    return byte === 0x74
  }

  /** Reads the object that comes next, and keeps the places of its fields in the set's. */
  fields(set: JsonFieldSet): void {
    if (this.#peek() !== openBrace) this.fail('Expected an object.')
    try {
      this.#at = findFields(this.#at, set, this.#depth)
    } catch (error) {
      throw this.#invalid(error)
    }
  }

  /** Passes over a value, checking it. */
  skip(): void {
    this.#peek()
    this.start = this.#at
    try {
      this.#at = skipValue(this.#at, this.#depth)
    } catch (error) {
      throw this.#invalid(error)
    }
    this.end = this.#at
  }

  finish(): void {
    this.#peek()
    if (this.#at < this.#messageEnd) this.fail('Expected the end of the message.')
    if (foundLargeNumber()) this.fail('A number is out of range.')
  }

  /** The source of the token read last; of a string without its quotes. */
  token(): string {
    if (this.#source === undefined && this.#tokens++ < tokensApart)
      return textOf(this.start, this.end, 'latin1')
    this.#source ??= textOf(messageStart, this.#messageEnd, 'latin1')
    return this.#source.slice(this.start - messageStart, this.end - messageStart)
  }

  /** The string read last, without escapes. */
  text(): string {
    const inside = this.token()
    return this.isEscaped ? unescapeInside(inside) : inside
  }

  /** Says where in the message, as a path. */
  fail(sentence: string): never {
    return this.failAt(this.#at, sentence)
  }

  /** The same about another place. */
  failAt(at: number, sentence: string): never {
    const end = this.#messageEnd
    const path = jsonPathAt(bytesOf(messageStart, end), Math.min(at, end) - messageStart)
    throw new InvalidMessage(at < end ? sentence : 'The message ends too early.', { path })
  }

  #invalid(error: unknown): unknown {
    return error instanceof JsonSyntaxError ? this.failAt(error.at, error.message) : error
  }

  /** Reads the string that begins at the place. */
  #string(): void {
    const at = this.#at
    const escapesBefore = escapesPassed()
    try {
      this.#at = skipString(at)
    } catch (error) {
      throw this.#invalid(error)
    }
    this.start = at + 1
    this.end = this.#at - 1
    this.isEscaped = escapesPassed() !== escapesBefore
  }

  #number(start: number): void {
    try {
      this.#at = skipNumber(start)
    } catch (error) {
      throw this.#invalid(error)
    }
    const isNegative = memory[start] === minus
    const first = isNegative ? start + 1 : start
    if (isDigit(memory[this.#at] ?? 0)) this.fail('Expected no digit after a leading zero.')
    this.isFloat = isNegative && memory[first] === digit0
    for (let at = first; at < this.#at && !this.isFloat; at++) this.isFloat = !isDigit(memory[at] ?? 0)
    if (foundLargeNumber()) this.fail('The number is out of range.')
  }

  #peek(): number {
    const byte = memory[this.#at] ?? 0
    if (byte > 0x20) return byte
    this.#at = skipSpace(this.#at)
    return memory[this.#at] ?? 0
  }

  #enter(open: number, sentence: string): void {
    if (this.#peek() !== open) this.fail(sentence)
    if (++this.#depth > depthMax) this.fail(`The message is nested deeper than ${depthMax}.`)
    this.#at++
    this.#isFirst = true
  }

  #leave(): false {
    this.#at++
    this.#depth--
    this.#isFirst = false
    return false
  }

  #word(word: string): void {
    const at = this.#at
    for (let index = 1; index < word.length; index++)
      if (memory[at + index] !== word.charCodeAt(index)) this.fail('Expected a value.')
    this.start = at
    this.end = at + word.length
    this.#at = this.end
  }
}

function isDigit(byte: number): boolean {
  return byte >= digit0 && byte <= digit9
}

/** The characters, as bytes, of a string's source without its quotes. */
export function unescapeInside(inside: string): string {
  if (!inside.includes('\\')) return inside
  const text: unknown = JSON.parse(`"${fromBytes(inside)}"`)
  return toBytes(String(text))
}

/** A text whose characters are the bytes of its UTF-8, and back. */
export function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

export function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString()
}
