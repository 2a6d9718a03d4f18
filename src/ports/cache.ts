/**
 * Small shared state by key, fast to read, with expiry: what Redis offers and PostHog keeps there.
 *
 * Every operation is atomic; in a cluster `getMany` and `delete` are so for the keys that live together. A key
 * holds one kind of value (text, set or sorted set); using it as another kind fails with `CACHE_WRONG_KIND`.
 * Times are in ms. A key whose expiry has passed does not exist.
 * State may be lost in a crash, except what was written with `keep: true`, which is durable when the write
 * resolves. A cache that cannot be reached, or does not answer in time, fails with `CACHE_UNAVAILABLE`; what was
 * asked may have been done all the same. A cache on another machine keeps what `keep` asks for as durably as it
 * has been set up to.
 */
export interface Cache extends AsyncDisposable {
  get(key: string): Promise<string | undefined>
  /** Values in the order of `keys`. A key of another kind counts as missing, or fails with `CACHE_WRONG_KIND`. */
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  /** False when `ifAbsent` was asked and the key exists. Without `ttlMs` the key does not expire. */
  set(key: string, value: string, options?: CacheWrite & { ifAbsent?: boolean }): Promise<boolean>
  /** How many of the keys existed. */
  delete(...keys: string[]): Promise<number>
  /** Adds to a decimal integer, a missing key counts as 0; answers the new value. */
  increment(key: string, by?: number, options?: CacheWrite): Promise<number>
  /** False when there is no such key. */
  expire(key: string, ttlMs: number): Promise<boolean>
  /** How many members are new. */
  setAdd(key: string, members: readonly string[], options?: CacheWrite): Promise<number>
  setRemove(key: string, members: readonly string[]): Promise<number>
  setMembers(key: string): Promise<string[]>
  setSize(key: string): Promise<number>
  sortedAdd(key: string, members: readonly ScoredMember[], options?: CacheWrite): Promise<number>
  sortedRemove(key: string, members: readonly string[]): Promise<number>
  /** Members with `from <= score <= to`, by score and then by member. */
  sortedRange(key: string, from: number, to: number): Promise<ScoredMember[]>
  /**
   * Takes the lock for `ttlMs`, or answers `undefined` when another holder has it. `extend` is false when
   * the lock has been lost meanwhile.
   */
  lock(key: string, ttlMs: number): Promise<CacheLock | undefined>
  publish(channel: string, message: string): Promise<void>
  /**
   * Messages published after the subscription began. Ends when the signal aborts. While the cache is away messages
   * are missed, so whoever must not miss any looks for himself from time to time.
   */
  subscribe(channel: string, options: { signal: AbortSignal }): AsyncIterable<string>
}

export type CacheWrite = { ttlMs?: number; keep?: boolean }
export type ScoredMember = { member: string; score: number }
export interface CacheLock extends AsyncDisposable {
  extend(ttlMs: number): Promise<boolean>
}
