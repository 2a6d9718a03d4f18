/**
 * A partition in the hands of one consumer: granted, then revoked (its signal aborts, the holder may still finish
 * and commit), then ended. It is *lost* when the coordinator has given the consumer up, or when the holder took
 * longer than it may: then nothing more is accepted, here or by the coordinator, which knows the generation.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { BatchOptions, LogBatch, LogRecord, NewRecord, PartitionLease } from '../../../ports/log.ts'
import type { Preparation } from '../produce/prepare.ts'
import type { Transactions } from '../produce/transactions.ts'
import { InDoubt, type Membership } from '../produce/transactor.ts'
import { isKafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import type { Cursor } from './cursor.ts'
import type { Fetcher } from './fetcher.ts'
import { commitOffsets, fetchStandings, type Standing, writeMetadata } from './standing.ts'

export type LeaseDeps = {
  cluster: Cluster
  preparation: Preparation
  transactions: Pick<Transactions, 'run'>
  fetcher: Fetcher
  member: {
    readonly membership: Membership
    joinedSince(generation: number, signal: AbortSignal): Promise<void>
  }
  onEnd(lease: Lease): void
}

export type LeaseStart = {
  /** Our name, and Kafka's. */
  topic: string
  wireTopic: string
  standing: Standing
  /** Where the partition begins. */
  start: number
}

const unlimited = Number.POSITIVE_INFINITY
const markBytes = 6

export class Lease implements PartitionLease {
  readonly topic: string
  readonly wireTopic: string
  readonly partition: number
  readonly position: number
  readonly skippedTo: number | undefined
  readonly intended: number | undefined
  readonly resets: number
  readonly signal: AbortSignal
  /** Whether `leases()` has handed it out. */
  isDelivered = false
  isLost = false
  readonly #deps: LeaseDeps
  readonly #abort = new AbortController()
  readonly #ended = new AbortController()
  #committed: number
  #intended: number | undefined
  /** A commit that may or may not have happened, and its mark. */
  #doubt: { offset: number; mark: string } | undefined
  #inFlight = 0
  #idle: (() => void) | undefined
  #ending: Promise<void> | undefined

  constructor({ topic, wireTopic, standing, start }: LeaseStart, deps: LeaseDeps) {
    this.topic = topic
    this.wireTopic = wireTopic
    this.partition = standing.partition
    this.position = standing.position
    this.skippedTo = start > standing.position ? start : undefined
    this.intended = standing.intended
    this.resets = standing.resets
    this.signal = this.#abort.signal
    this.#committed = standing.position
    this.#intended = standing.intended
    this.#deps = deps
  }

  get isRevoked(): boolean {
    return this.signal.aborted
  }

  get isEnded(): boolean {
    return this.#ended.signal.aborted
  }

  /** The holder is asked to finish; after a while nothing of it counts any more. */
  revoke(): void {
    if (this.signal.aborted) return
    this.#abort.abort()
    void this.#limit()
  }

  async #limit(): Promise<void> {
    const { clock, logger } = this.#deps.cluster.context
    await clock.sleep(this.#deps.cluster.config.rebalanceTimeoutMs, { signal: this.#ended.signal })
    if (this.isEnded || this.isLost) return
    const { topic, partition } = this
    logger.warn({ topic, partition }, 'A partition was taken from a holder who did not let it go')
    this.lose()
    this.#deps.onEnd(this)
  }

  lose(): void {
    this.isLost = true
    this.#abort.abort()
  }

