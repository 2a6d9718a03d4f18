/**
 * The kept objects. A request's records are durable when `keep` resolves. Requests that wait while objects are
 * being written share the next one, so a slow blob store is asked less often and not more slowly.
 *
 * Keys are `<prefix>/<year>/<month>/<day>/<ms>-<number>-<chance>.ndjson`: their order is the order in time. Only
 * keys of this form are read back, whatever else lies under the prefix.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Blobs } from '../../ports/blobs.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { FallbackConfig } from './config.ts'
import { joinObject } from './object-format.ts'

export type StoreDeps = {
  blobs: Pick<Blobs, 'put' | 'get' | 'delete' | 'list'>
  clock: Clock
  random: Random
  metrics: Metrics
}
export type StoredObject = { key: string; bytes: number }

export interface ObjectStore {
  /** `cause` is why the log did not take them. Fails with `LOG_UNAVAILABLE` when there is no room, or no store. */
  keep(lines: Buffer, cause: unknown): Promise<void>
  /** Objects from the oldest on. Fails with `BLOBS_UNAVAILABLE`. */
  list(signal: AbortSignal): AsyncIterable<StoredObject>
  get(key: string): Promise<Buffer | undefined>
  remove(object: StoredObject): Promise<void>
  /** Puts something beside the objects, where nobody looks for it by himself; answers its key. */
  setAside(key: string, bytes: Buffer): Promise<string>
  /** What a whole listing has found. Say it only where `puts` is what it was before the listing. */
  recount(found: { objects: number; bytes: number }): void
  /** How many objects this process has written. */
  readonly puts: number
  /** Resolves when nothing is being written. */
  idle(): Promise<void>
}

type Waiting = { lines: Buffer; resolve: () => void; reject: (error: unknown) => void }

export function createObjectStore(deps: StoreDeps, config: FallbackConfig): ObjectStore {
  return new Objects(deps, config)
}

class Objects implements ObjectStore {
  readonly #deps: StoreDeps
  readonly #config: FallbackConfig
  readonly #prefix: string
  readonly #form: RegExp
  readonly #writing = new Set<Promise<void>>()
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #named = 0
  #puts = 0
  #objects = 0
  #bytes = 0

  constructor(deps: StoreDeps, config: FallbackConfig) {
    this.#deps = deps
    this.#config = config
    this.#prefix = config.prefix.replace(/\/$/, '')
    const escaped = this.#prefix.replaceAll('.', '\\.')
    this.#form = new RegExp(`^${escaped}/\\d{4}/\\d{2}/\\d{2}/\\d{13}-\\d{8}-[0-9a-f]{8}\\.ndjson$`)
    deps.metrics.set('queue_bound', config.inFlightBytesMax, { queue: 'capture_fallback_bytes' })
  }

  get puts(): number {
    return this.#puts
  }

  keep(lines: Buffer, cause: unknown): Promise<void> {
    if (!this.#hasRoom(lines.length)) {
      const message = 'The log takes no events, and the fallback holds as many as it may.'
      return Promise.reject(new RowmillError('LOG_UNAVAILABLE', message, { cause }))
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ lines, resolve, reject })
    this.#count(lines.length)
    this.#write()
    return promise
  }

  #hasRoom(bytes: number): boolean {
    const { inFlightBytesMax, objectsMax, storedBytesMax } = this.#config
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > inFlightBytesMax) return false
    const objects = this.#objects + this.#writing.size + (this.#waiting.length > 0 ? 0 : 1)
    return objects <= objectsMax && this.#bytes + this.#waitingBytes + bytes <= storedBytesMax
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes
    this.#deps.metrics.set('queue_depth', this.#waitingBytes, { queue: 'capture_fallback_bytes' })
  }

  #write(): void {
    while (this.#waiting.length > 0 && this.#writing.size < this.#config.putsInFlightMax) {
      const writing = this.#put(this.#takeWaiting()).finally(() => {
        this.#writing.delete(writing)
        this.#write()
      })
      this.#writing.add(writing)
    }
  }

  #takeWaiting(): Waiting[] {
    let bytes = 0
    let length = 0
    for (const { lines } of this.#waiting) {
      bytes += lines.length
      if (length > 0 && bytes > this.#config.objectBytesMax) break
      length++
    }
    return this.#waiting.splice(0, length)
  }

  /** Never fails: those who wait are told. */
  async #put(requests: readonly Waiting[]): Promise<void> {
    const object = joinObject(requests.map(({ lines }) => lines))
    const bytes = requests.reduce((sum, { lines }) => sum + lines.length, 0)
    try {
      await this.#deps.blobs.put(this.#newKey(), object)
      this.#puts++
      this.#changed(1, object.length)
      for (const { resolve } of requests) resolve()
    } catch (cause) {
      const message = 'The log takes no events, and the fallback could not keep them.'
      const error = new RowmillError('LOG_UNAVAILABLE', message, { cause })
      for (const { reject } of requests) reject(error)
    } finally {
      this.#count(-bytes)
    }
  }

  #newKey(): string {
    const nowMs = Math.max(0, this.#deps.clock.now())
    const [date = ''] = new Date(nowMs).toISOString().split('T')
    const time = String(Math.floor(nowMs)).padStart(13, '0')
    const number = String(this.#named++ % 100_000_000).padStart(8, '0')
    const chance = this.#deps.random.bytes(4).toString('hex')
    return `${this.#prefix}/${date.replaceAll('-', '/')}/${time}-${number}-${chance}.ndjson`
  }

  #changed(objects: number, bytes: number): void {
    this.recount({ objects: this.#objects + objects, bytes: this.#bytes + bytes })
  }

  recount({ objects, bytes }: { objects: number; bytes: number }): void {
    this.#objects = Math.max(0, objects)
    this.#bytes = Math.max(0, bytes)
    this.#deps.metrics.set('capture_fallback_objects', this.#objects)
    this.#deps.metrics.set('capture_fallback_bytes', this.#bytes)
  }

  async *list(signal: AbortSignal): AsyncGenerator<StoredObject, void, undefined> {
    for await (const object of this.#deps.blobs.list(`${this.#prefix}/`, { signal }))
      if (this.#form.test(object.key)) yield object
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#deps.blobs.get(key)
  }

  async remove({ key, bytes }: StoredObject): Promise<void> {
    await this.#deps.blobs.delete(key)
    this.#changed(-1, -bytes)
  }

  async setAside(key: string, bytes: Buffer): Promise<string> {
    const aside = `${this.#prefix}-refused${key.slice(this.#prefix.length)}`
    await this.#deps.blobs.put(aside, bytes)
    return aside
  }

  async idle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing)
  }
}
