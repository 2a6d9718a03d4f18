/** Columns of texts: each row's own, or one of few that are kept once. */
import { arenaBytes, bytesOf } from '../../../std/arena.ts'
import { readText } from '../../../std/arena-json.ts'
import { Column, type ColumnPlace, grown, rowsExpected } from './column.ts'
import { type ColumnData, type TextData, varint } from './column-data.ts'

const memory = arenaBytes()
const backslash = 0x5c
/** Longer pieces are moved natively; shorter ones are copied faster than that takes to begin. */
const loopMax = 40
const fnvBasis = 0x811c9dc5 | 0
const fnvPrime = 0x01000193
const bytesExpected = 16 * 1024
const slotsExpected = 256

export type TextColumnOptions = { isNullable?: boolean }

export class TextColumn extends Column {
  #bytes = new Uint8Array(bytesExpected)
  #length = 0
  #starts = new Uint32Array(rowsExpected)

  constructor(place: ColumnPlace, { isNullable }: TextColumnOptions = {}) {
    super(place, 'String', isNullable)
  }

  put(text: string): void {
    const bytes = Buffer.from(text)
    this.#begin(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** The bytes of a piece of the arena. */
  putPiece(start: number, end: number): void {
    this.#begin(end - start)
    if (end - start > loopMax) this.#bytes.set(bytesOf(start, end), this.#length)
    else {
      const bytes = this.#bytes
      let at = this.#length
      for (let place = start; place < end; place++) bytes[at++] = memory[place] ?? 0
    }
    this.#length += end - start
  }

  /** What the JSON string says whose quotes are at `start` and before `end` in the arena. */
  putJson(start: number, end: number): void {
    for (let place = start; place < end; place++)
      if (memory[place] === backslash) {
        this.put(readText(start, end))
        return
      }
    this.putPiece(start + 1, end - 1)
  }

  putDefault(): void {
    this.#begin(0)
  }

  override cut(count: number): void {
    if (count < this.values) this.#length = this.#starts[count] ?? 0
    super.cut(count)
  }

  protected copy(count: number): TextData {
    const end = count < this.values ? (this.#starts[count] ?? 0) : this.#length
    const starts = new Uint32Array(count + 1)
    starts.set(this.#starts.subarray(0, count))
    starts[count] = end
    return { kind: 'texts', bytes: this.#bytes.slice(0, end), starts }
  }

  /** Adds a text of so many bytes, which are still to be written. */
  #begin(length: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#starts.length) this.#starts = grown(this.#starts, at + 1)
    this.#starts[at] = this.#length
    this.counts[this.slot] = at + 1
    if (this.#length + length + 5 > this.#bytes.length)
      this.#bytes = grown(this.#bytes, this.#length + length + 5)
    let rest = length
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
    this.#bytes[this.#length++] = rest
  }
}

/**
 * LowCardinality(String): the texts of a batch are found by their bytes, without a string of each. A new text is
 * written behind the known ones, and stays there if it is none of them.
 */
export class KeyColumn extends Column {
  readonly #isNullable: boolean
  #rows = new Uint32Array(rowsExpected)
  /** The texts one after the other, and where each begins; the last place is the end. */
  #bytes = new Uint8Array(bytesExpected)
  #starts = new Uint32Array(slotsExpected)
  #keys = 0
  /** Key + 1 by hash; 0 is none. At most half of them are used. */
  #slots = new Uint32Array(slotsExpected)

  constructor(place: ColumnPlace, { isNullable = false }: TextColumnOptions = {}) {
    super(place, `LowCardinality(${isNullable ? 'Nullable(String)' : 'String'})`)
    this.#isNullable = isNullable
    this.#forget()
  }

  put(text: string): void {
    const bytes = Buffer.from(text)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
    let hash = fnvBasis
    for (const byte of bytes) hash = Math.imul(hash ^ byte, fnvPrime)
    this.#putKey(this.#find(hash, bytes.length))
  }

  /** The bytes of a piece of the arena. */
  putPiece(start: number, end: number): void {
    let at = this.#room(end - start)
    const bytes = this.#bytes
    let hash = fnvBasis
    for (let place = start; place < end; place++) {
      const byte = memory[place] ?? 0
      bytes[at++] = byte
      hash = Math.imul(hash ^ byte, fnvPrime)
    }
    this.#putKey(this.#find(hash, end - start))
  }

  /** What the JSON string says whose quotes are at `start` and before `end` in the arena. */
  putJson(start: number, end: number): void {
    for (let place = start; place < end; place++)
      if (memory[place] === backslash) {
        this.put(readText(start, end))
        return
      }
    this.putPiece(start + 1, end - 1)
  }

  override putNull(): void {
    if (!this.#isNullable) throw new TypeError(`The column of the type ${this.type} takes no null.`)
    this.#putKey(0)
  }

  putDefault(): void {
    this.#room(0)
    this.#putKey(this.#find(fnvBasis, 0))
  }

  override take(count: number): ColumnData {
    const data = super.take(count)
    this.#forget()
    return data
  }

  protected copy(count: number): ColumnData {
    return {
      kind: 'keys',
      keys: textsOf(this.#bytes, this.#starts, this.#keys),
      rows: this.#rows.slice(0, count),
      isNullable: this.#isNullable,
    }
  }

  #putKey(key: number): void {
    const at = this.counts[this.slot] ?? 0
    if (at >= this.#rows.length) this.#rows = grown(this.#rows, at + 1)
    this.#rows[at] = key
    this.counts[this.slot] = at + 1
  }

  /** Where a text of so many bytes can be written. */
  #room(length: number): number {
    const end = this.#starts[this.#keys] ?? 0
    if (end + length > this.#bytes.length) this.#bytes = grown(this.#bytes, end + length)
    return end
  }

  /** The key of the text that was just written; a new one if it is unknown. */
  #find(hash: number, length: number): number {
    const mask = this.#slots.length - 1
    let slot = (hash ^ (hash >>> 15)) & mask
    for (;;) {
      const key = (this.#slots[slot] ?? 0) - 1
      if (key < 0) return this.#keep(slot, length)
      if (this.#isKey(key, length)) return key
      slot = (slot + 1) & mask
    }
  }

  #isKey(key: number, length: number): boolean {
    if (key === 0 && this.#isNullable) return false
    const start = this.#starts[key] ?? 0
    if ((this.#starts[key + 1] ?? 0) - start !== length) return false
    const bytes = this.#bytes
    const written = this.#starts[this.#keys] ?? 0
    for (let index = 0; index < length; index++)
      if (bytes[start + index] !== bytes[written + index]) return false
    return true
  }

  #keep(slot: number, length: number): number {
    const key = this.#keys++
    if (this.#keys >= this.#starts.length) this.#starts = grown(this.#starts, this.#keys + 1)
    this.#starts[this.#keys] = (this.#starts[key] ?? 0) + length
    this.#slots[slot] = key + 1
    if (2 * this.#keys > this.#slots.length) this.#spread()
    return key
  }

  /** Twice as many slots. */
  #spread(): void {
    const slots = new Uint32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let key = this.#isNullable ? 1 : 0; key < this.#keys; key++) {
      let hash = fnvBasis
      for (let place = this.#starts[key] ?? 0; place < (this.#starts[key + 1] ?? 0); place++)
        hash = Math.imul(hash ^ (this.#bytes[place] ?? 0), fnvPrime)
      let slot = (hash ^ (hash >>> 15)) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = key + 1
    }
    this.#slots = slots
  }

  /** No keys, but null where it is one. */
  #forget(): void {
    if (this.#slots.length > slotsExpected) this.#slots = new Uint32Array(slotsExpected)
    else this.#slots.fill(0)
    this.#keys = this.#isNullable ? 1 : 0
    this.#starts[0] = 0
    this.#starts[1] = 0
  }
}

/** The first texts of some that follow one another, each with its length before it. */
function textsOf(bytes: Uint8Array, starts: Uint32Array, count: number): TextData {
  const own = new Uint32Array(count + 1)
  const pieces: Buffer[] = []
  let end = 0
  for (let text = 0; text < count; text++) {
    own[text] = end
    const piece = bytes.subarray(starts[text], starts[text + 1])
    const length = varint(piece.length)
    pieces.push(length, Buffer.from(piece.buffer, piece.byteOffset, piece.length))
    end += length.length + piece.length
  }
  own[count] = end
  return { kind: 'texts', bytes: new Uint8Array(Buffer.concat(pieces)), starts: own }
}