  async *batches(options: BatchOptions): AsyncGenerator<LogBatch> {
    const signals = options.signal === undefined ? [this.signal] : [this.signal, options.signal]
    const signal = AbortSignal.any(signals)
    let from = Math.max(this.#committed, this.skippedTo ?? 0)
    const { topic, wireTopic, partition } = this
    const cursor = this.#deps.fetcher.open({ topic, wireTopic, partition, from })
    try {
      const intended = this.#intended
      if (intended !== undefined && intended > from) {
        const records = await takeUntil(cursor, intended, signal)
        if (signal.aborted) return
        yield { topic, partition, from, until: intended, records }
        from = intended
      }
      while (!signal.aborted) {
        const records = await this.#fill(cursor, options, signal)
        if (signal.aborted) return
        yield { topic, partition, from, until: cursor.offset, records }
        from = cursor.offset
      }
    } finally {
      this.#deps.fetcher.close(cursor)
    }
  }

  /** Waits for a first record, then for more until the batch is full or its time is over. */
  async #fill(cursor: Cursor, options: BatchOptions, signal: AbortSignal): Promise<LogRecord[]> {
    const batch = { records: [] as LogRecord[], bytes: 0 }
    const limits = { recordsMax: options.recordsMax, bytesMax: options.bytesMax, until: unlimited }
    let isFull = false
    while (batch.records.length === 0 && !signal.aborted) {
      if (cursor.isEmpty) await this.#changed(cursor, signal)
      isFull = cursor.take(batch, limits)
    }
    if (isFull || options.waitMs === 0 || signal.aborted) return batch.records
    const over = new AbortController()
    const end = () => over.abort()
    signal.addEventListener('abort', end, { once: true })
    const timer = this.#deps.cluster.context.clock.sleep(options.waitMs, { signal: over.signal }).then(end)
    while (!isFull && !over.signal.aborted) {
      if (cursor.isEmpty) await this.#changed(cursor, over.signal)
      isFull = cursor.take(batch, limits)
    }
    end()
    await timer
    signal.removeEventListener('abort', end)
    return batch.records
  }

