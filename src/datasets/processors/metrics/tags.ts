/**
 * Tags of a metric: an object whose names are indices of 64 bits. Tags are in the order of their names'
 * bytes, and of a name that is there twice the last value counts, as in a BTreeMap of Rust.
 */
import type { Adler32 } from '../../../std/adler32.ts'
import { arenaBytes, putAscii, putByte, putCopy } from '../../../std/arena.ts'
import { readText, skipSpace, skipString, skipValue } from '../../../std/arena-json.ts'
import { isU64 } from '../../../std/arena-numbers.ts'
import type { U64Column } from '../../processor/columns/number-columns.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'

const memory = arenaBytes()

/** Four numbers a tag: start and end of the name without quotes, start and end of the value. */
const tagSpans = 4
const u64Max = 2n ** 64n - 1n
/** An escape in a name makes it longer than what it says; such names are rare enough to be decoded first. */
const backslash = 0x5c
const wrongValue = 'has a value of another type'

/** What values a metric's tags have: texts, or integers of 64 bits without a sign. */
export type TagKind = 'texts' | 'integers'

export class Tags {
  count = 0
  readonly #hasTexts: boolean
  #spans = new Int32Array(tagSpans * 16)
  #inserted = 0
  /** What is wrong with the tags read last; it is for `check` to say. */
  #problem: string | undefined = undefined

  constructor(kind: TagKind) {
    this.#hasTexts = kind === 'texts'
  }

  /** Reads the object at `start`, at most `depth` levels inside others, and returns the place after it. */
  read(start: number, depth: number): number {
    this.count = 0
    return this.#read(start, depth, true)
  }

  /** The same, but the tags are only looked at. */
  inspect(start: number, depth: number): number {
    return this.#read(start, depth, false)
  }

  /** Throws if the tags read last are not as they should be. */
  check(): void {
    if (this.#problem !== undefined) throw invalidTags(this.#problem)
  }

  #read(start: number, depth: number, isKept: boolean): number {
    this.#problem = undefined
    if (memory[start] !== 0x7b) {
      this.#problem = 'must be an object'
      return skipValue(start, depth)
    }
    let at = skipSpace(start + 1)
    if (memory[at] === 0x7d) return at + 1
    for (;;) {
      const nameEnd = skipString(at)
      let valueStart = memory[nameEnd] === 0x3a ? nameEnd + 1 : skipMark(skipSpace(nameEnd), 0x3a)
      if ((memory[valueStart] ?? 0) <= 0x20) valueStart = skipSpace(valueStart)
      const valueEnd = this.#hasTexts ? this.#textEnd(valueStart, depth) : this.#integerEnd(valueStart, depth)
      if (isKept) {
        this.#insert(at + 1, nameEnd - 1)
        this.#spans[tagSpans * this.#inserted + 2] = valueStart
        this.#spans[tagSpans * this.#inserted + 3] = valueEnd
      }
      at = (memory[valueEnd] ?? 0) <= 0x20 ? skipSpace(valueEnd) : valueEnd
      if (memory[at] === 0x7d) return at + 1
      at = skipMark(at, 0x2c)
      if ((memory[at] ?? 0) <= 0x20) at = skipSpace(at)
    }
  }

