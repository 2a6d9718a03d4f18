/**
 * Reads the log of a directory that another thread or process may own and be writing. Each call looks at
 * the files again first, so it sees what was appended until then; segments that were deleted or rewritten
 * meanwhile are noticed when they are met. It writes nothing and takes no lock.
 *
 * A reader may see a record some milliseconds before its append is acknowledged. If that append then fails
 * because the disk did, the reader forgets the record again.
 */
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import type { GroupPosition, LogRecord, ScanOptions, TopicDescription } from '../../../ports/log.ts'
import { type FetchSource, findTime, readOne, scanPartition } from './fetch.ts'
import { diskErrorCode, nodeDisk } from './files/disk.ts'
import { attachSlices, type Files, listSegments, openSegment, recover, scanSegment } from './files/recover.ts'
import { type Segment, SegmentGone, SegmentPool, segmentHeaderBytes } from './files/segment.ts'
import { type Partition, State } from './state.ts'

/** The part of the log port that needs no ownership. */
export interface LogReader extends AsyncDisposable {
  describe(): Promise<TopicDescription[]>
  read(topic: string, partition: number, offset: number): Promise<LogRecord | undefined>
  scan(options: ScanOptions): AsyncIterable<LogRecord[]>
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>
  positions(group?: string): Promise<GroupPosition[]>
}

export type LogReaderOptions = { directory: string; readBytesMax?: number; openFilesMax?: number }

const rebuildsMax = 20

/** Opens a directory to read. One that does not exist is an empty log. Fails with `LOG_CORRUPT` or `LOG_UNAVAILABLE`. */
export async function openLogReader(options: LogReaderOptions): Promise<LogReader> {
  const view = new FileView(options.directory, options.openFilesMax ?? 16)
  const source: FetchSource = {
    disk: nodeDisk,
    cache: undefined,
    readBytesMax: options.readBytesMax ?? 1024 * 1024,
    async refresh({ topic, index }, gone) {
      await view.refreshReplaced(gone.number)
      return view.state.partitionOrThrow(topic.name, index)
    },
  }
  await view.refresh()
  const partitionNow = async (topic: string, partition: number): Promise<Partition> => {
    await view.refresh()
    return view.state.partitionOrThrow(topic, partition)
  }
  return {
    async describe() {
      await view.refresh()
      return view.state.describe()
    },
    async read(topic, partition, offset) {
      return await readOne(source, await partitionNow(topic, partition), offset)
    },
    async *scan(scan) {
      yield* scanPartition(source, await partitionNow(scan.topic, scan.partition), scan)
    },
    async offsetAt(topic, partition, timestampMs) {
      return await findTime(source, await partitionNow(topic, partition), timestampMs)
    },
    async positions(group) {
      await view.refresh()
      return view.state.positions(group)
    },
    [Symbol.asyncDispose]: () => view.close(),
  }
}

class FileView {
  state = new State()
  readonly #files: Files
  /** The newest segment, and up to where it was read. */
  #newest: { segment: Segment; end: number } | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isFilled = false

  constructor(directory: string, openFilesMax: number) {
    const pool = new SegmentPool({ openFilesMax, indexCacheBytesMax: 16 * 1024 * 1024 })
    this.#files = { directory, disk: nodeDisk, pool }
  }

  refresh(): Promise<void> {
    return this.#inTurn(() => this.#refreshOrRebuild())
  }

