import type { Random } from '../../ports/random.ts'

/** Chance that repeats: the same seed gives the same numbers and bytes on every machine (mulberry32). */
export function createSeededRandom(seed = 1): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))) }
}

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random.next() * items.length)] ?? items[0]
}

/** A whole number from 0 up to `until`. */
export function below(random: Random, until: number): number {
  return Math.floor(random.next() * until)
}
