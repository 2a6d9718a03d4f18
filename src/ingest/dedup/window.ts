/**
 * The ids of the window, in generations: each a table for a slice of the time or of the number of ids,
 * whichever is filled first. Forgetting drops whole generations, oldest first, so it costs nothing; an id
 * is therefore remembered for the window and up to an eighth longer. The number of ids bounds a generation
 * too, because a table that grows keeps the event loop waiting while it does; a new one begins at the size
 * that the last one reached.
 */
import type { DedupConfig } from './config.ts'
import { IdTable, type Place } from './id-table.ts'

const generationsPerWindow = 8
const generationsOfIds = 32

type Generation = { table: IdTable; fromMs: number; untilMs: number }

export class IdWindow {
  readonly #config: Pick<DedupConfig, 'windowMs' | 'idsMax'>
  readonly #seed: number
  /** Oldest first; new ids go to the last. */
  #generations: Generation[] = []

  constructor(config: Pick<DedupConfig, 'windowMs' | 'idsMax'>, seed: number) {
    this.#config = config
    this.#seed = seed
  }

  get size(): number {
    return this.#generations.reduce((total, generation) => total + generation.table.size, 0)
  }

  get memoryBytes(): number {
    return this.#generations.reduce((total, generation) => total + generation.table.memoryBytes, 0)
  }

  get oldestMs(): number | undefined {
    return this.#generations[0]?.fromMs
  }

  /** Begins a new generation and forgets old ones where it is time. */
  moveTo(nowMs: number): void {
    const newest = this.#generations.at(-1)
    if (newest !== undefined) newest.untilMs = Math.max(newest.untilMs, nowMs)
    const sliceMs = this.#config.windowMs / generationsPerWindow
    const sliceIds = this.#config.idsMax / generationsOfIds
    if (newest === undefined || nowMs - newest.fromMs >= sliceMs || newest.table.size >= sliceIds) {
      newest?.table.compact()
      const table = IdTable.forIds(this.#seed, Math.min(newest?.table.size ?? 0, sliceIds))
      this.#generations.push({ table, fromMs: nowMs, untilMs: nowMs })
    }
    let size = this.size
    const isPast = (generation: Generation) => generation.untilMs + this.#config.windowMs < nowMs
    while (this.#generations.length > 1) {
      const oldest = this.#generations[0]
      if (oldest === undefined || !(isPast(oldest) || size > this.#config.idsMax)) break
      size -= oldest.table.size
      this.#generations.shift()
    }
  }

  find(words: Uint32Array, at: number): Place | undefined {
    for (let index = this.#generations.length - 1; index >= 0; index--) {
      const found = this.#generations[index]?.table.find(words, at)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Adds an id to the newest generation, unless it is in that one; `moveTo` was called before. */
  add(words: Uint32Array, at: number, place: Place): void {
    this.#generations.at(-1)?.table.add(words, at, place)
  }

  remove(words: Uint32Array, at: number): void {
    for (let index = this.#generations.length - 1; index >= 0; index--)
      if (this.#generations[index]?.table.remove(words, at) === true) return
  }
}
