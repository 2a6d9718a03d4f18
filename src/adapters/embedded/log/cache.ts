/** The newest frames in memory, as they were written, oldest out first: readers at the end never read the disk. */
import type { Segment } from './files/segment.ts'

const nothing = Buffer.alloc(0)

type Entry = { segment: Segment; position: number; frame: Buffer }

export class RecentFrames {
  readonly #bytesMax: number
  #entries: Entry[] = []
  #first = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(segment: Segment, position: number, frame: Buffer): void {
    this.#entries.push({ segment, position, frame })
    this.#bytes += frame.length
    while (this.#bytes > this.#bytesMax && this.#first < this.#entries.length) {
      const oldest = this.#entries[this.#first++]
      if (oldest === undefined) break
      this.#bytes -= oldest.frame.length
      oldest.frame = nothing
    }
    if (this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
  }

  /** The bytes at a place of a segment, if they are still here. */
  get(segment: Segment, position: number, length: number): Buffer | undefined {
    let low = this.#first
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.#entries[middle]
      const isBefore =
        entry !== undefined &&
        (entry.segment.number < segment.number ||
          (entry.segment.number === segment.number && entry.position <= position))
      if (isBefore) low = middle + 1
      else high = middle
    }
    const found = low > this.#first ? this.#entries[low - 1] : undefined
    if (found === undefined || found.segment !== segment) return undefined
    const at = position - found.position
    return at + length <= found.frame.length ? found.frame.subarray(at, at + length) : undefined
  }
}
