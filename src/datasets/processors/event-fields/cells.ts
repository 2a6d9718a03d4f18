/**
 * The values of one array column of a row, in order. Most are pieces of the message that go into the row as
 * they stand there; of those only the places are kept.
 */
import { constantPiece, put, putByte, reserve } from '../../../std/arena.ts'
import type { JsonScanner } from './json-scanner.ts'
import { putBytesText, putPiece, valueBytesExtra } from './put-values.ts'

/** JSON text in bytes, null, or `undefined` for the piece of the message that is given with it. */
export type CellText = string | null | undefined

const isNull = -1
const isText = -2
const nullText = constantPiece('null')

export class Cells {
  count = 0
  #places = new Int32Array(64)
  #texts: string[] = []

  clear(): void {
    this.count = 0
    if (this.#texts.length > 0) this.#texts.length = 0
  }

  /** Adds what `readUnicode` has just read. */
  add(text: CellText, scanner: JsonScanner): void {
    this.set(this.count, text, scanner)
  }

  /** Puts what `readUnicode` has just read at an index, with null in those before it that have none. */
  set(index: number, text: CellText, scanner: JsonScanner): void {
    if (text === undefined) this.setPiece(index, scanner.start - 1, scanner.end + 1)
    else this.setText(index, text)
  }

  /** Puts a piece of the message at an index. */
  setPiece(index: number, start: number, end: number): void {
    const place = this.#room(index)
    this.#places[place] = start
    this.#places[place + 1] = end
  }

  setText(index: number, text: string | null): void {
    const place = this.#room(index)
    this.#places[place] = text === null ? isNull : isText
    if (text !== null) this.#places[place + 1] = this.#texts.push(text) - 1
  }

  isNull(index: number): boolean {
    return index >= this.count || this.#places[index * 2] === isNull
  }

  /** Puts the JSON text of one value. */
  putOne(index: number): void {
    const start = index < this.count ? (this.#places[index * 2] ?? isNull) : isNull
    const end = this.#places[index * 2 + 1] ?? 0
    if (start >= 0) putPiece(start, end)
    else if (start === isNull) putNull()
    else putBytesText(this.#texts[end] ?? '')
  }

  /** Puts the first `count` values as a JSON array, null for those that are not there. */
  putAll(count = this.count): void {
    putByte(0x5b)
    for (let index = 0; index < count; index++) {
      if (index > 0) putByte(0x2c)
      this.putOne(index)
    }
    putByte(0x5d)
  }

  #room(index: number): number {
    const place = index * 2
    if (place + 2 > this.#places.length) {
      const grown = new Int32Array(place * 2 + 2)
      grown.set(this.#places)
      this.#places = grown
    }
    while (this.count <= index) this.#places[this.count++ * 2] = isNull
    return place
  }
}

function putNull(): void {
  reserve(valueBytesExtra)
  put(nullText)
}
