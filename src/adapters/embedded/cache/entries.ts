import { RowmillError } from '../../../errors/rowmill-error.ts'

export type CacheValue =
  | { kind: 'text'; text: string }
  | { kind: 'set'; members: Set<string> }
  | { kind: 'sorted'; scores: Map<string, number> }

export type Entry = {
  value: CacheValue
  /** Wall time. */
  expiresAtMs: number | undefined
  /** It must outlive this process, so it is never evicted. */
  isKept: boolean
}

/**
 * The keys in memory. A key weighs 1 and each member of a set another 1; together they never weigh more than
 * `weightMax`: the keys that were not used for longest go first, kept ones never. Where only kept ones are
 * left, what is added is refused with `CACHE_UNAVAILABLE`.
 */
export class Entries {
  readonly #weightMax: number
  readonly #onEvict: () => void
  /** In the order of their last use, oldest first. */
  readonly #passing = new Map<string, Entry>()
  readonly #kept = new Map<string, Entry>()
  readonly #weights = new Map<Entry, number>()
  #weight = 0

  constructor(options: { weightMax: number; onEvict: () => void }) {
    this.#weightMax = options.weightMax
    this.#onEvict = options.onEvict
  }

  get size(): number {
    return this.#passing.size + this.#kept.size
  }

  /** What lives under the key. This is a use of it. */
  get(key: string, nowMs: number): Entry | undefined {
    const entry = this.find(key)
    if (entry === undefined || isExpired(entry, nowMs)) return undefined
    if (!entry.isKept) {
      this.#passing.delete(key)
      this.#passing.set(key, entry)
    }
    return entry
  }

  /** What is there, expired or not. */
  find(key: string): Entry | undefined {
    return this.#passing.get(key) ?? this.#kept.get(key)
  }

  /** Puts an entry in the place of what is there, or refuses and changes nothing. */
  put(key: string, entry: Entry): void {
    const before = this.find(key)
    const weight = weightOf(entry.value)
    this.#reserve(key, weight - (before === undefined ? 0 : this.#weightOf(before)))
    this.remove(key)
    this.#weights.set(entry, weight)
    this.#weight += weight
    const home = entry.isKept ? this.#kept : this.#passing
    home.set(key, entry)
  }

  /** Makes room for `by` more members of an entry that is there; a negative number gives room back. */
  grow(key: string, entry: Entry, by: number): void {
    this.#reserve(key, by)
    this.#weights.set(entry, this.#weightOf(entry) + by)
    this.#weight += by
  }

  /** From now on this entry is not evicted. */
  keep(key: string, entry: Entry): void {
    entry.isKept = true
    this.#passing.delete(key)
    this.#kept.set(key, entry)
  }

  remove(key: string): void {
    const entry = this.find(key)
    if (entry === undefined) return
    this.#weight -= this.#weightOf(entry)
    this.#weights.delete(entry)
    this.#passing.delete(key)
    this.#kept.delete(key)
  }

  /** All entries; what is added during the walk may or may not be seen. */
  *walk(): Generator<[string, Entry], void, undefined> {
    yield* this.#kept
    yield* this.#passing
  }

  #weightOf(entry: Entry): number {
    return this.#weights.get(entry) ?? 0
  }

  /** Evicts until `added` fits. The key itself is not evicted for its own sake. */
  #reserve(key: string, added: number): void {
    if (added <= 0 || this.#weight + added <= this.#weightMax) return
    const goes: string[] = []
    let weight = this.#weight
    for (const [other, entry] of this.#passing) {
      if (weight + added <= this.#weightMax) break
      if (other === key) continue
      goes.push(other)
      weight -= this.#weightOf(entry)
    }
    if (weight + added > this.#weightMax)
      throw new RowmillError(
        'CACHE_UNAVAILABLE',
        `The cache has no room for ${added} more keys or members; raise cache.keysMax above ${this.#weightMax}.`,
      )
    for (const other of goes) {
      this.remove(other)
      this.#onEvict()
    }
  }
}

export function isExpired(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs !== undefined && entry.expiresAtMs <= nowMs
}

function weightOf(value: CacheValue): number {
  if (value.kind === 'text') return 1
  return 1 + (value.kind === 'set' ? value.members.size : value.scores.size)
}

export function copyOf(entry: Entry): Entry {
  const { value } = entry
  if (value.kind === 'set') return { ...entry, value: { kind: 'set', members: new Set(value.members) } }
  if (value.kind === 'sorted') return { ...entry, value: { kind: 'sorted', scores: new Map(value.scores) } }
  return { ...entry }
}
