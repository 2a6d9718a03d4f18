/** What was read ahead of one partition, for one reader, and the wish for more. */
import type { LogRecord } from '../../../ports/log.ts'
import { type Fetched, sizeOfRecord } from './decode.ts'

export class Cursor {
  readonly wireTopic: string
  readonly topic: string
  readonly partition: number
  /** Everything before it was fetched. */
  fetchedUntil: number
  isRequested = false
  isClosed = false
  /** Ends the reading where it is set. */
  failure: unknown
  /** Not asked for now: its last answer was an error. */
  isResting = false
  tries = 0
  readonly #prefetchBytesMax: number
  readonly #onWish: () => void
  #records: LogRecord[] = []
  #head = 0
  #bytes = 0
  #wake: (() => void) | undefined

  constructor(
    place: { wireTopic: string; topic: string; partition: number; from: number },
    options: { prefetchBytesMax: number; onWish: () => void },
  ) {
    this.wireTopic = place.wireTopic
    this.topic = place.topic
    this.partition = place.partition
    this.fetchedUntil = place.from
    this.#prefetchBytesMax = options.prefetchBytesMax
    this.#onWish = options.onWish
  }

  get isWanted(): boolean {
    return (
      !this.isClosed &&
      !this.isRequested &&
      !this.isResting &&
      this.failure === undefined &&
      this.#bytes < this.#prefetchBytesMax
    )
  }

  get isEmpty(): boolean {
    return this.#head === this.#records.length
  }

  add({ records, bytes, nextOffset }: Fetched): void {
    if (this.isEmpty) {
      this.#records = records
      this.#head = 0
    } else {
      this.#records = [...this.#records.slice(this.#head), ...records]
      this.#head = 0
    }
    this.#bytes += bytes
    this.fetchedUntil = nextOffset
    this.#wake?.()
  }

  fail(error: unknown): void {
    this.failure = error
    this.#wake?.()
  }

  /**
   * Moves records into `batch` within its limits, at least one, and none at or after `until`. Answers whether
   * the batch is full.
   */
  take(batch: { records: LogRecord[]; bytes: number }, limits: TakeLimits): boolean {
    const hadWish = this.#bytes < this.#prefetchBytesMax
    let isFull = false
    while (this.#head < this.#records.length) {
      const record = this.#records[this.#head]
      if (record === undefined || record.offset >= limits.until) {
        isFull = true
        break
      }
      const bytes = sizeOfRecord(record)
      const isBeyond =
        batch.records.length >= limits.recordsMax ||
        (batch.records.length > 0 && batch.bytes + bytes > limits.bytesMax)
      if (isBeyond) {
        isFull = true
        break
      }
      batch.records.push(record)
      batch.bytes += bytes
      this.#bytes -= bytes
      this.#head++
    }
    if (!hadWish && this.#bytes < this.#prefetchBytesMax) this.#onWish()
    return isFull || batch.records.length >= limits.recordsMax || batch.bytes >= limits.bytesMax
  }

  /** Where the next batch begins: the next record, or what was fetched last where there is none. */
  get offset(): number {
    return this.#records[this.#head]?.offset ?? this.fetchedUntil
  }

  /** Resolves when something has come, or has failed, or the signal aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.failure !== undefined) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#wake = undefined
  }

  close(): void {
    this.isClosed = true
    this.#records = []
    this.#head = 0
    this.#wake?.()
  }
}

export type TakeLimits = { recordsMax: number; bytesMax: number; until: number }
