/**
 * A segment is one file of the log: a header, frames, and, once it is sealed, an index frame that ends the
 * file. Only the newest segment is written to. A sealed one changes no more; it may be deleted, or replaced
 * by a file of the same name that has its living chunks only. The salt in the header tells one from the other.
 */
import { crc32 } from 'node:zlib'
import { RowmillError } from '../../../../errors/rowmill-error.ts'
import { ChunkList, chunkRowBytes } from './chunk-list.ts'
import { type Disk, diskErrorCode } from './disk.ts'
import { frameKind, frameSize, payloadStart, readHead, sealFrame } from './frame.ts'

export const segmentHeaderBytes = 16
const segmentMagic = 'RWLOG001'
const indexMagic = 0x49445852
const indexTailBytes = 8
/** Stands where a topic id would in an index frame. */
const indexTopicId = 0xffffffff

/** What one partition has in one segment. */
export type Slice = {
  segment: Segment
  topicId: number
  partition: number
  base: number
  end: number
  bytes: number
  /** When the last of it was appended. */
  appendedMs: number
}

export function sliceKey(topicId: number, partition: number): number {
  return topicId * 0x1000000 + partition
}

/** The file is no longer what the caller's index describes: deleted or replaced. Look again. */
export class SegmentGone extends Error {
  override readonly name = 'SegmentGone'
  readonly number: number

  constructor(number: number, options?: ErrorOptions) {
    super(`Segment ${number} of the log is gone.`, options)
    this.number = number
  }
}

export function segmentName(number: number): string {
  return `${String(number).padStart(12, '0')}.seg`
}

export function encodeSegmentHeader(salt: number): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes)
  header.write(segmentMagic, 'latin1')
  header.writeUInt32LE(salt, 8)
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12)
  return header
}

/** The salt, or undefined if these bytes are no whole header. */
export function readSegmentHeader(bytes: Buffer): number | undefined {
  if (bytes.length < segmentHeaderBytes || bytes.toString('latin1', 0, 8) !== segmentMagic) return undefined
  if (crc32(bytes.subarray(0, 12)) !== bytes.readUInt32LE(12)) return undefined
  return bytes.readUInt32LE(8)
}

/** Bounds how many sealed segments keep their file open and their index in memory; oldest use goes first. */
export class SegmentPool {
  readonly #limits: { openFilesMax: number; indexCacheBytesMax: number }
  readonly #open = new Set<Segment>()
  readonly #indexed = new Set<Segment>()
  #indexBytes = 0

  constructor(limits: { openFilesMax: number; indexCacheBytesMax: number }) {
    this.#limits = limits
  }

