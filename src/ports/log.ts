import type { LogHeaders } from '../event/headers.ts'

/**
 * The durable log that every event passes through, in our words; Kafka's model fits it.
 *
 * A *topic* has a fixed number of *partitions*; a partition is an ordered sequence of records, numbered by
 * *offset* from 0 without reuse. An offset that stands for a place always means the **next** record.
 *
 * What holds of every log:
 * - `append` resolves only after all its records are durable. Records of one call keep their order in a
 *   partition. One that fails has written nothing if it fails with `TOPIC_UNKNOWN` or `RECORD_TOO_LARGE` before
 *   anything was sent; otherwise some of its records may be there, or appear yet, each once at most.
 * - A group's *position* in a partition is the offset up to which it has *settled*. Only `commit` moves it,
 *   only forward, and atomically with the records given in the same call; `reset` is for operators.
 * - A partition is *leased* to at most one consumer of a group at a time. A lease that has ended can neither
 *   commit nor intend: both fail with `LEASE_LOST`. A holder that does not let go in time loses its lease.
 * - A commit that fails with `LOG_UNAVAILABLE` may be made again as it was: it happens once.
 * - Offsets may have gaps; what stands at an offset never changes.
 * - Offsets below a partition's `start` have been deleted by retention; a lease whose position lies there
 *   starts at `start` and says so in `skippedTo`.
 *
 * What holds of a log that this program owns, and not of one that brokers keep for many programs (Kafka):
 * - Records of one `append` become visible together: after a crash either all of them are there or none. On
 *   Kafka that is so for the records of a commit; an append's partitions become visible one after the other.
 * - What some registered group has not settled is never deleted. When the disk budget is full of it,
 *   `append` fails with `LOG_FULL`; commits that only settle still work. Brokers delete by age alone, whether
 *   it was settled or not (`skippedTo` tells), and never answer `LOG_FULL`: full disks there are
 *   `LOG_UNAVAILABLE`.
 */
export interface Log extends AsyncDisposable {
  /**
   * Creates topics that do not exist. Raising `partitions` of an existing topic adds; lowering is refused with
   * `CONFIG_INVALID`, or passed over where a topic may be another program's, which keeps its other settings too.
   */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>
  describe(): Promise<TopicDescription[]>
  /** Positions of the appended records, in their order. Fails with `LOG_UNAVAILABLE`, `LOG_FULL` or `RECORD_TOO_LARGE`. */
  append(records: readonly NewRecord[]): Promise<RecordPosition[]>
  /**
   * Resolves while appends find room, and fails with `LOG_FULL` from the moment that one was refused until one of
   * its size would be taken again. Appends nothing. Always resolves where `LOG_FULL` is unknown.
   */
  checkRoom(): Promise<void>
  /** Joins a group. A group is registered from its first consumer on; it starts where `start` says. */
  consume(options: ConsumeOptions): LogConsumer
  read(topic: string, partition: number, offset: number): Promise<LogRecord | undefined>
  /** Records of one partition from `from` up to `until` (default: its end at the time of the call), in chunks. */
  scan(options: ScanOptions): AsyncIterable<LogRecord[]>
  /** The first offset whose record's timestamp is at or after `timestampMs`; the end if there is none. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>
  /** Settled positions of every group, or of one. */
  positions(group?: string): Promise<GroupPosition[]>
  /**
   * Puts a group's position where an operator wants it, back or forth, and forgets what it intended: the one
   * way in which a position moves backwards. A group that is not registered for the topic is, with its other
   * partitions at their start. An offset that retention has deleted is allowed: see `skippedTo`. Fails with
   * `GROUP_IN_USE` while the group has a consumer, and with `OFFSET_OUT_OF_RANGE` beyond the partition's end.
   */
  reset(position: ResetPosition): Promise<void>
  /**
   * Keeps nothing for the group any more: its positions are gone, and a group of that name would be new. Nothing
   * happens where there is none. Fails with `GROUP_IN_USE`.
   */
  forget(group: string): Promise<void>
}

export type TopicSpec = {
  name: string
  partitions: number
  /** Settled records older than this may go. */
  retentionMs: number
}
export type TopicDescription = TopicSpec & { bounds: readonly { start: number; end: number }[] }
export type RecordPosition = { topic: string; partition: number; offset: number }
export type ResetPosition = { group: string; topic: string; partition: number; offset: number }
export type GroupPosition = {
  group: string
  topic: string
  partition: number
  position: number
  intended: number | undefined
}
export type NewRecord = {
  topic: string
  /** A fixed partition; otherwise murmur2 of the key, or any partition where the key is null. */
  partition?: number
  key: Buffer | string | null
  value: Buffer
  headers?: LogHeaders
  /** Defaults to the time of the append. */
  timestampMs?: number
}
export type LogRecord = {
  topic: string
  partition: number
  offset: number
  timestampMs: number
  key: Buffer | null
  value: Buffer
  headers: LogHeaders
}

export type ConsumeOptions = {
  group: string
  topics: readonly string[]
  /** Where a group begins that has no position yet. */
  start: 'earliest' | 'latest'
  /**
   * A name that outlives restarts, for logs that let a member keep its partitions while it is away (Kafka's
   * static membership). The embedded log hands partitions over within its process and ignores it.
   */
  instanceId?: string
  /** Ends the consumer: leases are revoked, iterations end. */
  signal: AbortSignal
}
export type ScanOptions = {
  topic: string
  partition: number
  from: number
  until?: number
  signal?: AbortSignal
}

export interface LogConsumer extends AsyncDisposable {
  /** Each partition as it is leased to this consumer. Ends when the consumer is closed. */
  leases(): AsyncIterable<PartitionLease>
}

export interface PartitionLease extends AsyncDisposable {
  readonly topic: string
  readonly partition: number
  /** The settled offset: where reading begins. */
  readonly position: number
  /** Set when reading begins after the settled offset because retention has deleted what was there. */
  readonly skippedTo: number | undefined
  /** The end of a batch that was intended and not settled: the next first batch ends exactly there. */
  readonly intended: number | undefined
  /**
   * How often `reset` has set this position: what is named by a range of offsets needs it in the name, since
   * after a reset the range is meant to be written anew. 0 where the log cannot tell.
   */
  readonly resets: number
  /** Aborts when the lease is revoked. The holder stops, then disposes the lease; only then it moves on. */
  readonly signal: AbortSignal
  /**
   * Batches from the settled position on. Iterating again starts again at the settled position: this is how
   * the unsettled is read again. Ends when the lease's signal or `options.signal` aborts.
   */
  batches(options: BatchOptions): AsyncIterable<LogBatch>
  /** Makes durable that the batch in hand ends at `until`, so that a crash re-reads exactly that range. */
  intend(until: number): Promise<void>
  /** Settles up to `offset` and appends `records`, both or neither. */
  commit(commit: { offset: number; records?: readonly NewRecord[] }): Promise<void>
}

export type BatchOptions = {
  recordsMax: number
  bytesMax: number
  /** How long after its first record a batch waits to fill. 0 takes what is there. */
  waitMs: number
  signal?: AbortSignal
}
/** Records of one partition. `until` is the next offset after the batch; offsets may have gaps. */
export type LogBatch = {
  topic: string
  partition: number
  from: number
  until: number
  records: readonly LogRecord[]
}
