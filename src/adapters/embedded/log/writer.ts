/**
 * The only one who writes. Whatever was submitted while the last write and fdatasync ran becomes one frame,
 * so that one fdatasync serves everybody, and each submission is whole or absent.
 *
 * Nothing is acknowledged, visible or counted before its frame is durable. After a failed write the file is
 * cut back to its last durable byte before anything else is written. When the disk is full, submissions with
 * records fail with `LOG_FULL` until there is room again; those that only settle use up a small reserve.
 */
import { join } from 'node:path'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { Random } from '../../../ports/random.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import type { Metrics } from '../../../telemetry/metrics.ts'
import type { RecentFrames } from './cache.ts'
import type { EmbeddedLogConfig } from './config.ts'
import { isDiskFullError } from './files/disk.ts'
import {
  type EncodedFrame,
  encodeFrame,
  type PendingRecord,
  planChunks,
  plannedSize,
} from './files/encode.ts'
import { type Files, type Recovered, segmentPath } from './files/recover.ts'
import { encodeSegmentHeader, Segment } from './files/segment.ts'
import { type Meta, type Partition, type State, wakeWaiters } from './state.ts'

export type WriterDeps = {
  files: Files
  state: State
  cache: RecentFrames
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
}

type Ticket = {
  records: readonly PendingRecord[]
  meta: Meta | undefined
  bytes: number
  resolve: () => void
  reject: (error: unknown) => void
}

type Active = { segment: Segment; fd: number; isDamaged: boolean }

const ticketOverheadBytes = 128

export class Writer {
  readonly #deps: WriterDeps
  readonly #config: EmbeddedLogConfig
  #queue: Ticket[] = []
  #queuedBytes = 0
  #active: Active | undefined
  #nextNumber: number
  #running: Promise<void> | undefined
  #isClosed = false
  #isDiskFull = false
  #hasReserve = false

  private constructor(deps: WriterDeps, config: EmbeddedLogConfig, nextNumber: number) {
    this.#deps = deps
    this.#config = config
    this.#nextNumber = nextNumber
  }

