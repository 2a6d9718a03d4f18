/**
 * Attributes of an item as places in the message, by the column that they go to. Strings and floats are
 * spread over 40 columns each by the FNV-1a hash of the name; integers go to a column of their own and, as
 * floats, to the floats'. Of a name that is there twice the last value counts.
 */
import { arenaBytes, constantPiece, type Piece } from '../../../std/arena.ts'

const memory = arenaBytes()

export const bucketCount = 40

export const valueKinds = { none: 0, text: 1, bool: 2, int: 3, float: 4, array: 5 } as const

/** Numbers of an attribute in `facts`. For a text or array `a` and `b` are its bounds, for an int its halves. */
export const factCount = 8
const fact = { keyStart: 0, keyEnd: 1, keyMarks: 2, kind: 3, a: 4, b: 5, valueMarks: 6, hash: 7 } as const

const fnvBasis = 0x811c9dc5 | 0
const fnvPrime = 0x01000193

export class Attributes {
  count = 0
  /** How many attributes are of a kind, by kind. */
  readonly kindCounts = new Int32Array(6)
  /** How many attributes are in a bucket, and the first of them: texts, then floats. */
  readonly bucketSizes = new Int32Array(2 * bucketCount)
  readonly firsts = new Int32Array(2 * bucketCount)
  readonly #lasts = new Int32Array(2 * bucketCount)
  #facts = new Int32Array(factCount * 128)
  /** The next attribute of the same bucket. */
  #nexts = new Int32Array(128)
  /** Attributes by hash: place + 1 of those that were added under the current stamp. */
  #slots = new Int32Array(256)
  #stamps = new Int32Array(256)
  #stamp = 0

  clear(): void {
    this.count = 0
    this.#stamp++
  }

  keyStart(index: number): number {
    return this.#facts[factCount * index + fact.keyStart] ?? 0
  }

  keyEnd(index: number): number {
    return this.#facts[factCount * index + fact.keyEnd] ?? 0
  }

  keyMarks(index: number): number {
    return this.#facts[factCount * index + fact.keyMarks] ?? 0
  }

  kind(index: number): number {
    return this.#facts[factCount * index + fact.kind] ?? 0
  }

  a(index: number): number {
    return this.#facts[factCount * index + fact.a] ?? 0
  }

  b(index: number): number {
    return this.#facts[factCount * index + fact.b] ?? 0
  }

  valueMarks(index: number): number {
    return this.#facts[factCount * index + fact.valueMarks] ?? 0
  }

  next(index: number): number {
    return this.#nexts[index] ?? 0
  }

  /** Adds an attribute, or gives the one of this name another value. */
  add(
    key: { start: number; end: number; marks: number },
    value: { kind: number; a: number; b: number; marks: number },
  ): void {
    const hash = hashPiece(key.start, key.end)
    const index = this.#place(key.start, key.end, hash)
    const facts = this.#facts
    const base = factCount * index
    facts[base + fact.keyStart] = key.start
    facts[base + fact.keyEnd] = key.end
    facts[base + fact.keyMarks] = key.marks
    facts[base + fact.kind] = value.kind
    facts[base + fact.a] = value.a
    facts[base + fact.b] = value.b
    facts[base + fact.valueMarks] = value.marks
    facts[base + fact.hash] = hash
  }

  /** The attribute of this name, or -1. */
  find(name: AttributeName): number {
    for (let index = 0; index < this.count; index++) if (this.#isNamed(index, name)) return index
    return -1
  }

  /**
   * Sorts the attributes into buckets. Numbers with one of the names `hidden` are left out of all columns:
   * the consumer writes its own under these names.
   */
  sort(hidden: readonly AttributeName[]): void {
    this.kindCounts.fill(0)
    this.bucketSizes.fill(0)
    for (let index = 0; index < this.count; index++) {
      let kind = this.kind(index)
      const isNumber = kind === valueKinds.int || kind === valueKinds.float
      if (isNumber) for (const name of hidden) if (this.#isNamed(index, name)) kind = this.#drop(index)
      this.kindCounts[kind] = (this.kindCounts[kind] ?? 0) + 1
      if (kind === valueKinds.text) this.#append(index, bucketOf(this.#hash(index)))
      else if (isNumber && kind !== valueKinds.none)
        this.#append(index, bucketCount + bucketOf(this.#hash(index)))
    }
  }

  #hash(index: number): number {
    return this.#facts[factCount * index + fact.hash] ?? 0
  }

  #isNamed(index: number, { hash, start, end }: AttributeName): boolean {
    return this.#hash(index) === hash && this.#hasKey(index, start, end)
  }

  #drop(index: number): number {
    this.#facts[factCount * index + fact.kind] = valueKinds.none
    return valueKinds.none
  }

  #append(index: number, bucket: number): void {
    const size = this.bucketSizes[bucket] ?? 0
    if (size === 0) this.firsts[bucket] = index
    else this.#nexts[this.#lasts[bucket] ?? 0] = index
    this.#lasts[bucket] = index
    this.bucketSizes[bucket] = size + 1
  }

  /** Where the attribute of this name stands: a new place unless there is one. */
  #place(start: number, end: number, hash: number): number {
    if (2 * this.count >= this.#slots.length) this.#grow()
    const mask = this.#slots.length - 1
    let slot = (hash ^ (hash >>> 16)) & mask
    while (this.#stamps[slot] === this.#stamp) {
      const index = this.#slots[slot] ?? 0
      if (this.#hash(index) === hash && this.#hasKey(index, start, end)) return index
      slot = (slot + 1) & mask
    }
    this.#stamps[slot] = this.#stamp
    this.#slots[slot] = this.count
    return this.count++
  }

  #hasKey(index: number, start: number, end: number): boolean {
    const keyStart = this.keyStart(index)
    const length = end - start
    if (this.keyEnd(index) - keyStart !== length) return false
    for (let place = 0; place < length; place++)
      if (memory[keyStart + place] !== memory[start + place]) return false
    return true
  }

  #grow(): void {
    const facts = new Int32Array(this.#facts.length * 2)
    facts.set(this.#facts)
    this.#facts = facts
    const nexts = new Int32Array(this.#facts.length / factCount)
    nexts.set(this.#nexts)
    this.#nexts = nexts
    const size = this.#slots.length * 2
    this.#slots = new Int32Array(size)
    this.#stamps = new Int32Array(size)
    this.#stamp = 1
    for (let index = 0; index < this.count; index++) {
      const hash = this.#hash(index)
      let slot = (hash ^ (hash >>> 16)) & (size - 1)
      while (this.#stamps[slot] === 1) slot = (slot + 1) & (size - 1)
      this.#stamps[slot] = 1
      this.#slots[slot] = index
    }
  }
}

/** Name of an attribute, which stays in the arena. */
export type AttributeName = Piece & { hash: number; bucket: number }

export function attributeName(name: string): AttributeName {
  const { start, end } = constantPiece(name)
  const hash = hashPiece(start, end)
  return { start, end, hash, bucket: bucketOf(hash) }
}

/** FNV-1a of 32 bits, as a signed integer. */
export function hashPiece(start: number, end: number): number {
  let hash = fnvBasis
  for (let place = start; place < end; place++) hash = Math.imul(hash ^ (memory[place] ?? 0), fnvPrime)
  return hash
}

function bucketOf(hash: number): number {
  return (hash >>> 0) % bucketCount
}
