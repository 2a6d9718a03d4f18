/**
 * Kafka's record batches (format 2), packed into one buffer whose identity can be stamped anew: a batch that is
 * sent again is the same bytes, and one that is sent under another producer's name needs no second packing.
 * Source: the published format of the Kafka protocol.
 */
import { compressionsAlgorithms, crc32c } from '@platformatic/kafka'
import type { LogHeaders } from '../../../event/headers.ts'
import type { KafkaConfig } from '../config.ts'

export type PackableRecord = {
  key: Buffer | null
  value: Buffer
  /** As `packHeaders` made it. */
  headers: Buffer
  timestampMs: number
}

/** Who sends a batch, and its place among the batches of that producer to the partition. */
export type BatchIdentity = {
  producerId: bigint
  epoch: number
  sequence: number
  isTransactional: boolean
}

const headBytes = 61
const at = { length: 8, magic: 16, crc: 17, attributes: 21, producerId: 43, epoch: 51, sequence: 53 } as const
const transactionalBit = 1 << 4
/** Besides key, value and headers: lengths, attributes, and differences to the first record. */
const recordHeadBytesMax = 30

const noHeaders = Buffer.from([0])

export function packHeaders(headers: LogHeaders | undefined): Buffer {
  const entries = headers === undefined ? [] : Object.entries(headers)
  if (entries.length === 0) return noHeaders
  let bytes = 5
  for (const [name, value] of entries)
    bytes += 10 + Buffer.byteLength(name) + (value === null ? 0 : Buffer.byteLength(value))
  const packed = Buffer.allocUnsafe(bytes)
  let end = writeVarint(packed, 0, entries.length)
  for (const [name, value] of entries) {
    end = writeText(packed, end, name)
    end = value === null ? writeVarint(packed, end, -1) : writeText(packed, end, value)
  }
  return packed.subarray(0, end)
}

/** At least as many bytes as the record takes in a batch. */
export function packedBytesOf({ key, value, headers }: PackableRecord): number {
  return recordHeadBytesMax + (key?.length ?? 0) + value.length + headers.length
}

/** A batch without an identity: see `stampBatch`. */
export function packBatch(
  records: readonly PackableRecord[],
  compression: KafkaConfig['compression'],
): Buffer {
  let bytes = headBytes
  for (const record of records) bytes += packedBytesOf(record)
  const batch = Buffer.allocUnsafe(bytes)
  const firstMs = records[0]?.timestampMs ?? 0
  let lastMs = firstMs
  let end = headBytes
  for (const [index, record] of records.entries()) {
    end = writeRecord(batch, end, { record, index, sinceFirstMs: record.timestampMs - firstMs })
    if (record.timestampMs > lastMs) lastMs = record.timestampMs
  }
  batch.fill(0, 0, headBytes)
  batch.writeInt8(2, at.magic)
  batch.writeInt32BE(-1, 12)
  batch.writeInt32BE(records.length - 1, 23)
  batch.writeBigInt64BE(BigInt(firstMs), 27)
  batch.writeBigInt64BE(BigInt(lastMs), 35)
  batch.writeInt32BE(records.length, 57)
  if (compression === 'none') return finish(batch.subarray(0, end))
  const { compressSync, bitmask } = compressionsAlgorithms[compression]
  batch.writeInt16BE(bitmask, at.attributes)
  return finish(Buffer.concat([batch.subarray(0, headBytes), compressSync(batch.subarray(headBytes, end))]))
}

function finish(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - at.magic + 4, at.length)
  return batch
}

export function stampBatch(batch: Buffer, identity: BatchIdentity): void {
  const attributes = batch.readInt16BE(at.attributes)
  const isTransactional = identity.isTransactional ? transactionalBit : 0
  batch.writeInt16BE((attributes & ~transactionalBit) | isTransactional, at.attributes)
  batch.writeBigInt64BE(identity.producerId, at.producerId)
  batch.writeInt16BE(identity.epoch, at.epoch)
  batch.writeInt32BE(identity.sequence, at.sequence)
  batch.writeUInt32BE(crc32c(batch.subarray(at.attributes)) >>> 0, at.crc)
}

function writeRecord(
  target: Buffer,
  start: number,
  { record, index, sinceFirstMs }: { record: PackableRecord; index: number; sinceFirstMs: number },
): number {
  const { key, value, headers } = record
  const keyBytes = key === null ? 0 : key.length
  const length =
    1 +
    varintBytes(sinceFirstMs) +
    varintBytes(index) +
    varintBytes(key === null ? -1 : keyBytes) +
    keyBytes +
    varintBytes(value.length) +
    value.length +
    headers.length
  let end = writeVarint(target, start, length)
  target[end++] = 0
  end = writeVarint(target, end, sinceFirstMs)
  end = writeVarint(target, end, index)
  end = writeVarint(target, end, key === null ? -1 : keyBytes)
  if (key !== null) end += key.copy(target, end)
  end = writeVarint(target, end, value.length)
  end += value.copy(target, end)
  return end + headers.copy(target, end)
}

function writeText(target: Buffer, start: number, text: string): number {
  const length = Buffer.byteLength(text)
  const end = writeVarint(target, start, length)
  target.write(text, end)
  return end + length
}

/** Zigzag: small numbers of either sign become small numbers. */
function zigzag(value: number): number {
  return value >= 0 ? value * 2 : value * -2 - 1
}

function varintBytes(value: number): number {
  let rest = zigzag(value)
  let bytes = 1
  for (; rest >= 128; bytes++) rest = Math.floor(rest / 128)
  return bytes
}

function writeVarint(target: Buffer, start: number, value: number): number {
  let rest = zigzag(value)
  let end = start
  for (; rest >= 128; rest = Math.floor(rest / 128)) target[end++] = (rest % 128) | 128
  target[end++] = rest
  return end
}
