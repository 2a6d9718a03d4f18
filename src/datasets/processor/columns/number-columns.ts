/**
 * Columns whose values all have the same number of bytes. Each class holds one kind of array: reading and writing
 * it stays a single instruction. Signed integers and times fit the columns of their width, under a type of their
 * own: `u32('time', { type: 'DateTime' })`, `u32('change', { type: 'Int32' })`.
 */
import { arenaBytes } from '../../../std/arena.ts'
import { Column, type ColumnOptions, type ColumnPlace, copyOf, grown, rowsExpected } from './column.ts'
import type { ColumnData } from './column-data.ts'

const memory = arenaBytes()
const word = 0x1_0000_0000
/** So many digits are below 2^53. */
const digitsExact = 15
const digitsMax = 20
const tailDigits = 9
const tailPower = 1_000_000_000
const notHex = 0xff
const hexDigits = new Uint8Array(256).fill(notHex)
for (let digit = 0; digit < 16; digit++) {
  hexDigits[digit.toString(16).charCodeAt(0)] = digit
  hexDigits[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}

export class U8Column extends Column {
  #values = new Uint8Array(rowsExpected)

  constructor(place: ColumnPlace, { type = 'UInt8', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  put(value: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#values.length) this.#values = grown(this.#values, at + 1)
    this.#values[at] = value
    this.counts[this.slot] = at + 1
  }

  putDefault(): void {
    this.put(0)
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 1, bytes: copyOf(this.#values, count) }
  }
}

export class U16Column extends Column {
  #values = new Uint16Array(rowsExpected)

  constructor(place: ColumnPlace, { type = 'UInt16', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  put(value: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#values.length) this.#values = grown(this.#values, at + 1)
    this.#values[at] = value
    this.counts[this.slot] = at + 1
  }

  putDefault(): void {
    this.put(0)
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 2, bytes: copyOf(this.#values, count) }
  }
}

export class U32Column extends Column {
  #values = new Uint32Array(rowsExpected)

  constructor(place: ColumnPlace, { type = 'UInt32', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  put(value: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#values.length) this.#values = grown(this.#values, at + 1)
    this.#values[at] = value
    this.counts[this.slot] = at + 1
  }

  putDefault(): void {
    this.put(0)
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 4, bytes: copyOf(this.#values, count) }
  }
}

export class F64Column extends Column {
  #values = new Float64Array(rowsExpected)

  constructor(place: ColumnPlace, { type = 'Float64', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  put(value: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#values.length) this.#values = grown(this.#values, at + 1)
    this.#values[at] = value
    this.counts[this.slot] = at + 1
  }

  putDefault(): void {
    this.put(0)
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 8, bytes: copyOf(this.#values, count) }
  }
}

/** 64 bits as two words, the low one first. */
export class U64Column extends Column {
  #words = new Uint32Array(2 * rowsExpected)

  constructor(place: ColumnPlace, { type = 'UInt64', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  /** An integer: a number must be one that a double holds exactly. */
  put(value: number | bigint): void {
    if (typeof value === 'number') this.putWords(value >>> 0, Math.floor(value / word) >>> 0)
    else this.putWords(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)))
  }

  /** A float cut off to an integer and kept in the range of unsigned ones. */
  putTruncated(value: number): void {
    if (value >= word * word) this.putWords(word - 1, word - 1)
    else this.put(Math.max(0, Math.trunc(value)))
  }

  putWords(low: number, high: number): void {
    const at = this.counts[this.slot] ?? 0
    if (2 * at + 1 >= this.#words.length) this.#words = grown(this.#words, 2 * at + 2)
    this.#words[2 * at] = low
    this.#words[2 * at + 1] = high
    this.counts[this.slot] = at + 1
  }

  /**
   * The integer whose digits are a piece of the arena. Adds nothing and answers `false` for a piece that is no
   * integer from 0 to 2^64 - 1, or that begins with zeros.
   */
  putDigits(start: number, end: number): boolean {
    if (end - start > digitsExact) return this.#putLongDigits(start, end)
    let value = 0
    for (let place = start; place < end; place++) {
      const digit = (memory[place] ?? 0) - 0x30
      if (digit >>> 0 > 9) return false
      value = value * 10 + digit
    }
    if (start === end) return false
    this.putWords(value >>> 0, (value / word) >>> 0)
    return true
  }

  putDefault(): void {
    this.putWords(0, 0)
  }

  /** The words of the value that was added last. */
  lastLow(): number {
    return this.#words[2 * this.values - 2] ?? 0
  }

  lastHigh(): number {
    return this.#words[2 * this.values - 1] ?? 0
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 8, bytes: copyOf(this.#words, 2 * count) }
  }

  /** Two parts that doubles hold exactly: the low word follows from their low words, and the high one from it. */
  #putLongDigits(start: number, end: number): boolean {
    if (end - start > digitsMax) return false
    let head = 0
    for (let place = start; place < end - tailDigits; place++) {
      const digit = (memory[place] ?? 0) - 0x30
      if (digit >>> 0 > 9) return false
      head = head * 10 + digit
    }
    let tail = 0
    for (let place = end - tailDigits; place < end; place++) {
      const digit = (memory[place] ?? 0) - 0x30
      if (digit >>> 0 > 9) return false
      tail = tail * 10 + digit
    }
    const low = (Math.imul(head >>> 0, tailPower) + tail) >>> 0
    // The sum is inexact by far less than half a word.
    const high = Math.round((head * tailPower + tail - low) / word)
    if (high >= word) return false
    this.putWords(low, high)
    return true
  }
}

/** Four words: each half of a UUID is an integer of 64 bits. */
export class UuidColumn extends Column {
  #words = new Uint32Array(4 * rowsExpected)

  constructor(place: ColumnPlace, { type = 'UUID', isNullable }: ColumnOptions = {}) {
    super(place, type, isNullable)
  }

  /** A UUID with hyphens. Throws a `TypeError` for another text. */
  put(uuid: string): void {
    const hex = uuid.replaceAll('-', '')
    if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw new TypeError('The text is no UUID.')
    const [first = 0, second = 0, third = 0, fourth = 0] = [0, 8, 16, 24].map((at) =>
      Number.parseInt(hex.slice(at, at + 8), 16),
    )
    this.#putWords(this.values, { first, second, third, fourth })
  }

  /** The 32 hexadecimal digits at a place of the arena. Adds nothing and answers `false` for anything else. */
  putHex(start: number): boolean {
    for (let place = start; place < start + 32; place++)
      if (hexDigits[memory[place] ?? 0] === notHex) return false
    this.#putWords(this.values, {
      first: hexWord(start),
      second: hexWord(start + 8),
      third: hexWord(start + 16),
      fourth: hexWord(start + 24),
    })
    return true
  }

  putDefault(): void {
    this.#putWords(this.values, { first: 0, second: 0, third: 0, fourth: 0 })
  }

  protected copy(count: number): ColumnData {
    return { kind: 'fixed', width: 16, bytes: copyOf(this.#words, 4 * count) }
  }

  #putWords(
    at: number,
    { first, second, third, fourth }: { first: number; second: number; third: number; fourth: number },
  ): void {
    if (4 * at + 3 >= this.#words.length) this.#words = grown(this.#words, 4 * at + 4)
    this.#words[4 * at] = second
    this.#words[4 * at + 1] = first
    this.#words[4 * at + 2] = fourth
    this.#words[4 * at + 3] = third
    this.counts[this.slot] = at + 1
  }
}

function hexWord(start: number): number {
  let value = 0
  for (let place = start; place < start + 8; place++)
    value = (value << 4) | (hexDigits[memory[place] ?? 0] ?? 0)
  return value
}
