/**
 * One record of the changelog topic holds the ids of one batch and where its records stand:
 *
 *     version u8 · topic length u16 · topic · partition u32 · count u32 · count × (fingerprint 4 × u32 · offset f64)
 *
 * Numbers are little-endian, as on every machine that Node runs on: rows are read and written as typed arrays.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { LogRecord, NewRecord } from '../../ports/log.ts'
import type { DedupSource } from './dedup.ts'

const version = 1
const rowBytes = 24
/** A row is six words: four of the fingerprint, then the offset, which is the third of its doubles. */
export const rowWords = 6

/** The ids of one batch, as rows in one piece of memory. */
export class IdRows {
  readonly count: number
  readonly words: Uint32Array
  readonly #doubles: Float64Array

  constructor(memory: ArrayBuffer) {
    this.count = memory.byteLength / rowBytes
    this.words = new Uint32Array(memory)
    this.#doubles = new Float64Array(memory)
  }

  static create(count: number): IdRows {
    return new IdRows(new ArrayBuffer(count * rowBytes))
  }

  offsetAt(row: number): number {
    return this.#doubles[row * 3 + 2] ?? 0
  }

  setOffset(row: number, offset: number): void {
    this.#doubles[row * 3 + 2] = offset
  }
}

/** Names the process and the batch that wrote the record. */
export const writerHeader = 'writer'

export function encodeChangelog(
  rows: IdRows,
  source: DedupSource,
  { timestampMs, writer }: { timestampMs: number; writer: string },
): NewRecord {
  const topic = Buffer.from(source.topic)
  const head = Buffer.allocUnsafe(11 + topic.length)
  head.writeUInt8(version, 0)
  head.writeUInt16LE(topic.length, 1)
  head.set(topic, 3)
  head.writeUInt32LE(source.partition, 3 + topic.length)
  head.writeUInt32LE(rows.count, 7 + topic.length)
  const value = Buffer.concat([head, Buffer.from(rows.words.buffer)])
  return { topic: topics.dedup, key: null, value, timestampMs, headers: { [writerHeader]: writer } }
}

/** Fails with `LOG_CORRUPT` for what is no such record. */
export function decodeChangelog(record: LogRecord): { source: DedupSource; rows: IdRows } {
  const { value } = record
  const topicEnd = value.length < 11 ? 0 : 3 + value.readUInt16LE(1)
  const start = topicEnd + 8
  const isKnown = topicEnd > 0 && value.readUInt8(0) === version && start <= value.length
  const count = isKnown ? value.readUInt32LE(topicEnd + 4) : 0
  if (!isKnown || start + count * rowBytes !== value.length)
    throw new RowmillError(
      'LOG_CORRUPT',
      `The record at offset ${record.offset} of ${record.topic} is no list of ids of this version.`,
    )
  const memory = new ArrayBuffer(count * rowBytes)
  new Uint8Array(memory).set(value.subarray(start))
  const source = { topic: value.toString('utf8', 3, topicEnd), partition: value.readUInt32LE(topicEnd) }
  return { source, rows: new IdRows(memory) }
}
