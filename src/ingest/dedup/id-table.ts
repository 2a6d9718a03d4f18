/**
 * A set of fingerprints, each with the place of the record that had it first: open addressing with linear
 * probing in typed arrays, 24 bytes a slot, at most three quarters full. Removal moves what follows back,
 * so there are no tombstones.
 */
import { fingerprintWords } from './fingerprint.ts'

export const slotBytes = 24
const loadMax = 0.75
const smallest = 1024

export type Place = { placeIndex: number; offset: number }

/** Small tables double; large ones grow by a quarter, so that little of them is empty. */
function grown(capacity: number): number {
  return Math.ceil(capacity * (capacity < 65_536 ? 2 : 1.25))
}

export class IdTable {
  #capacity: number
  #count = 0
  #words: Uint32Array
  /** Index of the place plus one; 0 is an empty slot. */
  #places: Uint16Array
  #offsetsLow: Uint32Array
  #offsetsHigh: Uint16Array
  readonly #seed: number

  constructor(seed: number, capacity = smallest) {
    this.#seed = seed
    this.#capacity = capacity
    this.#words = new Uint32Array(capacity * fingerprintWords)
    this.#places = new Uint16Array(capacity)
    this.#offsetsLow = new Uint32Array(capacity)
    this.#offsetsHigh = new Uint16Array(capacity)
  }

  /** A table that takes so many ids without growing. */
  static forIds(seed: number, ids: number): IdTable {
    return new IdTable(seed, Math.max(smallest, Math.ceil(ids / loadMax) + 1))
  }

  get size(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#capacity * slotBytes
  }

  /** The place of the fingerprint that stands in `words` at `at`. */
  find(words: Uint32Array, at: number): Place | undefined {
    const slot = this.#slotOf(words, at)
    return this.#places[slot] === 0 ? undefined : this.#placeAt(slot)
  }

  /** Adds a fingerprint; false if it is there already. */
  add(words: Uint32Array, at: number, place: Place): boolean {
    if (this.#count + 1 > this.#capacity * loadMax) this.#resize(grown(this.#capacity))
    const slot = this.#slotOf(words, at)
    if (this.#places[slot] !== 0) return false
    this.#put(slot, { words, at }, place)
    this.#count++
    return true
  }

  /** Removes a fingerprint; false if it is not there. */
  remove(words: Uint32Array, at: number): boolean {
    let hole = this.#slotOf(words, at)
    if (this.#places[hole] === 0) return false
    this.#places[hole] = 0
    this.#count--
    for (let slot = this.#next(hole); this.#places[slot] !== 0; slot = this.#next(slot)) {
      const home = this.#home(this.#words, slot * fingerprintWords)
      // It may fill the hole unless its home lies behind the hole on the way to it.
      const isReachable = hole <= slot ? home > hole && home <= slot : home > hole || home <= slot
      if (isReachable) continue
      this.#put(hole, { words: this.#words, at: slot * fingerprintWords }, this.#placeAt(slot))
      this.#places[slot] = 0
      hole = slot
    }
    return true
  }

  /** Gives back the room that nothing will be added to any more. */
  compact(): void {
    const wanted = Math.max(16, Math.ceil(this.#count / loadMax) + 1)
    if (wanted < this.#capacity) this.#resize(wanted)
  }

  #placeAt(slot: number): Place {
    return {
      placeIndex: (this.#places[slot] ?? 0) - 1,
      offset: (this.#offsetsHigh[slot] ?? 0) * 0x1_0000_0000 + (this.#offsetsLow[slot] ?? 0),
    }
  }

  #put(slot: number, id: { words: Uint32Array; at: number }, place: Place): void {
    for (let word = 0; word < fingerprintWords; word++)
      this.#words[slot * fingerprintWords + word] = id.words[id.at + word] ?? 0
    this.#places[slot] = place.placeIndex + 1
    this.#offsetsLow[slot] = place.offset % 0x1_0000_0000
    this.#offsetsHigh[slot] = Math.floor(place.offset / 0x1_0000_0000)
  }

  /** Where the fingerprint stands, or the empty slot where it would. */
  #slotOf(words: Uint32Array, at: number): number {
    let slot = this.#home(words, at)
    while (this.#places[slot] !== 0 && !this.#isAt(slot, words, at)) slot = this.#next(slot)
    return slot
  }

  #isAt(slot: number, words: Uint32Array, at: number): boolean {
    const start = slot * fingerprintWords
    return (
      this.#words[start] === words[at] &&
      this.#words[start + 1] === words[at + 1] &&
      this.#words[start + 2] === words[at + 2] &&
      this.#words[start + 3] === words[at + 3]
    )
  }

  #next(slot: number): number {
    return slot + 1 === this.#capacity ? 0 : slot + 1
  }

  /** The seed keeps clients, who choose their uuids, from choosing where they meet. */
  #home(words: Uint32Array, at: number): number {
    let hash = this.#seed
    for (let word = 0; word < fingerprintWords; word++) {
      hash = Math.imul(hash ^ (words[at + word] ?? 0), 0x85ebca6b)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash ^= hash >>> 16
    return Math.floor(((hash >>> 0) * this.#capacity) / 0x1_0000_0000)
  }

  #resize(capacity: number): void {
    const words = this.#words
    const places = this.#places
    const lows = this.#offsetsLow
    const highs = this.#offsetsHigh
    this.#capacity = capacity
    this.#words = new Uint32Array(capacity * fingerprintWords)
    this.#places = new Uint16Array(capacity)
    this.#offsetsLow = new Uint32Array(capacity)
    this.#offsetsHigh = new Uint16Array(capacity)
    for (let slot = 0; slot < places.length; slot++) {
      const place = places[slot] ?? 0
      if (place === 0) continue
      const from = slot * fingerprintWords
      const target = this.#slotOf(words, from)
      const to = target * fingerprintWords
      for (let word = 0; word < fingerprintWords; word++) this.#words[to + word] = words[from + word] ?? 0
      this.#places[target] = place
      this.#offsetsLow[target] = lows[slot] ?? 0
      this.#offsetsHigh[target] = highs[slot] ?? 0
    }
  }
}
