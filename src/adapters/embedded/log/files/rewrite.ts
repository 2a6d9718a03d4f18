/**
 * Writes a sealed segment anew with its living slices only. Offsets, chunks and their checksums stay as
 * they are; a snapshot begins the file, as it begins every segment. The new file takes the old one's name when it is durable; readers tell them apart by the salt.
 */
import { crc32 } from 'node:zlib'
import type { Clock } from '../../../../ports/clock.ts'
import type { Random } from '../../../../ports/random.ts'
import type { State } from '../state.ts'
import type { ChunkRow } from './chunk-list.ts'
import { encodeFrame } from './encode.ts'
import { type ChunkEntry, frameKind, frameSize, payloadStart, sealFrame } from './frame.ts'
import type { Files } from './recover.ts'
import { encodeSegmentHeader, Segment, type Slice, segmentHeaderBytes } from './segment.ts'

export type RewriteDeps = { files: Files; clock: Clock; random: Random; state: State }

export async function rewriteSegment(
  segment: Segment,
  living: readonly Slice[],
  deps: RewriteDeps,
): Promise<Segment> {
  const { files, random } = deps
  const { disk } = files
  const salt = random.bytes(4).readUInt32LE(0)
  const draft = `${segment.path}.new`
  const fd = await disk.open(draft, 'w+')
  const { number, path } = segment
  const meta = JSON.stringify(deps.state.snapshot())
  const snapshot = encodeFrame([], { meta, appendedMs: deps.clock.now(), salt })
  const size = segmentHeaderBytes + snapshot.frame.length
  const replacement = new Segment({ number, path, salt, size }, files)
  try {
    await disk.write(fd, Buffer.concat([encodeSegmentHeader(salt), snapshot.frame]), 0)
    for (const slice of living) await copySlice({ segment, replacement, slice }, fd, files)
    const at = replacement.size
    const index = replacement.encodeIndex(deps.clock.now())
    await disk.write(fd, index, at)
    await disk.sync(fd)
    await disk.rename(draft, path)
    await disk.syncDirectory(files.directory)
    await replacement.sealed(at, index.length)
  } catch (error) {
    await disk.remove(draft)
    throw error
  } finally {
    await disk.close(fd)
  }
  return replacement
}

async function copySlice(
  what: { segment: Segment; replacement: Segment; slice: Slice },
  fd: number,
  files: Files,
): Promise<void> {
  const { segment, replacement, slice } = what
  const list = await segment.chunks(slice.topicId, slice.partition)
  for (let index = 0; index < list.length; index++) {
    const row = list.at(index)
    const start = payloadStart(1, 0)
    const frame = Buffer.alloc(frameSize({ chunks: 1, metaBytes: 0, payloadBytes: row.length }))
    const payload = frame.subarray(start)
    await segment.use((from) => files.disk.read(from, payload, row.position))
    if (crc32(payload) !== row.checksum)
      throw segment.corrupt(row.position, 'a chunk does not match its checksum')
    const head = {
      kind: frameKind.data,
      appendedMs: slice.appendedMs,
      entries: [entryOf(slice, row)],
      meta: '',
    }
    sealFrame(frame, head, replacement.salt)
    await files.disk.write(fd, frame, replacement.size)
    const key = { topicId: slice.topicId, partition: slice.partition }
    replacement.addChunk(key, { ...row, position: replacement.size + start }, slice.appendedMs)
    replacement.size += frame.length
  }
}

function entryOf(slice: Slice, row: ChunkRow): ChunkEntry {
  return {
    topicId: slice.topicId,
    partition: slice.partition,
    base: row.base,
    count: row.count,
    length: row.length,
    checksum: row.checksum,
    maxTimestampMs: row.maxTimestampMs,
  }
}
