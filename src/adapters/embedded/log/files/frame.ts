/**
 * A frame is one atomic write: all of it counts, or nothing.
 *
 *     magic u32 · frame length u32 · head length u32 · head checksum u32 · head · chunk payloads
 *     head = kind u32 · chunk count u32 · appended at f64 · meta length u32 · chunk entries · meta (JSON)
 *     entry = topic id u32 · partition u32 · base f64 · count u32 · length u32 · checksum u32 · max time f64
 *
 * Each byte is checksummed once (crc32): the head with the lengths before it, each payload on its own, so
 * that one chunk can be verified without its neighbours. The head's checksum begins from the segment's
 * salt: bytes inside a record can therefore never pass for a frame of their own.
 */
import { crc32 } from 'node:zlib'

export const frameMagic = 0x31465752
export const frameStartBytes = 16
export const frameKind = { data: 0, index: 1 } as const
const headStartBytes = 20
export const entryBytes = 36

export type ChunkEntry = {
  topicId: number
  partition: number
  base: number
  count: number
  length: number
  checksum: number
  maxTimestampMs: number
}

export type FrameHead = {
  kind: number
  appendedMs: number
  entries: ChunkEntry[]
  /** JSON text, empty if there is none. */
  meta: string
  headLength: number
  frameLength: number
}

export function frameSize(sizes: { chunks: number; metaBytes: number; payloadBytes: number }): number {
  return frameStartBytes + headStartBytes + sizes.chunks * entryBytes + sizes.metaBytes + sizes.payloadBytes
}

/** Where the payloads begin in a frame of so many chunks. */
export function payloadStart(chunks: number, metaBytes: number): number {
  return frameStartBytes + headStartBytes + chunks * entryBytes + metaBytes
}

/** Fills in all that stands before the payloads, which must be in place and checksummed in `entries`. */
export function sealFrame(
  frame: Buffer,
  head: { kind: number; appendedMs: number; entries: readonly ChunkEntry[]; meta: string },
  salt: number,
): void {
  const metaBytes = Buffer.byteLength(head.meta)
  const headLength = headStartBytes + head.entries.length * entryBytes + metaBytes
  frame.writeUInt32LE(frameMagic, 0)
  frame.writeUInt32LE(frame.length, 4)
  frame.writeUInt32LE(headLength, 8)
  frame.writeUInt32LE(head.kind, 16)
  frame.writeUInt32LE(head.entries.length, 20)
  frame.writeDoubleLE(head.appendedMs, 24)
  frame.writeUInt32LE(metaBytes, 32)
  let at = frameStartBytes + headStartBytes
  for (const entry of head.entries) {
    frame.writeUInt32LE(entry.topicId, at)
    frame.writeUInt32LE(entry.partition, at + 4)
    frame.writeDoubleLE(entry.base, at + 8)
    frame.writeUInt32LE(entry.count, at + 16)
    frame.writeUInt32LE(entry.length, at + 20)
    frame.writeUInt32LE(entry.checksum, at + 24)
    frame.writeDoubleLE(entry.maxTimestampMs, at + 28)
    at += entryBytes
  }
  frame.write(head.meta, at, 'utf8')
  frame.writeUInt32LE(headChecksum(frame.subarray(0, frameStartBytes + headLength), salt), 12)
}

/** Of the frame's start and head, without the place where the checksum itself stands. */
function headChecksum(bytes: Buffer, salt: number): number {
  return crc32(bytes.subarray(frameStartBytes), crc32(bytes.subarray(0, 12), salt))
}

/** The head of the frame at `at`, or undefined if what stands there is not a whole and valid head. */
export function readHead(bytes: Buffer, at: number, salt: number): FrameHead | undefined {
  if (at + frameStartBytes > bytes.length || bytes.readUInt32LE(at) !== frameMagic) return undefined
  const frameLength = bytes.readUInt32LE(at + 4)
  const headLength = bytes.readUInt32LE(at + 8)
  if (headLength < headStartBytes || frameLength < frameStartBytes + headLength) return undefined
  if (at + frameStartBytes + headLength > bytes.length) return undefined
  if (
    headChecksum(bytes.subarray(at, at + frameStartBytes + headLength), salt) !== bytes.readUInt32LE(at + 12)
  )
    return undefined
  const start = at + frameStartBytes
  const chunks = bytes.readUInt32LE(start + 4)
  const metaBytes = bytes.readUInt32LE(start + 16)
  const entries: ChunkEntry[] = []
  for (let index = 0; index < chunks; index++)
    entries.push(readEntry(bytes, start + headStartBytes + index * entryBytes))
  const metaAt = start + headStartBytes + chunks * entryBytes
  return {
    kind: bytes.readUInt32LE(start),
    appendedMs: bytes.readDoubleLE(start + 8),
    entries,
    meta: bytes.toString('utf8', metaAt, metaAt + metaBytes),
    headLength,
    frameLength,
  }
}

function readEntry(bytes: Buffer, at: number): ChunkEntry {
  return {
    topicId: bytes.readUInt32LE(at),
    partition: bytes.readUInt32LE(at + 4),
    base: bytes.readDoubleLE(at + 8),
    count: bytes.readUInt32LE(at + 16),
    length: bytes.readUInt32LE(at + 20),
    checksum: bytes.readUInt32LE(at + 24),
    maxTimestampMs: bytes.readDoubleLE(at + 28),
  }
}

/** How long a frame says it is, as far as `bytes` shows it; 0 if no frame can begin at `at`. */
export function claimedLength(bytes: Buffer, at: number): { frame: number; head: number } {
  if (at + frameStartBytes > bytes.length || bytes.readUInt32LE(at) !== frameMagic)
    return { frame: 0, head: 0 }
  return { frame: bytes.readUInt32LE(at + 4), head: frameStartBytes + bytes.readUInt32LE(at + 8) }
}

/** Whether every payload of the frame at `at` matches its checksum; the whole frame must be in `bytes`. */
export function payloadsAreWhole(bytes: Buffer, at: number, head: FrameHead): boolean {
  let payloadAt = at + frameStartBytes + head.headLength
  for (const entry of head.entries) {
    if (crc32(bytes.subarray(payloadAt, payloadAt + entry.length)) !== entry.checksum) return false
    payloadAt += entry.length
  }
  return payloadAt === at + head.frameLength
}