  async #changed(cursor: Cursor, signal: AbortSignal): Promise<void> {
    await cursor.changed(signal)
    throwFailure(cursor)
  }

  async intend(until: number): Promise<void> {
    await this.#tracked(async () => {
      await this.#resolveDoubt()
      assert(until > this.#committed, 'a batch ends after the settled position')
      if (this.#intended === until) return
      await this.#settle(this.#committed, { intended: until, records: [] })
      this.#intended = until
    })
  }

  async commit({ offset, records = [] }: { offset: number; records?: readonly NewRecord[] }): Promise<void> {
    await this.#tracked(async () => {
      assert(
        offset >= this.#committed,
        `position ${offset} lies before ${this.#committed}: it only moves forward`,
      )
      // The commit that was in doubt has happened, and this is the same one again.
      if ((await this.#resolveDoubt()) && this.#committed === offset) return
      if (offset === this.#committed && records.length === 0) return
      await this.#settle(offset, { intended: undefined, records })
      this.#committed = offset
      this.#intended = undefined
    })
  }

  /** Settles as whoever this consumer is in its group now; a round that goes on meanwhile is waited for. */
  async #settle(
    offset: number,
    { intended, records }: { intended: number | undefined; records: readonly NewRecord[] },
  ): Promise<void> {
    const { cluster, preparation, transactions, member } = this.#deps
    const { appendTimeoutMs: withinMs } = cluster.config
    const deadline = cluster.context.clock.monotonic() + withinMs
    const prepared =
      records.length === 0 ? [] : await preparation.prepare(records, { sticky: new Map(), withinMs })
    const mark = prepared.length === 0 ? undefined : cluster.context.random.bytes(markBytes).toString('hex')
    const metadata = writeMetadata({ intended, resets: this.resets, mark })
    const offsets = [{ topic: this.wireTopic, partition: this.partition, offset, metadata }]
    for (;;) {
      this.#checkHeld()
      const { membership } = member
      try {
        if (prepared.length === 0) await commitOffsets(cluster, membership, { offsets, withinMs })
        else await transactions.run({ member: membership, offsets, records: prepared })
        return
      } catch (error) {
        if (error instanceof InDoubt) {
          this.#doubt = { offset, mark: mark ?? '' }
          throw new RowmillError('LOG_UNAVAILABLE', 'Kafka did not say whether a commit has happened.', {
            cause: error,
          })
        }
        if (isKafkaFailure(error, 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID')) {
          this.lose()
          throw this.#lost(error)
        }
        if (!isKafkaFailure(error)) throw error
        const isBetweenRounds = error.code === 'ILLEGAL_GENERATION' || error.code === 'REBALANCE_IN_PROGRESS'
        const leftMs = deadline - cluster.context.clock.monotonic()
        if (!isBetweenRounds || leftMs <= 0)
          throw new RowmillError('LOG_UNAVAILABLE', `Kafka refused a commit: ${error.code}.`, {
            cause: error,
          })
        await this.#nextRound(membership.generation, leftMs)
      }
    }
  }

  async #nextRound(generation: number, withinMs: number): Promise<void> {
    const { cluster, member } = this.#deps
    const over = new AbortController()
    const end = () => over.abort()
    const signal = AbortSignal.any([over.signal, this.#ended.signal])
    const timer = cluster.context.clock.sleep(withinMs, { signal }).then(end)
    await member.joinedSince(generation, signal)
    // The coordinator may be ahead of what it has told us: not at once again.
    await cluster.context.clock.sleep(cluster.config.retryDelayMs, { signal })
    end()
    await timer
  }

  /** What a transaction without an answer has done is read from the group, once it is over: whether it settled. */
  async #resolveDoubt(): Promise<boolean> {
    const doubt = this.#doubt
    if (doubt === undefined) return false
    const { cluster, member } = this.#deps
    const places = [{ topic: this.wireTopic, partition: this.partition }]
    const { appendTimeoutMs: withinMs } = cluster.config
    const [standing] = await fetchStandings(cluster, member.membership.group, { places, withinMs })
    this.#doubt = undefined
    if (standing?.mark !== doubt.mark) return false
    this.#committed = doubt.offset
    this.#intended = undefined
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end()
    await this.#ending
  }

  async #end(): Promise<void> {
    this.#ended.abort()
    this.#abort.abort()
    if (this.#inFlight > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle = resolve
      await promise
    }
    this.#deps.onEnd(this)
  }

  async #tracked(work: () => Promise<void>): Promise<void> {
    this.#checkHeld()
    this.#inFlight++
    try {
      await work()
    } finally {
      this.#inFlight--
      if (this.#inFlight === 0) this.#idle?.()
    }
  }

  #checkHeld(): void {
    if (this.isLost || this.isEnded) throw this.#lost()
  }

  #lost(cause?: unknown): RowmillError {
    return new RowmillError(
      'LEASE_LOST',
      `Partition ${this.partition} of ${this.topic} is no longer held here by its group.`,
      { cause },
    )
  }
}

/** Everything before `until`, which may be nothing but gaps. */
async function takeUntil(cursor: Cursor, until: number, signal: AbortSignal): Promise<LogRecord[]> {
  const batch = { records: [] as LogRecord[], bytes: 0 }
  while (!signal.aborted) {
    cursor.take(batch, { recordsMax: unlimited, bytesMax: unlimited, until })
    if (cursor.offset >= until) break
    await cursor.changed(signal)
    throwFailure(cursor)
  }
  return batch.records
}

function throwFailure({ failure, topic, partition }: Cursor): void {
  if (failure === undefined) return
  if (isKafkaFailure(failure, 'OFFSET_OUT_OF_RANGE'))
    throw new RowmillError(
      'OFFSET_OUT_OF_RANGE',
      `The position in ${topic}/${partition} lies beyond its end: was the topic made anew? To go on with what is there, run: rowmill offsets reset.`,
      { cause: failure },
    )
  if (isKafkaFailure(failure))
    throw new RowmillError('CONFIG_INVALID', `Kafka does not let us read ${topic}: ${failure.code}.`, {
      cause: failure,
    })
  throw failure
}
