/**
 * Opens a directory of segments: sealed ones by their index, the newest frame by frame with every checksum
 * verified. A torn tail of the newest was never acknowledged and is cut off by the owner; damage anywhere
 * else is `LOG_CORRUPT`, with the file and the byte.
 */
import { join } from 'node:path'
import type { Meta, State } from '../state.ts'
import { type Disk, diskErrorCode } from './disk.ts'
import { frameKind } from './frame.ts'
import { type ScannedFrame, scanFrames } from './scan.ts'
import { readSegmentHeader, Segment, type SegmentPool, segmentHeaderBytes } from './segment.ts'

export type Files = { directory: string; disk: Disk; pool: SegmentPool }

/** A file this large was more than a segment's beginning: if its header is unreadable, it is damaged. */
const beginningBytesMax = 16 * 1024 * 1024

export async function listSegments(files: Files): Promise<number[]> {
  const names = await files.disk.list(files.directory)
  return names
    .map((name) => /^(\d{12})\.seg$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

export function segmentPath(files: Files, number: number): string {
  return join(files.directory, `${String(number).padStart(12, '0')}.seg`)
}

/** The segment of a file, not yet read; undefined if the file's beginning was never completed. */
export async function openSegment(files: Files, number: number): Promise<Segment | undefined> {
  const path = segmentPath(files, number)
  const fd = await files.disk.open(path, 'r')
  try {
    const header = Buffer.alloc(segmentHeaderBytes)
    await files.disk.read(fd, header, 0)
    const salt = readSegmentHeader(header)
    const size = await files.disk.size(fd)
    const segment = new Segment({ number, path, salt: salt ?? 0, size }, files)
    if (salt === undefined && size > beginningBytesMax) throw segment.corrupt(0, 'its header is unreadable')
    return salt === undefined ? undefined : segment
  } finally {
    await files.disk.close(fd)
  }
}

export type ScannedSegment = {
  /** Where the last whole frame ended. */
  end: number
  frames: number
  index: { at: number; length: number } | undefined
}

/** Adds what stands in a segment from `from` on to the state. Fails with `LOG_CORRUPT`. */
export async function scanSegment(
  state: State,
  segment: Segment,
  options: { disk: Disk; from: number; size: number },
): Promise<ScannedSegment> {
  const found: ScannedSegment = { end: options.from, frames: 0, index: undefined }
  const scan = await segment.use((fd) =>
    scanFrames({ disk: options.disk, fd, salt: segment.salt, size: options.size }, options.from, (frame) => {
      found.frames++
      if (frame.head.kind === frameKind.index)
        found.index = { at: frame.position, length: frame.head.frameLength }
      else applyFrame(state, segment, frame)
    }),
  )
  found.end = scan.end
  if (scan.damageBefore !== undefined)
    throw segment.corrupt(scan.end, `no whole frame stands there, but one follows at ${scan.damageBefore}`)
  return found
}

function applyFrame(state: State, segment: Segment, frame: ScannedFrame): void {
  const { head } = frame
  if (head.meta !== '') {
    const meta: Meta = JSON.parse(head.meta)
    state.applyMeta(meta)
  }
  let position = frame.position + 16 + head.headLength
  for (const entry of head.entries) {
    state.applyChunk(segment, entry, { position, appendedMs: head.appendedMs })
    position += entry.length
  }
}

/** Makes the slices of a sealed segment readable. Its topics must be known. */
export function attachSlices(state: State, segment: Segment): void {
  for (const slice of segment.slices.values()) {
    const partition = state.partitionById(slice.topicId, slice.partition)
    if (partition.slices.includes(slice)) continue
    partition.slices.push(slice)
    partition.slices.sort((a, b) => a.base - b.base)
    partition.end = Math.max(partition.end, slice.end)
  }
}

/**
 * Fills `state` from the files. Returns where the newest segment's whole frames end; undefined if there is
 * no segment that can be written on. Changes nothing on disk.
 */
export async function recover(state: State, files: Files): Promise<Recovered> {
  const numbers = await listSegments(files)
  const unfinished: string[] = []
  const sealed: Segment[] = []
  let open: { segment: Segment; end: number } | undefined
  for (const [index, number] of numbers.entries()) {
    const isNewest = index === numbers.length - 1
    const segment = await openPresent(files, number)
    if (segment === 'gone') continue
    if (segment === undefined) {
      if (!isNewest) throw unreadable(files, number)
      unfinished.push(segmentPath(files, number))
      break
    }
    if (!isNewest && (await segment.readSeal())) {
      sealed.push(segment)
      continue
    }
    const scan = await scanSegment(state, segment, {
      disk: files.disk,
      from: segmentHeaderBytes,
      size: segment.size,
    })
    if (!isNewest && scan.end !== segment.size) throw segment.corrupt(scan.end, 'no whole frame stands there')
    segment.isSealed = !isNewest
    if (scan.index !== undefined) await segment.sealed(scan.index.at, scan.index.length)
    if (scan.frames === 0) {
      unfinished.push(segment.path)
      await segment.retire()
    } else if (scan.index === undefined && isNewest) open = { segment, end: scan.end }
    if (scan.frames > 0) state.segments.push(segment)
  }
  if (state.topics.size === 0 && sealed.length > 0) await readLastSnapshot(state, sealed, files)
  for (const segment of sealed) attachSlices(state, segment)
  state.segments = [...sealed, ...state.segments].sort((a, b) => a.number - b.number)
  return { open, unfinished, nextNumber: (numbers.at(-1) ?? 0) + 1 }
}

/** A reader may meet files that their owner has just deleted: they are no part of the log any more. */
async function openPresent(files: Files, number: number): Promise<Segment | undefined | 'gone'> {
  try {
    return await openSegment(files, number)
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return 'gone'
    throw error
  }
}

export type Recovered = {
  open: { segment: Segment; end: number } | undefined
  /** Files of which not even the beginning was completed. */
  unfinished: string[]
  nextNumber: number
}

/** The newest file was never completed: what the log knows stands in the sealed one before it. */
async function readLastSnapshot(state: State, sealed: Segment[], files: Files): Promise<void> {
  const last = sealed.pop()
  if (last === undefined) return
  const fresh = await openSegment(files, last.number)
  if (fresh === undefined) throw unreadable(files, last.number)
  const scan = await scanSegment(state, fresh, {
    disk: files.disk,
    from: segmentHeaderBytes,
    size: fresh.size,
  })
  if (scan.index !== undefined) await fresh.sealed(scan.index.at, scan.index.length)
  await last.retire()
  state.segments.push(fresh)
}

function unreadable(files: Files, number: number): Error {
  const path = segmentPath(files, number)
  return new Segment({ number, path, salt: 0, size: 0 }, files).corrupt(0, 'its header is unreadable')
}