  /** The place after a value that should be a text. */
  #textEnd(start: number, depth: number): number {
    if (memory[start] === 0x22) return skipString(start)
    this.#problem = wrongValue
    return skipValue(start, depth + 1)
  }

  /** The place after a value that should be an integer. */
  #integerEnd(start: number, depth: number): number {
    let end = start
    // Nineteen digits without a zero before them are in range.
    if (memory[start] !== 0x30) while (((memory[end] ?? 0) - 0x30) >>> 0 < 10) end++
    const mark = memory[end]
    const isPlain = end > start && end - start < 20 && (mark === 0x2c || mark === 0x7d)
    if (isPlain) return end
    end = skipValue(start, depth + 1)
    if (!isU64(start, end)) this.#problem = wrongValue
    return end
  }

  nameStart(tag: number): number {
    return this.#spans[tagSpans * tag] ?? 0
  }

  nameEnd(tag: number): number {
    return this.#spans[tagSpans * tag + 1] ?? 0
  }

  valueStart(tag: number): number {
    return this.#spans[tagSpans * tag + 2] ?? 0
  }

  valueEnd(tag: number): number {
    return this.#spans[tagSpans * tag + 3] ?? 0
  }

  /** Puts the names as integers, with commas between them. */
  putNames(): void {
    for (let tag = 0; tag < this.count; tag++) {
      if (tag > 0) putByte(0x2c)
      const start = this.nameStart(tag)
      const end = this.nameEnd(tag)
      if (memory[start] !== 0x30 && isU64(start, end)) putCopy(start, end)
      else putAscii(parseIndex(this.nameText(tag)))
    }
  }

  /** Adds the name as an integer to a column, and its bytes to a sum. */
  putName(tag: number, column: U64Column, sum: Adler32): void {
    const start = this.nameStart(tag)
    const end = this.nameEnd(tag)
    if ((memory[start] !== 0x30 || end - start === 1) && column.putDigits(start, end)) sum.piece(start, end)
    else {
      column.put(BigInt(parseIndex(this.nameText(tag))))
      this.addName(tag, sum)
    }
  }

  /** Writes the values as they are, with commas between them. */
  putValues(): void {
    for (let tag = 0; tag < this.count; tag++) {
      if (tag > 0) putByte(0x2c)
      putCopy(this.valueStart(tag), this.valueEnd(tag))
    }
  }

  nameText(tag: number): string {
    return readText(this.nameStart(tag) - 1, this.nameEnd(tag) + 1)
  }

  addName(tag: number, sum: Adler32): void {
    const start = this.nameStart(tag)
    const end = this.nameEnd(tag)
    if (!hasEscape(start, end)) sum.piece(start, end)
    else sum.text(this.nameText(tag))
  }

  /** Adds the bytes of what a string says that is the tag's value. */
  addText(tag: number, sum: Adler32): void {
    const start = this.valueStart(tag)
    const end = this.valueEnd(tag)
    if (!hasEscape(start, end)) sum.piece(start + 1, end - 1)
    else sum.text(readText(start, end))
  }

  /** Puts a tag in its place; most messages have few, and many of them in order. */
  #insert(nameStart: number, nameEnd: number): void {
    let place = this.count
    while (place > 0) {
      const order = this.#compare(place - 1, nameStart, nameEnd)
      if (order === 0) {
        this.#name(place - 1, nameStart, nameEnd)
        return
      }
      if (order < 0) break
      place--
    }
    const spans = this.#spansOf(this.count + 1)
    if (place < this.count) spans.copyWithin(tagSpans * (place + 1), tagSpans * place, tagSpans * this.count)
    this.count++
    this.#name(place, nameStart, nameEnd)
  }

  #name(place: number, start: number, end: number): void {
    this.#spans[tagSpans * place] = start
    this.#spans[tagSpans * place + 1] = end
    this.#inserted = place
  }

  #spansOf(count: number): Int32Array {
    if (tagSpans * count > this.#spans.length) {
      const grown = new Int32Array(this.#spans.length * 2)
      grown.set(this.#spans)
      this.#spans = grown
    }
    return this.#spans
  }

  #compare(place: number, nameStart: number, nameEnd: number): number {
    const start = this.nameStart(place)
    const end = this.nameEnd(place)
    const length = Math.min(end - start, nameEnd - nameStart)
    for (let index = 0; index < length; index++) {
      const byte = memory[start + index] ?? 0
      const other = memory[nameStart + index] ?? 0
      if (byte === backslash || other === backslash) return this.#compareTexts(place, nameStart, nameEnd)
      if (byte !== other) return byte - other
    }
    if (hasEscape(start + length, end) || hasEscape(nameStart + length, nameEnd))
      return this.#compareTexts(place, nameStart, nameEnd)
    return end - start - (nameEnd - nameStart)
  }

  #compareTexts(place: number, nameStart: number, nameEnd: number): number {
    return Buffer.compare(
      Buffer.from(this.nameText(place)),
      Buffer.from(readText(nameStart - 1, nameEnd + 1)),
    )
  }
}

/** An integer of 64 bits in Rust's words: a plus sign and zeros may stand before it. */
function parseIndex(name: string): string {
  const digits = /^\+?(\d+)$/.exec(name)?.[1]
  const value = digits === undefined ? undefined : BigInt(digits)
  if (value === undefined || value > u64Max)
    throw invalidTags('must have integers from 0 to 2^64 - 1 as names')
  return value.toString()
}

/** The place after a comma or colon that must be there. */
function skipMark(at: number, mark: number): number {
  if (memory[at] !== mark) throw invalidTags('is no JSON')
  return at + 1
}

function hasEscape(start: number, end: number): boolean {
  for (let place = start; place < end; place++) if (memory[place] === backslash) return true
  return false
}

function invalidTags(what: string): InvalidMessage {
  return new InvalidMessage(`The field tags ${what}.`, { path: 'tags' })
}
