/**
 * A partition in the hands of one consumer. It goes from granted to revoked (its signal aborts, the holder
 * may still finish and commit) to ended (nothing is accepted any more). Only when it has ended, and what it
 * had in flight is decided, the partition moves on.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../../../errors/rowmill-error.ts'
import type { Clock } from '../../../../ports/clock.ts'
import type { BatchOptions, LogBatch, LogRecord, NewRecord, PartitionLease } from '../../../../ports/log.ts'
import { Cursor, type FetchSource } from '../fetch.ts'
import type { PendingRecord } from '../files/encode.ts'
import { recordHeadBytes } from '../files/record.ts'
import { type Meta, type Partition, type Standing, startOf, waitForGrowth } from '../state.ts'

export type LeaseDeps = {
  clock: Clock
  source: FetchSource
  /** Checks and encodes records for a commit. */
  prepare: (records: readonly NewRecord[]) => PendingRecord[]
  submit: (records: readonly PendingRecord[], meta: Meta) => Promise<void>
}

const unlimited = Number.POSITIVE_INFINITY

export class Lease implements PartitionLease {
  readonly topic: string
  readonly partition: number
  readonly position: number
  readonly skippedTo: number | undefined
  readonly intended: number | undefined
  readonly resets: number
  readonly signal: AbortSignal
  /** Whether `leases()` has handed it out. */
  isDelivered = false
  readonly of: Partition
  readonly #group: string
  readonly #standing: Standing
  readonly #deps: LeaseDeps
  readonly #abort = new AbortController()
  readonly #onEnd: () => void
  #inFlight = 0
  #committed: number
  #isEnded = false
  #ending: Promise<void> | undefined
  #idle: (() => void) | undefined

  constructor(
    what: { group: string; partition: Partition; standing: Standing; onEnd: () => void },
    deps: LeaseDeps,
  ) {
    const start = startOf(what.partition)
    this.of = what.partition
    this.topic = what.partition.topic.name
    this.partition = what.partition.index
    this.position = what.standing.position
    this.skippedTo = start > what.standing.position ? start : undefined
    this.intended = what.standing.intended
    this.resets = what.standing.resets
    this.signal = this.#abort.signal
    this.#committed = what.standing.position
    this.#group = what.group
    this.#standing = what.standing
    this.#onEnd = what.onEnd
    this.#deps = deps
  }

  get isRevoked(): boolean {
    return this.signal.aborted
  }

  revoke(): void {
    this.#abort.abort()
  }

  async *batches(options: BatchOptions): AsyncGenerator<LogBatch> {
    const signals = options.signal === undefined ? [this.signal] : [this.signal, options.signal]
    const signal = AbortSignal.any(signals)
    let from = Math.max(this.#standing.position, startOf(this.of))
    const cursor = new Cursor(this.#deps.source, this.of, from)
    const intended = this.#standing.intended
    if (intended !== undefined && intended > from && !signal.aborted) {
      const records = await cursor.take({ recordsMax: unlimited, bytesMax: unlimited, until: intended })
      if (signal.aborted) return
      yield { topic: this.topic, partition: this.partition, from, until: intended, records }
      from = intended
    }
    while (!signal.aborted) {
      await waitForGrowth(this.of, { offset: from + 1, bytes: unlimited }, signal)
      if (signal.aborted) return
      const records = await cursor.take({ ...options, until: unlimited })
      if (options.waitMs > 0)
        for (const record of await this.#fill({ records, cursor }, options, signal)) records.push(record)
      if (signal.aborted) return
      if (records.length === 0) {
        // What stood here was deleted: go on behind it.
        from = Math.max(from, startOf(this.of))
        continue
      }
      yield { topic: this.topic, partition: this.partition, from, until: cursor.offset, records }
      from = cursor.offset
    }
  }

  /** Waits for more until the batch is full or its time is over; returns what came. */
  async #fill(
    batch: { records: readonly LogRecord[]; cursor: Cursor },
    options: BatchOptions,
    signal: AbortSignal,
  ): Promise<LogRecord[]> {
    const bytes = batch.records.reduce((total, record) => total + sizeOf(record), 0)
    const recordsLeft = options.recordsMax - batch.records.length
    const bytesLeft = options.bytesMax - bytes
    // A cursor that stopped before the end was stopped by a limit: the batch is full.
    if (recordsLeft <= 0 || bytesLeft <= 0 || batch.cursor.offset < this.of.end) return []
    const full = { offset: this.of.end + recordsLeft, bytes: this.of.bytesAppended + bytesLeft }
    const timeIsOver = new AbortController()
    const endWait = () => timeIsOver.abort()
    signal.addEventListener('abort', endWait, { once: true })
    const timer = this.#deps.clock.sleep(options.waitMs, { signal: timeIsOver.signal }).then(endWait)
    await waitForGrowth(this.of, full, timeIsOver.signal)
    endWait()
    await timer
    signal.removeEventListener('abort', endWait)
    if (signal.aborted || this.of.end <= batch.cursor.offset) return []
    return await batch.cursor.take({ recordsMax: recordsLeft, bytesMax: bytesLeft, until: unlimited })
  }

  async intend(until: number): Promise<void> {
    this.#checkHeld()
    assert(until > this.#committed, 'a batch ends after the settled position')
    if (this.#standing.intended === until) return
    const meta = { intended: [this.#place(until)] }
    await this.#tracked(this.#deps.submit([], meta))
  }

  async commit(commit: { offset: number; records?: readonly NewRecord[] }): Promise<void> {
    this.#checkHeld()
    const { offset } = commit
    assert(
      offset >= this.#committed,
      `position ${offset} lies before ${this.#committed}: it only moves forward`,
    )
    assert(offset <= this.of.end, `position ${offset} lies beyond the end ${this.of.end}`)
    const records = this.#deps.prepare(commit.records ?? [])
    if (offset === this.#committed && records.length === 0) return
    const before = this.#committed
    this.#committed = offset
    try {
      await this.#tracked(this.#deps.submit(records, { settled: [this.#place(offset)] }))
    } catch (error) {
      if (this.#committed === offset) this.#committed = before
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end()
    await this.#ending
  }

  async #end(): Promise<void> {
    this.#isEnded = true
    this.#abort.abort()
    if (this.#inFlight > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle = resolve
      await promise
    }
    this.#onEnd()
  }

  async #tracked(work: Promise<void>): Promise<void> {
    this.#inFlight++
    try {
      await work
    } finally {
      this.#inFlight--
      if (this.#inFlight === 0) this.#idle?.()
    }
  }

  #place(offset: number): [string, number, number, number] {
    return [this.#group, this.of.topic.id, this.partition, offset]
  }

  #checkHeld(): void {
    if (this.#isEnded)
      throw new RowmillError(
        'LEASE_LOST',
        `Group ${this.#group} no longer holds partition ${this.partition} of ${this.topic} here.`,
      )
  }
}

function sizeOf(record: LogRecord): number {
  return recordHeadBytes + record.value.length + (record.key?.length ?? 0)
}
