/**
 * Reads records. A cursor walks one partition forward and keeps the piece it stands in, so that small
 * batches out of a large chunk read the disk once. Newest records come from memory; others are read in
 * ranges of several chunks where they lie close together, and verified.
 */
import { crc32 } from 'node:zlib'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import type { LogRecord, ScanOptions } from '../../../ports/log.ts'
import type { RecentFrames } from './cache.ts'
import type { ChunkList, ChunkRow } from './files/chunk-list.ts'
import type { Disk } from './files/disk.ts'
import { recordAt, recordLengthAt } from './files/record.ts'
import { type Segment, SegmentGone, type Slice } from './files/segment.ts'
import { type Partition, startOf } from './state.ts'

export type FetchSource = {
  disk: Disk
  cache: RecentFrames | undefined
  readBytesMax: number
  /**
   * Looks at the files again after one was found gone, and answers the partition as it is known now; absent
   * where the index is always right.
   */
  refresh?: (partition: Partition, gone: SegmentGone) => Promise<Partition>
}

export type TakeLimits = { recordsMax: number; bytesMax: number; until: number }

/** Other chunks between two of a partition are read and skipped up to this many bytes. */
const gapBytesMax = 32 * 1024
const attemptsMax = 5
const scanRecordsMax = 10_000

type OpenChunk = { payload: Buffer; at: number; end: number }

export class Cursor {
  readonly #source: FetchSource
  #partition: Partition
  #offset: number
  #chunk: OpenChunk | undefined
  #block: { segment: Segment; position: number; bytes: Buffer } | undefined

  constructor(source: FetchSource, partition: Partition, offset: number) {
    this.#source = source
    this.#partition = partition
    this.#offset = offset
  }

  /** The offset of the next record; after a gap it moves when the record is taken. */
  get offset(): number {
    return this.#offset
  }