  /** Finds out whether a segment was deleted or replaced by a rewritten file. */
  refreshReplaced(number: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#refreshOrRebuild()
      const segment = this.state.segments.find((each) => each.number === number)
      if (segment?.isSealed === true) await this.#refreshSealed(segment)
    })
  }

  async close(): Promise<void> {
    await this.#inTurn(() => this.#forgetAll())
  }

  /** One look at a time. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #refreshOrRebuild(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#isFilled) await this.#follow()
        else await this.#fill()
        return
      } catch (error) {
        const mayHaveMoved =
          error instanceof SegmentGone ||
          diskErrorCode(error) === 'ENOENT' ||
          isRowmillError(error, 'LOG_CORRUPT')
        if (!mayHaveMoved) throw error
        if (attempt === rebuildsMax)
          throw isRowmillError(error)
            ? error
            : new RowmillError('LOG_UNAVAILABLE', 'The files of the log change too fast to be read.', {
                cause: error,
              })
        // The owner deleted, replaced or cut a file while it was read: begin again.
        await this.#forgetAll()
      }
    }
  }

  async #fill(): Promise<void> {
    let found: Awaited<ReturnType<typeof recover>>
    try {
      found = await recover(this.state, this.#files)
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT' && this.state.segments.length === 0) {
        const isThere = (await listOrNothing(this.#files)).length > 0
        if (!isThere) return
      }
      throw error
    }
    this.#newest = found.open
    this.#isFilled = this.state.segments.length > 0
  }

  async #follow(): Promise<void> {
    const numbers = await listSegments(this.#files)
    const present = new Set(numbers)
    for (const segment of [...this.state.segments])
      if (!present.has(segment.number)) await this.#drop(segment)
    await this.#readTail()
    const known = this.state.segments.at(-1)?.number ?? -1
    for (const number of numbers) {
      if (number <= known) continue
      // Until the one before is sealed, what is newer is only about to begin.
      if (this.#newest !== undefined) await this.#readTail()
      if (this.#newest !== undefined) return
      const segment = await openSegment(this.#files, number)
      if (segment === undefined) return
      const from = segmentHeaderBytes
      const scan = await scanSegment(this.state, segment, { disk: nodeDisk, from, size: segment.size })
      if (scan.frames === 0) {
        await segment.retire()
        return
      }
      this.state.segments.push(segment)
      this.#newest = { segment, end: scan.end }
      if (scan.index !== undefined) await this.#sealNewest(scan.index)
    }
  }

  async #readTail(): Promise<void> {
    const newest = this.#newest
    if (newest === undefined) return
    const { segment } = newest
    const size = await segment.use((fd) => nodeDisk.size(fd))
    if (size < newest.end) throw segment.corrupt(size, 'it is shorter than it was')
    if (size === newest.end) return
    const scan = await scanSegment(this.state, segment, { disk: nodeDisk, from: newest.end, size })
    newest.end = scan.end
    segment.size = scan.end
    if (scan.index !== undefined) await this.#sealNewest(scan.index)
  }

  async #sealNewest(index: { at: number; length: number }): Promise<void> {
    await this.#newest?.segment.sealed(index.at, index.length)
    this.#newest = undefined
  }

  async #refreshSealed(segment: Segment): Promise<void> {
    try {
      const now = await openSegment(this.#files, segment.number)
      if (now === undefined || now.salt === segment.salt) return
      if (!(await now.readSeal())) throw now.corrupt(now.size, 'it has no index')
      await this.#drop(segment)
      this.state.segments = [...this.state.segments, now].sort((a, b) => a.number - b.number)
      attachSlices(this.state, now)
    } catch (error) {
      // Deleted meanwhile, or replaced once more: who asked finds out by asking again.
      if (diskErrorCode(error) === 'ENOENT') await this.#drop(segment)
      else if (!(error instanceof SegmentGone)) throw error
    }
  }

  async #drop(segment: Segment): Promise<void> {
    this.state.segments = this.state.segments.filter((other) => other !== segment)
    for (const slice of segment.slices.values()) {
      const partition = this.state.partitionById(slice.topicId, slice.partition)
      partition.slices = partition.slices.filter((other) => other !== slice)
    }
    if (this.#newest?.segment === segment) this.#newest = undefined
    await segment.retire()
  }

  async #forgetAll(): Promise<void> {
    for (const segment of this.state.segments) await segment.retire()
    this.state = new State()
    this.#newest = undefined
    this.#isFilled = false
  }
}

async function listOrNothing(files: Files): Promise<number[]> {
  try {
    return await listSegments(files)
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return []
    throw error
  }
}
