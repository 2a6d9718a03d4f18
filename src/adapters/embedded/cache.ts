/**
 * The Cache port in the memory of this process.
 *
 * An operation changes memory in one turn of the event loop, so all are atomic. What was written with `keep`
 * also goes to the table `rowmill_cache` before the write resolves, is loaded at the next start, and is never
 * evicted; a key that was once kept stays so until it is deleted or expires, and every later write to it is
 * durable too. A kept set is written as a whole at each change: keep small ones only.
 *
 * `set` and `delete` take the place of a value of any kind; every other operation insists on its own kind.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache, CacheLock, CacheWrite, ScoredMember } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { createChannels } from './cache/channels.ts'
import type { EmbeddedCacheConfig } from './cache/config.ts'
import { createDurableKeys, type DurableKeys, loadDurableKeys } from './cache/durable-keys.ts'
import { type CacheValue, Entries, type Entry, isExpired } from './cache/entries.ts'

export type CacheContext = {
  /** Where what is kept goes. Without it a write with `keep` fails with `CACHE_UNAVAILABLE`. */
  database: Database | undefined
  clock: Clock
  metrics: Metrics
  logger: Logger
}

/** Loads what was kept. The table must be there: migrate first. Fails with the Database's errors. */
export async function openEmbeddedCache(context: CacheContext, config: EmbeddedCacheConfig): Promise<Cache> {
  const { database, clock, metrics } = context
  const entries = new Entries({
    weightMax: config.keysMax,
    onEvict: () => metrics.count('cache_evictions_total'),
  })
  if (database !== undefined) await loadDurableKeys(database, entries, clock.now())
  return new EmbeddedCache(context, config, entries)
}

type ValueOf<Kind extends CacheValue['kind']> = Extract<CacheValue, { kind: Kind }>
type Lock = { expiresAtMs: number }

class EmbeddedCache implements Cache {
  readonly #context: CacheContext
  readonly #config: EmbeddedCacheConfig
  readonly #entries: Entries
  readonly #durable: DurableKeys
  readonly #locks = new Map<string, Lock>()
  readonly #channels
  readonly #closing = new AbortController()
  readonly #sweeping: Promise<void>

  constructor(context: CacheContext, config: EmbeddedCacheConfig, entries: Entries) {
    this.#context = context
    this.#config = config
    this.#entries = entries
    this.#durable = createDurableKeys(context.database, entries)
    this.#channels = createChannels(context.logger, config.messagesMax)
    this.#sweeping = this.#sweep()
  }