  async opened(segment: Segment): Promise<void> {
    this.#open.delete(segment)
    this.#open.add(segment)
    if (this.#open.size <= this.#limits.openFilesMax) return
    for (const oldest of this.#open) {
      if (!(await oldest.closeIfIdle())) continue
      this.#open.delete(oldest)
      if (this.#open.size <= this.#limits.openFilesMax) return
    }
  }

  indexed(segment: Segment, bytes: number): void {
    this.#indexed.add(segment)
    this.#indexBytes += bytes
    for (const oldest of this.#indexed) {
      if (this.#indexBytes <= this.#limits.indexCacheBytesMax) return
      if (oldest !== segment) this.forgetIndex(oldest)
    }
  }

  used(segment: Segment): void {
    if (!this.#indexed.delete(segment)) return
    this.#indexed.add(segment)
  }

  forgetIndex(segment: Segment): void {
    if (!this.#indexed.delete(segment)) return
    this.#indexBytes -= segment.dropIndex()
  }

  forget(segment: Segment): void {
    this.#open.delete(segment)
    this.forgetIndex(segment)
  }
}

export class Segment {
  readonly number: number
  readonly path: string
  readonly salt: number
  readonly slices = new Map<number, Slice>()
  /** Bytes of the file that count. */
  size: number
  isSealed = false
  readonly #disk: Disk
  readonly #pool: SegmentPool
  #lists: Map<number, ChunkList> | undefined
  #loading: Promise<Map<number, ChunkList>> | undefined
  #index: { at: number; length: number; counts: [number, number][] } | undefined
  #fd: Promise<number> | undefined
  #users = 0
  #isRetired = false

  constructor(
    file: { number: number; path: string; salt: number; size: number },
    deps: { disk: Disk; pool: SegmentPool },
  ) {
    this.number = file.number
    this.path = file.path
    this.salt = file.salt
    this.size = file.size
    this.#disk = deps.disk
    this.#pool = deps.pool
    this.#lists = new Map()
  }

  /** Notes a chunk of the newest segment. */
  addChunk(
    key: { topicId: number; partition: number },
    row: Parameters<ChunkList['push']>[0],
    appendedMs: number,
  ): Slice {
    const at = sliceKey(key.topicId, key.partition)
    let list = this.#lists?.get(at)
    if (list === undefined) {
      list = new ChunkList()
      this.#lists?.set(at, list)
    }
    list.push(row)
    let slice = this.slices.get(at)
    if (slice === undefined) {
      slice = { ...key, segment: this, base: row.base, end: row.base, bytes: 0, appendedMs }
      this.slices.set(at, slice)
    }
    slice.end = row.base + row.count
    slice.bytes += row.length
    slice.appendedMs = appendedMs
    return slice
  }

  /** The chunks of one partition. Fails with `SegmentGone`. */
  async chunks(topicId: number, partition: number): Promise<ChunkList> {
    const lists = this.#lists ?? (await this.#loadIndexOnce())
    this.#pool.used(this)
    return lists.get(sliceKey(topicId, partition)) ?? new ChunkList()
  }

  async #loadIndexOnce(): Promise<Map<number, ChunkList>> {
    this.#loading ??= this.#loadIndex()
    try {
      return await this.#loading
    } finally {
      this.#loading = undefined
    }
  }

  /** Runs `work` with the open file. Fails with `SegmentGone` if the file is another one now. */
  async use<T>(work: (fd: number) => Promise<T>): Promise<T> {
    this.#users++
    try {
      if (this.#isRetired && this.#fd === undefined) throw new SegmentGone(this.number)
      this.#fd ??= this.#open()
      const fd = await this.#fd
      return await work(fd)
    } finally {
      this.#users--
      if (this.#isRetired && this.#users === 0) await this.#close()
    }
  }

  /** Closes the file once nobody reads it. The segment is used no more. */
  async retire(): Promise<void> {
    this.#isRetired = true
    this.#pool.forget(this)
    if (this.#users === 0) await this.#close()
  }

  async closeIfIdle(): Promise<boolean> {
    if (this.#users > 0 || !this.isSealed) return false
    await this.#close()
    return true
  }

  /** The index frame that seals this segment. */
  encodeIndex(appendedMs: number): Buffer {
    const slices = [...this.slices.values()]
    const lists = slices.map((slice) => this.#lists?.get(sliceKey(slice.topicId, slice.partition)))
    const rows = lists.reduce((total, list) => total + (list?.length ?? 0), 0)
    const meta = JSON.stringify(
      slices.map((slice, index) => [
        slice.topicId,
        slice.partition,
        slice.base,
        slice.end,
        slice.bytes,
        slice.appendedMs,
        lists[index]?.length ?? 0,
      ]),
    )
    const metaBytes = Buffer.byteLength(meta)
    const length = rows * chunkRowBytes + indexTailBytes
    const frame = Buffer.alloc(frameSize({ chunks: 1, metaBytes, payloadBytes: length }))
    let at = payloadStart(1, metaBytes)
    const start = at
    for (const list of lists) at = list?.encodeInto(frame, at) ?? at
    frame.writeUInt32LE(frame.length, at)
    frame.writeUInt32LE(indexMagic, at + 4)
    const checksum = crc32(frame.subarray(start))
    const entry = {
      topicId: indexTopicId,
      partition: 0,
      base: 0,
      count: rows,
      length,
      checksum,
      maxTimestampMs: 0,
    }
    sealFrame(frame, { kind: frameKind.index, appendedMs, entries: [entry], meta }, this.salt)
    return frame
  }

  /** Reads the summary at the end of a sealed file; false if there is none. The chunks are read when asked for. */
  async readSeal(): Promise<boolean> {
    return await this.use(async (fd) => {
      const tail = Buffer.alloc(indexTailBytes)
      if (this.size < segmentHeaderBytes + indexTailBytes) return false
      await this.#disk.read(fd, tail, this.size - indexTailBytes)
      const length = tail.readUInt32LE(0)
      if (tail.readUInt32LE(4) !== indexMagic || length > this.size - segmentHeaderBytes) return false
      const at = this.size - length
      const frame = Buffer.allocUnsafe(length)
      await this.#disk.read(fd, frame, at)
      const head = readHead(frame, 0, this.salt)
      if (head?.kind !== frameKind.index) return false
      this.#applySummary(head.meta, at, length)
      return true
    })
  }

  #applySummary(meta: string, at: number, length: number): void {
    const rows: [number, number, number, number, number, number, number][] = JSON.parse(meta)
    const counts: [number, number][] = []
    this.slices.clear()
    for (const [topicId, partition, base, end, bytes, appendedMs, chunks] of rows) {
      const key = sliceKey(topicId, partition)
      this.slices.set(key, { segment: this, topicId, partition, base, end, bytes, appendedMs })
      counts.push([key, chunks])
    }
    this.#index = { at, length, counts }
    this.#lists = undefined
    this.isSealed = true
  }

  /** After the index frame was written: the chunks in memory are now a cache. */
  async sealed(at: number, length: number): Promise<void> {
    const counts = [...(this.#lists ?? [])].map(([key, list]): [number, number] => [key, list.length])
    this.#index = { at, length, counts }
    this.size = at + length
    this.isSealed = true
    this.#pool.indexed(this, this.#listBytes())
    await this.#pool.opened(this)
  }

  dropIndex(): number {
    const bytes = this.#listBytes()
    if (this.#index !== undefined) this.#lists = undefined
    return bytes
  }

  #listBytes(): number {
    let bytes = 0
    for (const list of this.#lists?.values() ?? []) bytes += list.memoryBytes
    return bytes
  }

  async #loadIndex(): Promise<Map<number, ChunkList>> {
    const index = this.#index
    if (index === undefined) throw this.corrupt(this.size, 'it has no index')
    const frame = Buffer.allocUnsafe(index.length)
    await this.use((fd) => this.#disk.read(fd, frame, index.at))
    const head = readHead(frame, 0, this.salt)
    const entry = head?.entries[0]
    if (head === undefined || entry === undefined) throw this.corrupt(index.at, 'its index is damaged')
    let at = head.headLength + 16
    if (crc32(frame.subarray(at, at + entry.length)) !== entry.checksum)
      throw this.corrupt(index.at, 'its index is damaged')
    const lists = new Map<number, ChunkList>()
    for (const [key, count] of index.counts) {
      lists.set(key, ChunkList.decode(frame, at, count))
      at += count * chunkRowBytes
    }
    this.#lists = lists
    this.#pool.indexed(this, this.#listBytes())
    return lists
  }

  corrupt(position: number, why: string): RowmillError {
    return new RowmillError('LOG_CORRUPT', `${this.path} is damaged at byte ${position}: ${why}.`)
  }

  async #open(): Promise<number> {
    let fd: number
    try {
      fd = await this.#disk.open(this.path, 'r')
    } catch (error) {
      this.#fd = undefined
      if (diskErrorCode(error) === 'ENOENT') throw new SegmentGone(this.number, { cause: error })
      throw new RowmillError('LOG_UNAVAILABLE', `${this.path} could not be opened.`, { cause: error })
    }
    try {
      const header = Buffer.alloc(segmentHeaderBytes)
      await this.#disk.read(fd, header, 0)
      if (readSegmentHeader(header) !== this.salt) throw new SegmentGone(this.number)
    } catch (error) {
      this.#fd = undefined
      await this.#disk.close(fd)
      throw error
    }
    await this.#pool.opened(this)
    return fd
  }

  async #close(): Promise<void> {
    const opened = this.#fd
    this.#fd = undefined
    if (opened === undefined) return
    await this.#disk.close(await opened)
  }
}