  /** What is there up to the limits, without waiting; at least one record if there is one below `until`. */
  async take(limits: TakeLimits): Promise<LogRecord[]> {
    const records: LogRecord[] = []
    let bytes = 0
    const until = Math.min(limits.until, this.#partition.end)
    const place = { topic: this.#partition.topic.name, partition: this.#partition.index, offset: 0 }
    while (this.#offset < until && records.length < limits.recordsMax) {
      const chunk =
        this.#chunk ?? (await this.#openChunk(Math.min(limits.bytesMax, this.#source.readBytesMax)))
      if (chunk === undefined) break
      while (this.#offset < Math.min(chunk.end, until) && records.length < limits.recordsMax) {
        const length = recordLengthAt(chunk.payload, chunk.at)
        if (records.length > 0 && bytes + length > limits.bytesMax) return records
        place.offset = this.#offset
        records.push(recordAt(chunk.payload, chunk.at, place))
        bytes += length
        chunk.at += length
        this.#offset++
      }
      if (this.#offset >= chunk.end) this.#chunk = undefined
    }
    return records
  }

  /** Opens the chunk of the next record and moves over gaps; undefined at the end. */
  async #openChunk(bytesWanted: number): Promise<OpenChunk | undefined> {
    const patience = new Patience()
    for (;;) {
      try {
        const slice = sliceAt(this.#partition, this.#offset)
        if (slice === undefined) return undefined
        const { segment } = slice
        const list = await segment.chunks(slice.topicId, slice.partition)
        const offset = Math.max(this.#offset, slice.base)
        const index = chunkIndexAt(list, offset)
        const row = list.at(index)
        const payload = await this.#readPayload(segment, { list, index, row, bytesWanted })
        this.#offset = Math.max(offset, row.base)
        this.#chunk = { payload, at: skipTo(payload, this.#offset - row.base), end: row.base + row.count }
        return this.#chunk
      } catch (error) {
        const gone = patience.goneOrThrow(error)
        this.#partition = (await this.#source.refresh?.(this.#partition, gone)) ?? this.#partition
      }
    }
  }

  async #readPayload(
    segment: Segment,
    wanted: { list: ChunkList; index: number; row: ChunkRow; bytesWanted: number },
  ): Promise<Buffer> {
    const { row } = wanted
    const cached = this.#source.cache?.get(segment, row.position, row.length)
    if (cached !== undefined) return cached
    const held = this.#block
    const isHeld =
      held?.segment === segment &&
      row.position >= held.position &&
      row.position + row.length <= held.position + held.bytes.length
    const block = isHeld ? held : await this.#readBlock(segment, wanted)
    this.#block = block
    const at = row.position - block.position
    const payload = block.bytes.subarray(at, at + row.length)
    if (crc32(payload) !== row.checksum)
      throw segment.corrupt(row.position, 'a chunk does not match its checksum')
    return payload
  }

  async #readBlock(
    segment: Segment,
    wanted: { list: ChunkList; index: number; row: ChunkRow; bytesWanted: number },
  ): Promise<{ segment: Segment; position: number; bytes: Buffer }> {
    const position = wanted.row.position
    let end = position + wanted.row.length
    for (let index = wanted.index + 1; index < wanted.list.length; index++) {
      const next = wanted.list.at(index)
      if (next.position - end > gapBytesMax || next.position + next.length - position > wanted.bytesWanted)
        break
      end = next.position + next.length
    }
    const bytes = Buffer.allocUnsafeSlow(end - position)
    const got = await segment.use((fd) => this.#source.disk.read(fd, bytes, position))
    if (got < bytes.length) throw segment.corrupt(position + got, 'the file ends inside a chunk')
    return { segment, position, bytes }
  }
}

/** The slice that holds the first record at or after `offset`. */
function sliceAt(partition: Partition, offset: number): Slice | undefined {
  const { slices } = partition
  let low = 0
  let high = slices.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((slices[middle]?.end ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return slices[low]
}

function chunkIndexAt(list: ChunkList, offset: number): number {
  const index = Math.max(0, list.find(offset))
  const row = list.at(index)
  return offset < row.base + row.count ? index : index + 1
}

function skipTo(payload: Buffer, records: number): number {
  let at = 0
  for (let skipped = 0; skipped < records; skipped++) at += recordLengthAt(payload, at)
  return at
}

/** A segment that is gone is looked for again some times; retention may be a step ahead of a reader. */
class Patience {
  #number = -1
  #attempts = 0

  goneOrThrow(error: unknown): SegmentGone {
    if (!(error instanceof SegmentGone)) throw readFailure(error)
    this.#attempts = error.number === this.#number ? this.#attempts + 1 : 1
    this.#number = error.number
    if (this.#attempts > attemptsMax) throw readFailure(error)
    return error
  }
}

function readFailure(error: unknown): unknown {
  if (isRowmillError(error)) return error
  if (error instanceof Error && ('syscall' in error || error instanceof SegmentGone))
    return new RowmillError('LOG_UNAVAILABLE', 'A segment of the log could not be read.', { cause: error })
  return error
}

/** One record, or undefined if it was deleted or is not there yet. */
export async function readOne(
  source: FetchSource,
  partition: Partition,
  offset: number,
): Promise<LogRecord | undefined> {
  if (offset < startOf(partition) || offset >= partition.end) return undefined
  const cursor = new Cursor(source, partition, offset)
  const [record] = await cursor.take({ recordsMax: 1, bytesMax: 1, until: offset + 1 })
  return record?.offset === offset ? record : undefined
}

/** The first offset whose record's time is at or after `timestampMs`; the end if there is none. */
export async function findTime(source: FetchSource, given: Partition, timestampMs: number): Promise<number> {
  let partition = given
  const patience = new Patience()
  for (;;) {
    try {
      return await findTimeOnce(source, partition, timestampMs)
    } catch (error) {
      const gone = patience.goneOrThrow(error)
      partition = (await source.refresh?.(partition, gone)) ?? partition
    }
  }
}

async function findTimeOnce(source: FetchSource, partition: Partition, timestampMs: number): Promise<number> {
  for (const slice of [...partition.slices]) {
    const list = await slice.segment.chunks(slice.topicId, slice.partition)
    const row = list.findTime(timestampMs)
    if (row === undefined) continue
    const cursor = new Cursor(source, partition, row.base)
    const until = row.base + row.count
    const records = await cursor.take({ recordsMax: row.count, bytesMax: Number.POSITIVE_INFINITY, until })
    const found = records.find((record) => record.timestampMs >= timestampMs)
    if (found !== undefined) return found.offset
  }
  return partition.end
}

/** Records from `from` on up to `until`, or to the end at the time of the call, in pieces of about one read. */
export async function* scanPartition(
  source: FetchSource,
  partition: Partition,
  options: ScanOptions,
): AsyncGenerator<LogRecord[]> {
  const until = Math.min(options.until ?? partition.end, partition.end)
  const cursor = new Cursor(source, partition, options.from)
  const limits = { recordsMax: scanRecordsMax, bytesMax: source.readBytesMax, until }
  while (options.signal?.aborted !== true) {
    const records = await cursor.take(limits)
    if (records.length === 0) return
    yield records
  }
}
