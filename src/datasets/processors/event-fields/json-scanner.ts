/**
 * Walks JSON text in its bytes, forwards only, and builds no values: a reader asks for the keys it wants, takes
 * the places of their values, and skips the rest. Everything is checked on the way as strictly as Rust's
 * serde_json checks it: grammar, escapes, halves of surrogate pairs, numbers out of range, nesting. That the
 * bytes are UTF-8 is for the caller to check, which is quick.
 *
 * Texts are handled in their bytes: a string of this folder holds one byte in each character ("latin1"), so
 * that places in it are places in the message, and its order is the order of UTF-8 bytes.
 */
import assert from 'node:assert/strict'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { jsonPathAt } from './json-path.ts'

/** serde_json gives up when it enters the 128th level. */
const depthMax = 127
const numberLengthSafe = 300
const keptBytesMax = 1024

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const nullWord = Buffer.from('null')
const trueWord = Buffer.from('true')
const falseWord = Buffer.from('false')

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null'

export class JsonScanner {
  /** The message and a zero behind it: no reading beyond its end is needed to find the end. */
  bytes: Buffer = Buffer.alloc(64 * 1024)
  /** Of the token read last; of a string without its quotes. */
  start = 0
  end = 0
  /** Whether the string read last holds an escape. */
  isEscaped = false
  /** Whether the number read last is none of JSON's integers: it has a fraction or an exponent, or is -0. */
  isFloat = false
  /** Index of the key found last by a key table, or -1. */
  keyIndex = -1
  #length = 0
  #kept = 0
  #source: string | undefined = undefined
  #at = 0
  #depth = 0
  #isFirst = false

  open(message: Buffer): void {
    const bytesNeeded = message.length + 1 + keptBytesMax
    if (bytesNeeded > this.bytes.length) this.bytes = Buffer.alloc(bytesNeeded * 2)
    message.copy(this.bytes)
    this.#length = message.length
    this.bytes[this.#length] = 0
    this.#kept = 0
    this.#source = undefined
    this.#at = 0
    this.#depth = 0
  }

  /** Keeps a short text of ASCII behind the message and returns its place. */
  keep(text: string): number {
    assert(this.#kept + text.length <= keptBytesMax, 'Too many texts are kept of one message.')
    const place = this.#length + 1 + this.#kept
    this.#kept += this.bytes.write(text, place, 'latin1')
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
    this.#word(nullWord)
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
    if (this.bytes[this.#at] !== colon && this.#peek() !== colon) this.fail('Expected a colon.')
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
    const first = this.#peek()
    const { bytes } = this
    let at = this.#at
    this.start = at
    if (first === 0x2d) at++
    const lead = bytes[at] ?? 0
    at = this.#digits(at)
    if (lead === 0x30 && at > this.start + (first === 0x2d ? 2 : 1))
      this.fail('Expected no digit after a leading zero.')
    this.isFloat = first === 0x2d && lead === 0x30
    let next = bytes[at]
    if (next === 0x2e) {
      this.isFloat = true
      at = this.#digits(at + 1)
      next = bytes[at]
    }
    const hasExponent = next === 0x65 || next === 0x45
    if (hasExponent) {
      this.isFloat = true
      const sign = bytes[at + 1]
      at = this.#digits(sign === 0x2b || sign === 0x2d ? at + 2 : at + 1)
    }
    this.end = at
    if ((hasExponent || at - this.start > numberLengthSafe) && !Number.isFinite(Number(this.token())))
      this.fail('The number is out of range.')
    this.#at = at
  }

  boolean(): boolean {
    const byte = this.#peek()
    if (byte === 0x74) this.#word(trueWord)
    else if (byte === 0x66) this.#word(falseWord)
    else this.fail('Expected true or false.')
    return byte === 0x74
  }

  /** Passes over a value, checking it. */
  skip(): void {
    const byte = this.#peek()
    if (byte === quote) this.#string()
    else if (byte === openBrace) {
      this.#enter(openBrace, '')
      while (this.nextKey()) this.skip()
    } else if (byte === openBracket) {
      this.#enter(openBracket, '')
      while (this.nextItem()) this.skip()
    } else if (byte === 0x74 || byte === 0x66) this.boolean()
    else if (byte === 0x6e) this.#word(nullWord)
    else this.number()
  }

  finish(): void {
    this.#peek()
    if (this.#at < this.#length) this.fail('Expected the end of the message.')
  }

  /** The source of the token read last; of a string without its quotes. */
  token(): string {
    this.#source ??= this.bytes.toString('latin1', 0, this.#length)
    return this.#source.slice(this.start, this.end)
  }

  /** The string read last, without escapes. */
  text(): string {
    const inside = this.token()
    return this.isEscaped ? unescapeInside(inside) : inside
  }

  /** Says where in the message, as a path. */
  fail(sentence: string): never {
    return this.#failAt(this.#at, sentence)
  }

  #failAt(at: number, sentence: string): never {
    const path = jsonPathAt(this.bytes.subarray(0, this.#length), Math.min(at, this.#length))
    throw new InvalidMessage(at < this.#length ? sentence : 'The message ends too early.', { path })
  }

  /** Reads the string that begins at the place. */
  #string(): void {
    const { bytes } = this
    let at = this.#at + 1
    this.start = at
    this.isEscaped = false
    for (;;) {
      const byte = bytes[at] ?? 0
      if (byte === quote) break
      if (byte === backslash) at = this.#escape(at)
      else if (byte < 0x20) this.#failAt(at, 'Expected no control character in a string.')
      else at++
    }
    this.end = at
    this.#at = at + 1
  }

  #peek(): number {
    const { bytes } = this
    let at = this.#at
    let byte = bytes[at] ?? 0
    if (byte > 0x20) return byte
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0
    this.#at = at
    return byte
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

  #digits(at: number): number {
    const { bytes } = this
    let end = at
    let byte = bytes[end] ?? 0
    while (byte >= 0x30 && byte <= 0x39) byte = bytes[++end] ?? 0
    if (end === at) this.#failAt(at, 'Expected a digit or a value.')
    return end
  }

  /** Checks the escape at the place and returns the place after it. */
  #escape(at: number): number {
    this.isEscaped = true
    const kind = this.bytes[at + 1] ?? 0
    if (kind !== 0x75) {
      if (!'"\\/bfnrt'.includes(String.fromCharCode(kind))) this.#failAt(at, 'The escape is unknown.')
      return at + 2
    }
    const unit = this.#hex(at + 2)
    if (unit < 0xd800 || unit > 0xdfff) return at + 6
    const isPair = unit < 0xdc00 && this.bytes[at + 6] === backslash && this.bytes[at + 7] === 0x75
    const low = isPair ? this.#hex(at + 8) : 0
    if (low < 0xdc00 || low > 0xdfff) this.#failAt(at, 'Half of a surrogate pair stands alone.')
    return at + 12
  }

  #hex(at: number): number {
    const digits = this.bytes.toString('latin1', at, at + 4)
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#failAt(at, 'Expected four hexadecimal digits.')
    return Number.parseInt(digits, 16)
  }

  #word(word: Buffer): void {
    const { bytes } = this
    const at = this.#at
    const length = word.length
    for (let index = 1; index < length; index++)
      if (bytes[at + index] !== word[index]) this.fail('Expected a value.')
    this.start = at
    this.end = at + length
    this.#at = at + length
  }
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
