/**
 * The embedded log: one write-ahead log for all topics, in segment files of one directory, owned by one
 * process. An append of many topics, or a commit with its records, is one frame of one file, and therefore
 * atomic; one fdatasync serves whatever arrived while the last one ran.
 *
 * - `files/` what is on disk: records, chunks, frames, segments, recovery, the lock.
 * - `state.ts` what the log knows. `writer.ts` changes it, after the disk has.
 * - `fetch.ts` reads. `groups/` leases partitions to consumers. `retention.ts` lets go of what nobody needs.
 * - `log-reader.ts` reads the same files from another thread or process.
 *
 * The format and the guarantees are told in docs/internals/log.md.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import type { Clock } from '../../../ports/clock.ts'
import type {
  ConsumeOptions,
  Log,
  LogRecord,
  NewRecord,
  RecordPosition,
  ResetPosition,
  TopicSpec,
} from '../../../ports/log.ts'
import type { Random } from '../../../ports/random.ts'
import { murmur2Partition } from '../../../std/murmur2.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import type { Metrics } from '../../../telemetry/metrics.ts'
import { RecentFrames } from './cache.ts'
import type { EmbeddedLogConfig } from './config.ts'
import { type FetchSource, findTime, readOne, scanPartition } from './fetch.ts'
import { type Disk, nodeDisk } from './files/disk.ts'
import type { PendingRecord } from './files/encode.ts'
import { FreeSpace } from './files/free-space.ts'
import { openLock } from './files/lock.ts'
import { recordHeadBytes } from './files/record.ts'
import { type Files, recover } from './files/recover.ts'
import { SegmentPool } from './files/segment.ts'
import { ConsumerGroup } from './groups/group.ts'
import { Registrations } from './groups/registrations.ts'
import { Retention } from './retention.ts'
import { type Meta, type Partition, State, type Topic } from './state.ts'
import { Writer } from './writer.ts'

export type EmbeddedLogDeps = {
  directory: string
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
  /** For tests of disk errors. */
  disk?: Disk
}

/** While appends are refused, the files are looked at again when a position has moved, or after this time. */
const recheckIntervalMs = 1000
const segmentsPerBudget = 8

/**
 * Opens or creates the log in `directory`. Fails with `LOG_LOCKED`, `LOG_CORRUPT` or `LOG_UNAVAILABLE`.
 */
export async function openEmbeddedLog(deps: EmbeddedLogDeps, given: EmbeddedLogConfig): Promise<Log> {
  // Only sealed segments can be deleted: a budget must hold several.
  const segmentBytes = Math.min(given.segmentBytes, Math.ceil(given.bytesMax / segmentsPerBudget))
  const config = { ...given, segmentBytes }
  const disk = deps.disk ?? nodeDisk
  await disk.makeDirectory(deps.directory)
  await using opening = new AsyncDisposableStack()
  opening.use(await openLock(deps.directory))
  for (const name of await disk.list(deps.directory))
    if (name.endsWith('.seg.new')) await disk.remove(join(deps.directory, name))
  const pool = new SegmentPool(config)
  const files: Files = { directory: deps.directory, disk, pool }
  const state = new State()
  opening.defer(async () => {
    for (const segment of state.segments) await segment.retire()
  })
  const found = await recover(state, files)
  const cache = new RecentFrames(config.cacheBytesMax)
  const writer = await Writer.open({ ...deps, files, state, cache }, config, found)
  opening.defer(() => writer.close())
  const retention = new Retention({ ...deps, files, state }, config)
  deps.metrics.set('log_bytes', state.totalBytes)
  deps.metrics.set('log_bytes_bound', config.bytesMax)
  const source = { disk, cache, readBytesMax: config.readBytesMax }
  const space = new FreeSpace({ ...deps, disk }, config)
  await space.look()
  return new EmbeddedLog({ ...deps, state, writer, retention, source, space, opened: opening.move() }, config)
}

type Parts = EmbeddedLogDeps & {
  state: State
  writer: Writer
  retention: Retention
  source: FetchSource
  space: FreeSpace
  opened: AsyncDisposableStack
}

class EmbeddedLog implements Log {
  readonly #parts: Parts
  readonly #config: EmbeddedLogConfig
  readonly #groups = new Map<string, ConsumerGroup>()
  readonly #registrations: Registrations
  readonly #closing = new AbortController()
  readonly #retaining: Promise<void>
  #closed: Promise<void> | undefined
  #hasSettledSinceCheck = true
  /** Size of the append that was refused last for want of room, until one like it would find some. */
  #refusedBytes: number | undefined
  #checkedAt = Number.NEGATIVE_INFINITY
  #defining: Promise<unknown> = Promise.resolve()

