/**
 * `meta.cache` for the time of one run: what PostHog's plugins do with Redis, in memory. Values cross as JSON;
 * an operation is given what the plugin chose, so each argument is looked at.
 */
import type { Clock } from '../ports/clock.ts'

type Entry = { value: string | string[]; untilMs: number }

const elementsMax = 1000

export class MemoryCache {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Answers a value of JSON, or `undefined`. Throws a sentence for the plugin. */
  run(operation: unknown, [key, ...values]: readonly unknown[]): unknown {
    if (typeof key !== 'string') throw new TypeError('A key of the cache is a text.')
    const [first, second, third] = values
    if (operation === 'set') return this.#set(key, first, { ttl: second, options: third })
    if (operation === 'get') return this.#get(key, first)
    if (operation === 'incr') return this.#increment(key)
    if (operation === 'expire') return this.#expire(key, first)
    if (operation === 'lpush') return this.#push(key, first)
    if (operation === 'lrange') return slice(this.#list(key), first, second)
    if (operation === 'llen') return this.#list(key).length
    if (operation === 'lrem') return this.#remove(key, first, second)
    if (operation === 'lpop') return this.#list(key).splice(0, whole(first ?? 1))
    throw new TypeError(`The cache cannot ${String(operation)}.`)
  }

  #set(key: string, value: unknown, { ttl, options }: { ttl: unknown; options: unknown }): undefined {
    const text = isRaw(options) ? String(value) : JSON.stringify(value ?? null)
    const untilMs = typeof ttl === 'number' ? this.#clock.now() + ttl * 1000 : Number.POSITIVE_INFINITY
    this.#entries.set(key, { value: text, untilMs })
  }

  #get(key: string, options: unknown): unknown {
    const value = this.#text(key)
    if (value === undefined || isRaw(options)) return value
    try {
      return JSON.parse(value)
    } catch {
      return value // set as a plain text
    }
  }

  #increment(key: string): number {
    const next = Number(this.#text(key) ?? 0) + 1
    if (!Number.isSafeInteger(next)) throw new TypeError(`The value of ${key} is no whole number.`)
    this.#entries.set(key, {
      untilMs: this.#find(key)?.untilMs ?? Number.POSITIVE_INFINITY,
      value: `${next}`,
    })
    return next
  }

  #expire(key: string, ttl: unknown): boolean {
    const entry = this.#find(key)
    if (entry !== undefined) entry.untilMs = this.#clock.now() + whole(ttl) * 1000
    return entry !== undefined
  }

  #push(key: string, elements: unknown): number {
    if (!Array.isArray(elements) || elements.length > elementsMax)
      throw new TypeError(`lpush takes a list of at most ${elementsMax} elements.`)
    const list = this.#list(key)
    if (list.length === 0) this.#entries.set(key, { value: list, untilMs: Number.POSITIVE_INFINITY })
    list.unshift(...elements.map(String).reverse())
    return list.length
  }

  #remove(key: string, count: unknown, element: unknown): number {
    const list = this.#list(key)
    const wanted = whole(count)
    const places = [...list.keys()].filter((at) => list[at] === String(element))
    if (wanted < 0) places.reverse()
    const chosen = places.slice(0, wanted === 0 ? undefined : Math.abs(wanted))
    for (const at of chosen.toSorted((one, other) => other - one)) list.splice(at, 1)
    return chosen.length
  }

  #text(key: string): string | undefined {
    const value = this.#find(key)?.value
    if (Array.isArray(value)) throw new TypeError(`${key} is a list.`)
    return value
  }

  /** The list itself, or a new one that is not kept yet. */
  #list(key: string): string[] {
    const value = this.#find(key)?.value ?? []
    if (!Array.isArray(value)) throw new TypeError(`${key} is no list.`)
    return value
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#clock.now() < entry.untilMs) return entry
    this.#entries.delete(key)
    return undefined
  }
}

function slice(list: readonly string[], start: unknown, stop: unknown): string[] {
  const last = whole(stop)
  return list.slice(whole(start), last === -1 ? undefined : last + 1)
}

function whole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new TypeError(`${String(value)} is no whole number.`)
}

function isRaw(options: unknown): boolean {
  return (
    typeof options === 'object' &&
    options !== null &&
    'jsonSerialize' in options &&
    options.jsonSerialize === false
  )
}