  async get(key: string): Promise<string | undefined> {
    return this.#read(key, 'text')?.text
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    return keys.map((key) => this.#read(key, 'text')?.text)
  }

  async set(key: string, text: string, options: CacheWrite & { ifAbsent?: boolean } = {}): Promise<boolean> {
    const present = this.#find(key)
    if (options.ifAbsent === true && present !== undefined) {
      // The answer must not outlive what it speaks of.
      if (present.isKept) await this.#durable.flush()
      return false
    }
    const isKept = options.keep === true || present?.isKept === true
    await this.#change(key, isKept, () => {
      this.#entries.put(key, { value: { kind: 'text', text }, expiresAtMs: this.#expiry(options), isKept })
    })
    return true
  }

  async delete(...keys: string[]): Promise<number> {
    let deleted = 0
    let isDurable = false
    for (const key of keys) {
      const entry = this.#find(key)
      if (entry === undefined) continue
      if (entry.isKept) {
        isDurable = true
        this.#durable.touch(key)
      }
      this.#entries.remove(key)
      deleted += 1
    }
    if (isDurable) await this.#durable.flush()
    return deleted
  }

  async increment(key: string, by = 1, options: CacheWrite = {}): Promise<number> {
    const value = this.#read(key, 'text')
    const sum = Number(value?.text ?? '0') + by
    if (!Number.isSafeInteger(sum) || !/^-?\d+$/.test(value?.text ?? '0'))
      throw new RowmillError(
        'CACHE_WRONG_KIND',
        'A cache key does not hold an integer within the safe range.',
      )
    await this.#edit(key, { ...options, empty: { kind: 'text', text: '0' } }, (entry) => {
      entry.value = { kind: 'text', text: String(sum) }
    })
    return sum
  }

  async expire(key: string, ttlMs: number): Promise<boolean> {
    const entry = this.#find(key)
    if (entry === undefined) return false
    await this.#change(key, entry.isKept, () => {
      entry.expiresAtMs = this.#context.clock.now() + ttlMs
      if (ttlMs <= 0) this.#entries.remove(key)
    })
    return true
  }

  async setAdd(key: string, members: readonly string[], options: CacheWrite = {}): Promise<number> {
    const present = this.#read(key, 'set')?.members
    const fresh = [...new Set(members)].filter((member) => present?.has(member) !== true)
    if (members.length === 0) return 0
    await this.#edit(key, { ...options, empty: { kind: 'set', members: new Set() } }, (entry) => {
      this.#entries.grow(key, entry, fresh.length)
      assert(entry.value.kind === 'set')
      for (const member of fresh) entry.value.members.add(member)
    })
    return fresh.length
  }

  async setRemove(key: string, members: readonly string[]): Promise<number> {
    const present = this.#read(key, 'set')?.members
    return present === undefined ? 0 : await this.#removeMembers(key, present, members)
  }

  async setMembers(key: string): Promise<string[]> {
    return [...(this.#read(key, 'set')?.members ?? [])]
  }

  async setSize(key: string): Promise<number> {
    return this.#read(key, 'set')?.members.size ?? 0
  }

  async sortedAdd(key: string, members: readonly ScoredMember[], options: CacheWrite = {}): Promise<number> {
    const present = this.#read(key, 'sorted')?.scores
    const scores = new Map(members.map(({ member, score }) => [member, score]))
    for (const score of scores.values()) assert(Number.isFinite(score), 'A score is a finite number.')
    const fresh = [...scores.keys()].filter((member) => present?.has(member) !== true).length
    if (members.length === 0) return 0
    await this.#edit(key, { ...options, empty: { kind: 'sorted', scores: new Map() } }, (entry) => {
      this.#entries.grow(key, entry, fresh)
      assert(entry.value.kind === 'sorted')
      for (const [member, score] of scores) entry.value.scores.set(member, score)
    })
    return fresh
  }

  async sortedRemove(key: string, members: readonly string[]): Promise<number> {
    const present = this.#read(key, 'sorted')?.scores
    return present === undefined ? 0 : await this.#removeMembers(key, present, members)
  }

  async sortedRange(key: string, from: number, to: number): Promise<ScoredMember[]> {
    return [...(this.#read(key, 'sorted')?.scores ?? [])]
      .map(([member, score]) => ({ member, score }))
      .filter(({ score }) => score >= from && score <= to)
      .sort((left, right) => left.score - right.score || compareBytes(left.member, right.member))
  }

  async lock(key: string, ttlMs: number): Promise<CacheLock | undefined> {
    this.#checkOpen()
    const { clock } = this.#context
    const isHeld = (lock: Lock | undefined) => lock !== undefined && lock.expiresAtMs > clock.monotonic()
    if (isHeld(this.#locks.get(key))) return undefined
    if (this.#locks.size >= this.#config.keysMax)
      throw new RowmillError('CACHE_UNAVAILABLE', `The cache holds ${this.#locks.size} locks already.`)
    const mine: Lock = { expiresAtMs: clock.monotonic() + ttlMs }
    this.#locks.set(key, mine)
    const isMine = () => this.#locks.get(key) === mine && isHeld(mine)
    return {
      async extend(byMs) {
        if (!isMine()) return false
        mine.expiresAtMs = clock.monotonic() + byMs
        return true
      },
      [Symbol.asyncDispose]: async () => {
        if (this.#locks.get(key) === mine) this.#locks.delete(key)
      },
    }
  }

  async publish(channel: string, message: string): Promise<void> {
    this.#checkOpen()
    this.#channels.publish(channel, message)
  }

  subscribe(channel: string, options: { signal: AbortSignal }): AsyncIterable<string> {
    return this.#channels.subscribe(channel, AbortSignal.any([options.signal, this.#closing.signal]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#sweeping
    await this.#durable.settled()
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted)
      throw new RowmillError('CACHE_UNAVAILABLE', 'The cache has been closed.')
  }

  #find(key: string): Entry | undefined {
    this.#checkOpen()
    return this.#entries.get(key, this.#context.clock.now())
  }

  #read<Kind extends CacheValue['kind']>(key: string, kind: Kind): ValueOf<Kind> | undefined {
    const value = this.#find(key)?.value
    if (value === undefined || isKind(value, kind)) return value
    throw new RowmillError('CACHE_WRONG_KIND', `A cache key holds a ${value.kind}, not a ${kind}.`)
  }

  #expiry(options: CacheWrite): number | undefined {
    return options.ttlMs === undefined ? undefined : this.#context.clock.now() + options.ttlMs
  }

  /** Applies a change, and waits until it is durable where the key is kept. */
  async #change(key: string, isKept: boolean, apply: () => void): Promise<void> {
    if (isKept) this.#durable.touch(key)
    apply()
    if (isKept) await this.#durable.flush()
  }

  /** Changes the entry of a key, which begins as `empty` where there is none. */
  async #edit(
    key: string,
    options: CacheWrite & { empty: CacheValue },
    apply: (entry: Entry) => void,
  ): Promise<void> {
    const present = this.#find(key)
    const isKept = options.keep === true || present?.isKept === true
    await this.#change(key, isKept, () => {
      const entry = present ?? { value: options.empty, expiresAtMs: undefined, isKept }
      if (present === undefined) this.#entries.put(key, entry)
      apply(entry)
      if (options.ttlMs !== undefined) entry.expiresAtMs = this.#expiry(options)
      if (isKept) this.#entries.keep(key, entry)
    })
  }

  /** A set without members does not exist. */
  async #removeMembers(
    key: string,
    present: Set<string> | Map<string, number>,
    members: readonly string[],
  ): Promise<number> {
    const entry = this.#find(key)
    assert(entry !== undefined)
    const removed = [...new Set(members)].filter((member) => present.has(member))
    if (removed.length === 0) return 0
    await this.#change(key, entry.isKept, () => {
      for (const member of removed) present.delete(member)
      this.#entries.grow(key, entry, -removed.length)
      if (present.size === 0) this.#entries.remove(key)
    })
    return removed.length
  }

  /** Removes what has expired, some keys at a time, so that it takes no room until somebody asks for it. */
  async #sweep(): Promise<void> {
    const { clock, metrics } = this.#context
    let walk = this.#entries.walk()
    for (;;) {
      await clock.sleep(this.#config.sweepIntervalMs, { signal: this.#closing.signal })
      if (this.#closing.signal.aborted) return
      let isDurable = false
      for (let looked = 0; looked < this.#config.sweepKeysMax; looked++) {
        const next = walk.next()
        if (next.done === true) {
          walk = this.#entries.walk()
          break
        }
        const [key, entry] = next.value
        if (!isExpired(entry, clock.now())) continue
        if (entry.isKept) {
          isDurable = true
          this.#durable.touch(key)
        }
        this.#entries.remove(key)
      }
      this.#sweepLocks()
      metrics.set('cache_keys', this.#entries.size)
      if (isDurable) await this.#flushSwept()
    }
  }

  #sweepLocks(): void {
    const nowMs = this.#context.clock.monotonic()
    for (const [key, lock] of this.#locks) if (lock.expiresAtMs <= nowMs) this.#locks.delete(key)
  }

  /** Keys whose removal failed are back in memory, expired, and a later sweep meets them again. */
  async #flushSwept(): Promise<void> {
    try {
      await this.#durable.flush()
    } catch (error) {
      this.#context.logger.warn(
        { error },
        'Expired keys of the cache could not be removed from the database.',
      )
    }
  }
}

function isKind<Kind extends CacheValue['kind']>(value: CacheValue, kind: Kind): value is ValueOf<Kind> {
  return value.kind === kind
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