  constructor(parts: Parts, config: EmbeddedLogConfig) {
    this.#parts = parts
    this.#config = config
    this.#registrations = new Registrations(parts.state, parts.writer)
    this.#retaining = this.#retain()
  }

  ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    // One after the other, so that two callers cannot give the same id to two topics.
    const defined = this.#defining.then(() => this.#ensureTopics(specs))
    this.#defining = defined.catch(() => undefined)
    return defined
  }

  async #ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    const { state, writer } = this.#parts
    const topics: NonNullable<Meta['topics']> = []
    let nextId = state.nextTopicId()
    for (const { name, partitions, retentionMs } of specs) {
      assert(Number.isInteger(partitions) && partitions > 0, `topic ${name} has at least one partition`)
      const known = state.topics.get(name)
      if (known !== undefined && partitions < known.partitions.length)
        throw new RowmillError(
          'CONFIG_INVALID',
          `The topic ${name} has ${known.partitions.length} partitions and cannot have fewer: set ${known.partitions.length} or more.`,
        )
      const isSame = known?.partitions.length === partitions && known.retentionMs === retentionMs
      if (!isSame) topics.push([known?.id ?? nextId++, name, partitions, retentionMs])
    }
    if (topics.length === 0) return
    await writer.submit([], { topics })
    for (const group of this.#groups.values()) group.balance()
  }

  async describe() {
    return this.#parts.state.describe()
  }

  async append(records: readonly NewRecord[]): Promise<RecordPosition[]> {
    if (records.length === 0) return []
    const pending = this.#prepare(records)
    let bytes = 0
    for (const record of pending) bytes += record.bytes
    const { writer, space } = this.#parts
    space.freshen()
    if (!this.#hasRoom(bytes)) await this.#makeRoom(bytes)
    if (writer.queuedBytes > 0 && writer.queuedBytes + bytes > this.#config.appendQueueBytesMax) {
      this.#parts.metrics.count('log_refused_total', 1, { reason: 'queue_full' })
      throw new RowmillError('LOG_UNAVAILABLE', 'Too many bytes wait to be written to the log.')
    }
    await writer.submit(pending)
    return pending.map((record) => ({
      topic: record.partition.topic.name,
      partition: record.partition.index,
      offset: record.offset,
    }))
  }

  async checkRoom(): Promise<void> {
    if (this.#refusedBytes === undefined && !this.#parts.writer.isDiskFull) return
    const bytes = this.#refusedBytes ?? 0
    await this.#parts.space.look()
    if (!this.#hasRoom(bytes)) await this.#makeRoom(bytes)
    this.#refusedBytes = undefined
  }

  consume(options: ConsumeOptions) {
    const { state, source, clock } = this.#parts
    this.#registrations.assertFree(options.group)
    const topics = [...new Set(options.topics)].map((name) => state.topicOrThrow(name))
    let group = this.#groups.get(options.group)
    const ready = this.#registrations.register(options, topics)
    const known = state.groups.get(options.group)
    assert(known !== undefined, 'a group is known once it is registered')
    if (group === undefined) {
      const deps = {
        clock,
        source,
        prepare: (records: readonly NewRecord[]) => this.#prepare(records),
        submit: (records: readonly PendingRecord[], meta: Meta) => this.#commit(records, meta),
      }
      group = new ConsumerGroup(known, deps)
      this.#groups.set(options.group, group)
    }
    return group.join(topics, { ready, signal: options.signal })
  }

  async read(topic: string, partition: number, offset: number) {
    const { state, source } = this.#parts
    return await readOne(source, state.partitionOrThrow(topic, partition), offset)
  }

  scan(options: Parameters<Log['scan']>[0]): AsyncIterable<LogRecord[]> {
    const { state, source } = this.#parts
    return scanPartition(source, state.partitionOrThrow(options.topic, options.partition), options)
  }

  async offsetAt(topic: string, partition: number, timestampMs: number) {
    const { state, source } = this.#parts
    return await findTime(source, state.partitionOrThrow(topic, partition), timestampMs)
  }

  async positions(group?: string) {
    return this.#parts.state.positions(group)
  }

  async reset(position: ResetPosition): Promise<void> {
    await this.#registrations.reset(position, this.#hasReaders(position.group))
  }

  async forget(group: string): Promise<void> {
    await this.#registrations.forget(group, this.#hasReaders(group))
    this.#groups.delete(group)
    this.#hasSettledSinceCheck = true
  }

  #hasReaders(group: string): boolean {
    return this.#groups.get(group)?.isInUse === true
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    for (const group of this.#groups.values()) await group.close()
    await this.#retaining
    await this.#parts.opened.disposeAsync()
  }

  #prepare(records: readonly NewRecord[]): PendingRecord[] {
    const now = this.#parts.clock.now()
    let sticky: Map<Topic, number> | undefined
    const choose = (topic: Topic) => {
      sticky ??= new Map()
      const index = sticky.get(topic) ?? Math.floor(this.#parts.random.next() * topic.partitions.length)
      sticky.set(topic, index)
      return index
    }
    return records.map((record) => {
      const topic = this.#parts.state.topicOrThrow(record.topic)
      const key = typeof record.key === 'string' ? Buffer.from(record.key) : record.key
      const headers = record.headers === undefined ? '' : headersText(record.headers)
      const headersBytes = headers === '' ? 0 : Buffer.byteLength(headers)
      const bytes = recordHeadBytes + (key?.length ?? 0) + record.value.length + headersBytes
      if (bytes > this.#config.recordBytesMax)
        throw new RowmillError(
          'RECORD_TOO_LARGE',
          `A record of ${bytes} bytes is larger than the ${this.#config.recordBytesMax} that the log accepts.`,
        )
      const keyed =
        key === null || record.partition !== undefined
          ? undefined
          : murmur2Partition(key, topic.partitions.length)
      const partition = partitionOf(topic, record.partition ?? keyed ?? choose(topic))
      const timestampMs = record.timestampMs ?? now
      return { partition, key, value: record.value, headers, headersBytes, timestampMs, bytes, offset: -1 }
    })
  }

  async #commit(records: readonly PendingRecord[], meta: Meta): Promise<void> {
    let bytes = 0
    for (const record of records) bytes += record.bytes
    if (records.length > 0 && !this.#hasRoom(bytes, this.#config.bytesMax))
      await this.#makeRoom(bytes, this.#config.bytesMax)
    await this.#parts.writer.submit(records, meta)
    if (meta.settled !== undefined) this.#hasSettledSinceCheck = true
  }

  /** Without a bound it is asked for an append, which leaves room to commits. */
  #hasRoom(bytes: number, bound?: number): boolean {
    const { state, writer, space } = this.#parts
    const bytesMax = bound ?? (space.isShort ? 0 : this.#config.bytesMax * (1 - this.#config.reserveShare))
    return !writer.isDiskFull && state.totalBytes + writer.queuedBytes + bytes <= bytesMax
  }

  /** Deletes what may go. Fails with `LOG_FULL` if that is not enough. */
  async #makeRoom(bytes: number, bound?: number): Promise<void> {
    const { clock, writer, metrics, space } = this.#parts
    const now = clock.monotonic()
    if (this.#hasSettledSinceCheck || now - this.#checkedAt >= recheckIntervalMs) {
      this.#hasSettledSinceCheck = false
      this.#checkedAt = now
      await this.#free()
    }
    if (this.#hasRoom(bytes, bound)) return
    metrics.count('log_refused_total', 1, { reason: 'full' })
    if (bound === undefined) this.#refusedBytes = bytes
    throw new RowmillError(
      'LOG_FULL',
      writer.isDiskFull
        ? 'The disk that holds the log is full.'
        : space.isShort
          ? space.says
          : `The log holds ${this.#parts.state.totalBytes} of ${this.#config.bytesMax} bytes and none may be deleted.`,
    )
  }

  /** Whoever waits for room gets what the port tells of, and not what the file system said. */
  async #free(): Promise<void> {
    const { retention, writer, space } = this.#parts
    try {
      await retention.run({ isShort: true })
      if (writer.isDiskFull) await writer.makeReserve()
      await space.look()
    } catch (error) {
      if (isRowmillError(error)) throw error
      throw new RowmillError('LOG_UNAVAILABLE', 'No room could be made in the log.', { cause: error })
    }
  }

  async #retain(): Promise<void> {
    const { clock, retention, logger, writer, state } = this.#parts
    const { signal } = this.#closing
    while (!signal.aborted) {
      await clock.sleep(this.#config.retentionCheckIntervalMs, { signal })
      if (signal.aborted) return
      try {
        const room = this.#config.bytesMax * (1 - this.#config.reserveShare) - this.#config.segmentBytes
        await retention.run({ isShort: state.totalBytes > room })
        if (writer.isDiskFull) await writer.makeReserve()
      } catch (error) {
        logger.error({ error }, 'records that may go could not be deleted')
      }
    }
  }
}

function partitionOf(topic: Topic, index: number): Partition {
  const partition = topic.partitions[index]
  if (partition === undefined)
    throw new RowmillError('TOPIC_UNKNOWN', `The topic ${topic.name} has no partition ${index}.`)
  return partition
}

function headersText(headers: Readonly<Record<string, string | null>>): string {
  const text = JSON.stringify(headers)
  return text === '{}' ? '' : text
}
