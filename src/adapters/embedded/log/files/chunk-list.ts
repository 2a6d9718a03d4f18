/**
 * The chunks that one partition has in one segment, in offset order, as columns: 32 bytes a chunk and
 * nothing for the garbage collector to walk.
 */
import assert from 'node:assert/strict'

export const chunkRowBytes = 32

export type ChunkRow = {
  base: number
  maxTimestampMs: number
  /** Where its payload begins in the file. */
  position: number
  length: number
  count: number
  checksum: number
}

export class ChunkList {
  #length = 0
  #times: Float64Array
  #bases: Float64Array
  /** Four numbers a chunk: position, length, count, checksum. */
  #numbers: Uint32Array

  constructor(capacity = 4) {
    this.#times = new Float64Array(capacity)
    this.#bases = new Float64Array(capacity)
    this.#numbers = new Uint32Array(capacity * 4)
  }

  get length(): number {
    return this.#length
  }

  get memoryBytes(): number {
    return this.#bases.length * chunkRowBytes
  }

  push(row: ChunkRow): void {
    if (this.#length === this.#bases.length) this.#grow()
    const index = this.#length++
    this.#bases[index] = row.base
    this.#times[index] = row.maxTimestampMs
    this.#numbers.set([row.position, row.length, row.count, row.checksum], index * 4)
  }

  at(index: number): ChunkRow {
    assert(index >= 0 && index < this.#length, 'a chunk that exists')
    return {
      base: this.#bases[index] ?? 0,
      maxTimestampMs: this.#times[index] ?? 0,
      position: this.#numbers[index * 4] ?? 0,
      length: this.#numbers[index * 4 + 1] ?? 0,
      count: this.#numbers[index * 4 + 2] ?? 0,
      checksum: this.#numbers[index * 4 + 3] ?? 0,
    }
  }

  /** The index of the last chunk whose base is at or below `offset`; -1 if all lie above. */
  find(offset: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#bases[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The first chunk that has a record at or after a time; undefined if none has. */
  findTime(timestampMs: number): ChunkRow | undefined {
    for (let index = 0; index < this.#length; index++)
      if ((this.#times[index] ?? 0) >= timestampMs) return this.at(index)
    return undefined
  }

  encodeInto(into: Buffer, start: number): number {
    let at = start
    for (let index = 0; index < this.#length; index++) {
      const row = this.at(index)
      into.writeDoubleLE(row.base, at)
      into.writeDoubleLE(row.maxTimestampMs, at + 8)
      into.writeUInt32LE(row.position, at + 16)
      into.writeUInt32LE(row.length, at + 20)
      into.writeUInt32LE(row.count, at + 24)
      into.writeUInt32LE(row.checksum, at + 28)
      at += chunkRowBytes
    }
    return at
  }

  static decode(bytes: Buffer, start: number, count: number): ChunkList {
    const list = new ChunkList(Math.max(1, count))
    for (let index = 0; index < count; index++) {
      const at = start + index * chunkRowBytes
      list.push({
        base: bytes.readDoubleLE(at),
        maxTimestampMs: bytes.readDoubleLE(at + 8),
        position: bytes.readUInt32LE(at + 16),
        length: bytes.readUInt32LE(at + 20),
        count: bytes.readUInt32LE(at + 24),
        checksum: bytes.readUInt32LE(at + 28),
      })
    }
    return list
  }

  #grow(): void {
    const capacity = this.#bases.length * 2
    const times = new Float64Array(capacity)
    times.set(this.#times)
    const bases = new Float64Array(capacity)
    bases.set(this.#bases)
    const numbers = new Uint32Array(capacity * 4)
    numbers.set(this.#numbers)
    this.#times = times
    this.#bases = bases
    this.#numbers = numbers
  }
}
