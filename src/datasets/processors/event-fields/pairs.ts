/**
 * Keys and values in the order of the keys' UTF-8 bytes, as Rust's BTreeMap and sorted lists of pairs have
 * them: tags, the fields of a context, modules. Keys and values stay in the message; their places are sorted.
 */

import { arenaBytes, textOf } from '../../../std/arena.ts'
import type { CellText } from './cells.ts'
import { unescapeInside } from './json-scanner.ts'
import { putBytesText, putPiece } from './put-values.ts'

/** The inside of a key's source: a piece of the message, or a text; and its characters where they differ. */
export type PairKey = { start: number; end: number; text: string | undefined; characters: string | undefined }
export type PairValue = { start: number; end: number; text: CellText }

const memory = arenaBytes()
const insertionMax = 24

export class Pairs {
  #places = new Int32Array(256)
  #keys: (Pick<PairKey, 'text' | 'characters'> | undefined)[] = []
  #texts: CellText[] = []
  count = 0

  clear(): void {
    this.count = 0
    if (this.#keys.length > 0) this.#keys.length = 0
    if (this.#texts.length > 0) this.#texts.length = 0
  }

  /** Begins a pair with the key that is this piece of the message; `addValue` ends it. */
  addKey(start: number, end: number, isEscaped: boolean): void {
    const place = this.#room()
    this.#places[place] = start
    this.#places[place + 1] = end
    this.#keys[this.count] = isEscaped
      ? { text: undefined, characters: unescapeInside(textOf(start, end, 'latin1')) }
      : undefined
  }

  /** Begins a pair with a key that is not in the message: the inside of its JSON text. */
  addKeyText(inside: string): void {
    const place = this.#room()
    this.#places[place] = 0
    this.#places[place + 1] = 0
    this.#keys[this.count] = { text: inside, characters: unescapeInside(inside) }
  }

  addValue(text: CellText, start: number, end: number): void {
    const place = this.count * 4
    this.#places[place + 2] = start
    this.#places[place + 3] = end
    this.#texts[this.count++] = text
  }

  keyStart(pair: number): number {
    return this.#places[pair * 4] ?? 0
  }

  keyEnd(pair: number): number {
    return this.#places[pair * 4 + 1] ?? 0
  }

  /** The inside of a key that is not a piece of the message. */
  keyText(pair: number): string | undefined {
    return this.#keys[pair]?.text
  }

  /** Whether the key's characters are the piece of the message that it is. */
  isPlain(pair: number): boolean {
    return this.#keys[pair] === undefined
  }

  keyCharacters(pair: number): string {
    return this.#keys[pair]?.characters ?? textOf(this.keyStart(pair), this.keyEnd(pair), 'latin1')
  }

  valueStart(pair: number): number {
    return this.#places[pair * 4 + 2] ?? 0
  }

  valueEnd(pair: number): number {
    return this.#places[pair * 4 + 3] ?? 0
  }

  valueText(pair: number): CellText {
    return this.#texts[pair]
  }

  /** Puts the inside of a key. */
  putKey(pair: number): void {
    const text = this.keyText(pair)
    if (text === undefined) putPiece(this.keyStart(pair), this.keyEnd(pair))
    else putBytesText(text)
  }

  putValue(pair: number): void {
    const text = this.valueText(pair)
    if (text === undefined) putPiece(this.valueStart(pair), this.valueEnd(pair))
    else putBytesText(text ?? 'null')
  }

  /** The pairs from `from` up to `until` by key; of one key in the order they came, or in that of `tie`. */
  sorted(from: number, until: number, tie?: (left: number, right: number) => number): number[] {
    const order: number[] = []
    const isSmall = until - from <= insertionMax
    for (let pair = from; pair < until; pair++) {
      let at = order.length
      order.push(pair)
      while (isSmall && at > 0) {
        const before = order[at - 1] ?? 0
        const difference = this.compareKeys(before, pair)
        if (difference < 0 || (difference === 0 && (tie === undefined || tie(before, pair) <= 0))) break
        order[at--] = before
      }
      order[at] = pair
    }
    if (!isSmall) order.sort((left, right) => this.compareKeys(left, right) || (tie?.(left, right) ?? 0))
    return order
  }

  /** The same, but of several pairs with one key only the last. */
  sortedOnce(from: number, until: number): number[] {
    const order = this.sorted(from, until)
    let count = 0
    for (let index = 0; index < order.length; index++) {
      const pair = order[index] ?? 0
      const next = order[index + 1]
      if (next === undefined || this.compareKeys(pair, next) !== 0) order[count++] = pair
    }
    order.length = count
    return order
  }

  /** Whether the key is this text of ASCII. */
  isKey(pair: number, text: string): boolean {
    if (this.#keys[pair] !== undefined) return this.keyCharacters(pair) === text
    const start = this.keyStart(pair)
    if (this.keyEnd(pair) - start !== text.length) return false
    for (let index = 0; index < text.length; index++)
      if (memory[start + index] !== text.charCodeAt(index)) return false
    return true
  }

  compareKeys(left: number, right: number): number {
    if (this.#keys[left] !== undefined || this.#keys[right] !== undefined) {
      const [one, other] = [this.keyCharacters(left), this.keyCharacters(right)]
      return one < other ? -1 : one > other ? 1 : 0
    }
    const leftEnd = this.keyEnd(left)
    const rightEnd = this.keyEnd(right)
    let leftAt = this.keyStart(left)
    let rightAt = this.keyStart(right)
    while (leftAt < leftEnd && rightAt < rightEnd) {
      const difference = (memory[leftAt++] ?? 0) - (memory[rightAt++] ?? 0)
      if (difference !== 0) return difference
    }
    return leftEnd - leftAt - (rightEnd - rightAt)
  }

  #room(): number {
    const place = this.count * 4
    if (place + 4 <= this.#places.length) return place
    const grown = new Int32Array(this.#places.length * 2)
    grown.set(this.#places)
    this.#places = grown
    return place
  }
}