  /** Cuts off the torn tail, removes files that were never completed, and is ready to write. */
  static async open(deps: WriterDeps, config: EmbeddedLogConfig, found: Recovered): Promise<Writer> {
    const { disk, directory } = deps.files
    for (const path of found.unfinished) await disk.remove(path)
    const writer = new Writer(deps, config, found.nextNumber)
    if (found.open !== undefined) {
      const { segment, end } = found.open
      const fd = await disk.open(segment.path, 'r+')
      if (segment.size > end) {
        deps.logger.warn({ path: segment.path, from: end, bytes: segment.size - end }, 'cut off a torn tail')
        await disk.truncate(fd, end)
      }
      // What a killed process wrote may be readable and yet not durable: make it so before it is relied on.
      await disk.sync(fd)
      segment.size = end
      writer.#active = { segment, fd, isDamaged: false }
    }
    await disk.syncDirectory(directory)
    await writer.makeReserve()
    deps.metrics.set('queue_bound', config.appendQueueBytesMax, { queue: 'log_append_bytes' })
    return writer
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The disk itself has refused a write and has not yet shown that there is room again. */
  get isDiskFull(): boolean {
    return this.#isDiskFull
  }

  /** The segment that must not be deleted or rewritten. */
  get activeSegment(): Segment | undefined {
    return this.#active?.segment
  }

  /** Resolves when records and meta are durable and visible. The records have their offsets then. */
  submit(records: readonly PendingRecord[], meta?: Meta): Promise<void> {
    if (this.#isClosed) return Promise.reject(new RowmillError('LOG_UNAVAILABLE', 'The log is closed.'))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let bytes = ticketOverheadBytes
    for (const record of records) bytes += record.bytes
    this.#queue.push({ records, meta, bytes, resolve, reject })
    this.#queuedBytes += bytes
    this.#running ??= this.#run()
    return promise
  }

  /** Waits for what was submitted, then closes the file. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
    const active = this.#active
    this.#active = undefined
    if (active !== undefined) await this.#deps.files.disk.close(active.fd)
  }

  /** Sees whether the disk has room again, by putting the reserve back, or a file of its size for a moment. */
  async makeReserve(): Promise<void> {
    const { disk, directory } = this.#deps.files
    if (this.#config.diskReserveBytes === 0) {
      this.#isDiskFull = false
      return
    }
    const path = join(directory, this.#hasReserve ? 'reserve.trial' : 'reserve')
    let fd: number | undefined
    try {
      fd = await disk.open(path, 'w')
      await disk.write(fd, Buffer.alloc(this.#config.diskReserveBytes, 1), 0)
      await disk.sync(fd)
      this.#isDiskFull = false
      if (this.#hasReserve) await disk.remove(path)
      this.#hasReserve = true
    } catch (error) {
      this.#isDiskFull = true
      this.#deps.logger.warn({ error }, 'the disk has no room for the reserve of the log')
      await disk.remove(path)
    } finally {
      if (fd !== undefined) await disk.close(fd)
    }
  }

  async #run(): Promise<void> {
    // One turn of the event loop: what arrives together is written together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const tickets = this.#takeTickets()
      this.#deps.metrics.set('queue_depth', this.#queuedBytes, { queue: 'log_append_bytes' })
      try {
        await this.#write(tickets)
        for (const ticket of tickets) ticket.resolve()
      } catch (error) {
        await this.#failed(tickets, error)
      }
      for (const ticket of tickets) this.#queuedBytes -= ticket.bytes
    }
    this.#deps.metrics.set('queue_depth', this.#queuedBytes, { queue: 'log_append_bytes' })
    this.#running = undefined
  }

  #takeTickets(): Ticket[] {
    let bytes = 0
    let count = 0
    for (const ticket of this.#queue) {
      if (count > 0 && bytes + ticket.bytes > this.#config.frameBytesMax) break
      bytes += ticket.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #write(tickets: readonly Ticket[]): Promise<void> {
    const { files, clock, metrics } = this.#deps
    const plans = planChunks(
      tickets.flatMap((ticket) => ticket.records),
      this.#config.chunkBytesMax,
    )
    const meta = mergeMeta(tickets)
    const metaText = meta === undefined ? '' : JSON.stringify(meta)
    const active = await this.#prepare(plannedSize(plans, Buffer.byteLength(metaText)))
    const appendedMs = clock.now()
    const encoded = encodeFrame(plans, { meta: metaText, appendedMs, salt: active.segment.salt })
    const started = clock.monotonic()
    const position = active.segment.size
    active.isDamaged = true
    await files.disk.write(active.fd, encoded.frame, position)
    await files.disk.sync(active.fd)
    active.isDamaged = false
    metrics.observe('log_flush_seconds', (clock.monotonic() - started) / 1000)
    this.#publish(active.segment, encoded, { meta, appendedMs })
  }

  #publish(
    segment: Segment,
    encoded: EncodedFrame,
    what: { meta: Meta | undefined; appendedMs: number },
  ): void {
    const { state, cache, metrics } = this.#deps
    const position = segment.size
    segment.size += encoded.frame.length
    if (what.meta !== undefined) state.applyMeta(what.meta)
    let at = position + encoded.payloadAt
    let records = 0
    const grown = new Set<Partition>()
    for (const entry of encoded.entries) {
      grown.add(state.applyChunk(segment, entry, { position: at, appendedMs: what.appendedMs }))
      at += entry.length
      records += entry.count
    }
    if (encoded.entries.length > 0) cache.add(segment, position, encoded.frame)
    for (const partition of grown) wakeWaiters(partition)
    metrics.count('log_records_total', records)
    metrics.count('log_bytes_written_total', encoded.frame.length)
  }

  /** The segment to write `bytes` to: repaired after a failure, and not full. */
  async #prepare(bytes: number): Promise<Active> {
    const active = this.#active
    if (active === undefined) return await this.#createSegment()
    if (active.isDamaged) await this.#repair(active)
    const isFull = active.segment.size + bytes > this.#config.segmentBytes && active.segment.slices.size > 0
    if (!isFull) return active
    try {
      await this.#seal(active)
      return await this.#createSegment()
    } catch (error) {
      // A full disk must not keep a small settling commit from the room that the reserve has left.
      if (!isDiskFullError(error) || this.#active === undefined) throw error
      await this.#repair(active)
      return active
    }
  }

  /** Cuts the file back to its last durable byte. */
  async #repair(active: Active): Promise<void> {
    const { disk } = this.#deps.files
    await disk.truncate(active.fd, active.segment.size)
    await disk.sync(active.fd)
    active.isDamaged = false
  }

  async #seal(active: Active): Promise<void> {
    const { disk } = this.#deps.files
    const at = active.segment.size
    const index = active.segment.encodeIndex(this.#deps.clock.now())
    active.isDamaged = true
    await disk.write(active.fd, index, at)
    await disk.sync(active.fd)
    active.isDamaged = false
    this.#active = undefined
    await active.segment.sealed(at, index.length)
    await disk.close(active.fd)
  }

  async #createSegment(): Promise<Active> {
    const { files, random, state, clock } = this.#deps
    const number = this.#nextNumber
    const path = segmentPath(files, number)
    const salt = random.bytes(4).readUInt32LE(0)
    const meta = JSON.stringify(state.snapshot())
    const snapshot = encodeFrame([], { meta, appendedMs: clock.now(), salt })
    const bytes = Buffer.concat([encodeSegmentHeader(salt), snapshot.frame])
    const fd = await files.disk.open(path, 'w+')
    try {
      await files.disk.write(fd, bytes, 0)
      await files.disk.sync(fd)
      await files.disk.syncDirectory(files.directory)
    } catch (error) {
      await files.disk.close(fd)
      await files.disk.remove(path)
      throw error
    }
    const segment = new Segment({ number, path, salt, size: bytes.length }, files)
    this.#nextNumber++
    state.segments.push(segment)
    const active = { segment, fd, isDamaged: false }
    this.#active = active
    return active
  }

  async #failed(tickets: readonly Ticket[], error: unknown): Promise<void> {
    const isFull = isDiskFullError(error)
    this.#deps.logger.error({ error }, 'the log could not be written')
    const failure = isFull
      ? new RowmillError('LOG_FULL', 'The disk that holds the log is full.', { cause: error })
      : new RowmillError('LOG_UNAVAILABLE', 'The log could not be written.', { cause: error })
    const settling = isFull ? tickets.filter((ticket) => ticket.records.length === 0) : []
    for (const ticket of tickets) if (!settling.includes(ticket)) ticket.reject(failure)
    if (settling.length === 0) {
      this.#isDiskFull ||= isFull
      return
    }
    try {
      await this.#releaseReserve()
      await this.#write(settling)
      for (const ticket of settling) ticket.resolve()
    } catch (again) {
      for (const ticket of settling) ticket.reject(isRowmillError(again) ? again : failure)
    }
  }

  async #releaseReserve(): Promise<void> {
    const { disk, directory } = this.#deps.files
    this.#isDiskFull = true
    this.#hasReserve = false
    if (this.#active?.isDamaged === true) await this.#repair(this.#active)
    await disk.remove(join(directory, 'reserve'))
  }
}

function mergeMeta(tickets: readonly Ticket[]): Meta | undefined {
  let merged: Meta | undefined
  for (const { meta } of tickets) {
    if (meta === undefined) continue
    merged ??= { topics: [], groups: [], settled: [], intended: [], reset: [], forgotten: [] }
    merged.topics?.push(...(meta.topics ?? []))
    merged.groups?.push(...(meta.groups ?? []))
    merged.settled?.push(...(meta.settled ?? []))
    merged.intended?.push(...(meta.intended ?? []))
    merged.reset?.push(...(meta.reset ?? []))
    merged.forgotten?.push(...(meta.forgotten ?? []))
  }
  return merged
}
