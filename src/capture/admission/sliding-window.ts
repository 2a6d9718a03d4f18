/**
 * Counts per key over a sliding window, shared by all processes through the cache and answered from memory.
 *
 * Time is cut into windows of `windowMs`. The cache holds one counter per key and window,
 * `<prefix>:<key>:<window number>`; a key's count is the present window's counter plus the share of the last
 * one's that the sliding window still covers. Between exchanges a process takes the count it read, lets it
 * drain at the rate of the threshold, and adds what it has counted itself since. When the cache has not
 * answered for a whole window, what the process has counted alone limits nobody: only what was known of all
 * processes does, until it has drained.
 */
import { LRUCache } from 'lru-cache'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'

export type SlidingWindowOptions = {
  prefix: string
  windowMs: number
  /** The count per window beyond which a key is limited. */
  thresholdOf: (key: string) => number
  keysMax: number
  syncKeysMax: number
}

export interface SlidingWindow {
  /** Adds to the key and answers whether it is now over its threshold. */
  charge(key: string, amount: number): boolean
  /** Sends what was counted to the cache and reads everybody's counts. Fails with `CACHE_UNAVAILABLE`. */
  sync(): Promise<void>
}

type Counted = {
  /** Everybody's count when it was last read. */
  shared: number
  sharedAtMs: number
  /** Counted here since. */
  own: number
  /** Counted here and not yet sent, by window number. */
  unsent: Map<number, number>
}

const readKeysPerCall = 1000

export function createSlidingWindow(
  deps: { cache: Cache; clock: Clock },
  options: SlidingWindowOptions,
): SlidingWindow {
  return new Counts(deps, options)
}

class Counts implements SlidingWindow {
  readonly #deps: { cache: Cache; clock: Clock }
  readonly #options: SlidingWindowOptions
  readonly #keys: LRUCache<string, Counted>
  readonly #touched = new Set<string>()
  #failingSinceMs: number | undefined

  constructor(deps: { cache: Cache; clock: Clock }, options: SlidingWindowOptions) {
    this.#deps = deps
    this.#options = options
    this.#keys = new LRUCache({ max: options.keysMax })
  }

  charge(key: string, amount: number): boolean {
    const nowMs = this.#deps.clock.now()
    const window = Math.floor(nowMs / this.#options.windowMs)
    let counted = this.#keys.get(key)
    if (counted === undefined) {
      counted = { shared: 0, sharedAtMs: nowMs, own: 0, unsent: new Map() }
      this.#keys.set(key, counted)
    }
    counted.own += amount
    if (!counted.unsent.has(window)) forgetOld(counted.unsent, window)
    counted.unsent.set(window, (counted.unsent.get(window) ?? 0) + amount)
    if (this.#touched.size < this.#options.keysMax) this.#touched.add(key)
    return this.#isLimited(key, counted, nowMs)
  }

  async sync(): Promise<void> {
    const batch = [...this.#touched].slice(0, this.#options.syncKeysMax)
    for (const key of batch) this.#touched.delete(key)
    try {
      for (let from = 0; from < batch.length; from += readKeysPerCall)
        await this.#exchange(batch.slice(from, from + readKeysPerCall), this.#deps.clock.now())
      if (batch.length > 0) this.#failingSinceMs = undefined
    } catch (error) {
      this.#failingSinceMs ??= this.#deps.clock.now()
      for (const key of batch) if (this.#keys.has(key)) this.#touched.add(key)
      throw error
    }
  }

  #isLimited(key: string, counted: Counted, nowMs: number): boolean {
    const { windowMs } = this.#options
    const threshold = this.#options.thresholdOf(key)
    const drained = (threshold / windowMs) * Math.max(0, nowMs - counted.sharedAtMs)
    const shared = Math.max(0, counted.shared - drained)
    const isBlind = this.#failingSinceMs !== undefined && nowMs - this.#failingSinceMs >= windowMs
    return shared + (isBlind ? 0 : counted.own) > threshold
  }

  /** Sends first, so that what is read holds what was counted here. */
  async #exchange(batch: readonly string[], nowMs: number): Promise<void> {
    const { prefix, windowMs } = this.#options
    const window = Math.floor(nowMs / windowMs)
    for (const key of batch) await this.#send(key, window)
    const names = batch.flatMap((key) => [
      counterKey(prefix, key, window),
      counterKey(prefix, key, window - 1),
    ])
    const values = await this.#deps.cache.getMany(names)
    const progress = (nowMs % windowMs) / windowMs
    for (const [index, key] of batch.entries()) {
      const counted = this.#keys.peek(key)
      if (counted === undefined) continue
      const present = Number(values[index * 2] ?? 0)
      const last = Number(values[index * 2 + 1] ?? 0)
      counted.shared = slidingCount(present, last, progress)
      counted.sharedAtMs = nowMs
      counted.own = sum(counted.unsent)
    }
  }

  async #send(key: string, window: number): Promise<void> {
    const { prefix, windowMs } = this.#options
    const counted = this.#keys.peek(key)
    if (counted === undefined) return
    forgetOld(counted.unsent, window)
    for (const [number, amount] of [...counted.unsent]) {
      await this.#deps.cache.increment(counterKey(prefix, key, number), amount, { ttlMs: windowMs * 2 })
      const left = (counted.unsent.get(number) ?? 0) - amount
      if (left > 0) counted.unsent.set(number, left)
      else counted.unsent.delete(number)
    }
  }
}

/** The sliding count from two fixed windows; `progress` is how much of the present one has passed, 0 to 1. */
export function slidingCount(present: number, last: number, progress: number): number {
  return last * (1 - progress) + present
}

/** Windows that the sliding one no longer touches need not be sent. */
function forgetOld(unsent: Map<number, number>, window: number): void {
  for (const number of unsent.keys()) if (number < window - 1) unsent.delete(number)
}

function counterKey(prefix: string, key: string, window: number): string {
  return `${prefix}:${key}:${window}`
}

function sum(amounts: ReadonlyMap<number, number>): number {
  let total = 0
  for (const amount of amounts.values()) total += amount
  return total
}
