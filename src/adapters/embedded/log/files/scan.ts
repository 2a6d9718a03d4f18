/**
 * Reads frames from a place in a segment to its end, verifying each byte. Stops at the first thing that is
 * not a whole frame; whether that is a torn tail or damage is told by what follows it: a frame is written
 * only after the one before it was durable, so a valid frame further on means damage.
 */
import type { Disk } from './disk.ts'
import {
  claimedLength,
  type FrameHead,
  frameMagic,
  frameStartBytes,
  payloadsAreWhole,
  readHead,
} from './frame.ts'

const windowBytes = 4 * 1024 * 1024

export type ScannedFrame = { head: FrameHead; position: number; bytes: Buffer; at: number }
export type ScanEnd = {
  /** Where the last whole frame ended. */
  end: number
  /** Where a valid frame begins after something that is none: damage. */
  damageBefore: number | undefined
}

export type FileView = { disk: Disk; fd: number; salt: number; size: number }

/** Calls `onFrame` for each whole frame from `from` on. The bytes are only valid during the call. */
export async function scanFrames(
  file: FileView,
  from: number,
  onFrame: (frame: ScannedFrame) => void,
): Promise<ScanEnd> {
  let position = from
  let wanted = windowBytes
  while (position < file.size) {
    const window = Buffer.allocUnsafe(Math.min(wanted, file.size - position))
    const got = await file.disk.read(file.fd, window, position)
    const bytes = got === window.length ? window : window.subarray(0, got)
    let at = 0
    for (;;) {
      const head = readHead(bytes, at, file.salt)
      if (head === undefined || at + head.frameLength > bytes.length) break
      if (!payloadsAreWhole(bytes, at, head)) break
      onFrame({ head, position: position + at, bytes, at })
      at += head.frameLength
    }
    position += at
    if (position >= file.size) break
    const claimed = claimedLength(bytes, at)
    const needed = Math.max(claimed.frame, claimed.head, frameStartBytes)
    const isCutByWindow = at + needed > bytes.length && position + needed <= file.size
    if (!isCutByWindow || got < window.length)
      return { end: position, damageBefore: await findLaterFrame(file, position + 1) }
    wanted = Math.max(windowBytes, needed)
  }
  return { end: position, damageBefore: undefined }
}

async function findLaterFrame(file: FileView, from: number): Promise<number | undefined> {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(frameMagic)
  for (let position = from; position < file.size; position += windowBytes) {
    // Windows overlap, so that a head across their border is seen whole.
    const window = Buffer.allocUnsafe(Math.min(windowBytes * 2, file.size - position))
    const got = await file.disk.read(file.fd, window, position)
    const bytes = window.subarray(0, got)
    for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
      const head = readHead(bytes, at, file.salt)
      if (head !== undefined && position + at + head.frameLength <= file.size) return position + at
    }
  }
  return undefined
}
