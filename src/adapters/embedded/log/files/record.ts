/**
 * One record inside a chunk:
 *
 *     f64 timestamp · i32 key length (-1: null) · u32 value length · u32 headers length · key · value · headers
 *
 * Numbers are little-endian. Headers are JSON text, because one native parse is cheaper than many small
 * slices. The offset is not stored: a chunk's records follow its base without a gap.
 */
import type { LogHeaders } from '../../../../event/headers.ts'
import type { LogRecord } from '../../../../ports/log.ts'

export const recordHeadBytes = 20

export type EncodableRecord = {
  key: Buffer | null
  value: Buffer
  /** JSON text, empty where there are none. */
  headers: string
  headersBytes: number
  timestampMs: number
}

const noHeaders: LogHeaders = Object.freeze({})

export function recordBytes(record: EncodableRecord): number {
  return recordHeadBytes + (record.key?.length ?? 0) + record.value.length + record.headersBytes
}

/** Writes a record at `at` and returns where the next one begins. */
export function writeRecord(into: Buffer, at: number, record: EncodableRecord): number {
  const { key, value } = record
  into.writeDoubleLE(record.timestampMs, at)
  into.writeInt32LE(key === null ? -1 : key.length, at + 8)
  into.writeUInt32LE(value.length, at + 12)
  into.writeUInt32LE(record.headersBytes, at + 16)
  let next = at + recordHeadBytes
  if (key !== null) {
    into.set(key, next)
    next += key.length
  }
  into.set(value, next)
  next += value.length
  if (record.headersBytes > 0) into.write(record.headers, next, record.headersBytes, 'utf8')
  return next + record.headersBytes
}

/** The length of the record at `at`. */
export function recordLengthAt(chunk: Buffer, at: number): number {
  const keyLength = chunk.readInt32LE(at + 8)
  return recordHeadBytes + Math.max(keyLength, 0) + chunk.readUInt32LE(at + 12) + chunk.readUInt32LE(at + 16)
}

/** The record at `at`; its key and value are views of `chunk`. */
export function recordAt(
  chunk: Buffer,
  at: number,
  place: { topic: string; partition: number; offset: number },
): LogRecord {
  const keyLength = chunk.readInt32LE(at + 8)
  const valueLength = chunk.readUInt32LE(at + 12)
  const headersLength = chunk.readUInt32LE(at + 16)
  const keyAt = at + recordHeadBytes
  const valueAt = keyLength < 0 ? keyAt : keyAt + keyLength
  const headersAt = valueAt + valueLength
  const headers: LogHeaders =
    headersLength === 0 ? noHeaders : JSON.parse(chunk.toString('utf8', headersAt, headersAt + headersLength))
  return {
    topic: place.topic,
    partition: place.partition,
    offset: place.offset,
    timestampMs: chunk.readDoubleLE(at),
    key: keyLength < 0 ? null : chunk.subarray(keyAt, valueAt),
    value: chunk.subarray(valueAt, headersAt),
    headers,
  }
}
