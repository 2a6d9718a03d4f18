/**
 * Records of a batch as a few pieces of memory, so that they go to another thread without being copied
 * twice. Values and keys lie one after the other; what is the same for all is said once.
 */
import type { LogHeaders } from '../../event/headers.ts'
import type { LogRecord } from '../../ports/log.ts'

export type PackedRecords = {
  /** Value and key of each record. */
  bytes: Uint8Array<ArrayBuffer>
  /** Length of a value, length of its key (-1: none), by record. */
  lengths: Int32Array<ArrayBuffer>
  /** Offset, time, by record. */
  numbers: Float64Array<ArrayBuffer>
  /** Runs of records of one topic and partition. */
  places: { topic: string; partition: number; records: number }[]
  /** By record; left out if none has any. */
  headers: LogHeaders[] | undefined
}

export function packRecords(records: readonly LogRecord[]): PackedRecords {
  let size = 0
  for (const { value, key } of records) size += value.length + (key?.length ?? 0)
  const bytes = new Uint8Array(size)
  const lengths = new Int32Array(records.length * 2)
  const numbers = new Float64Array(records.length * 2)
  const places: PackedRecords['places'] = []
  let hasHeaders = false
  let end = 0
  for (const [index, { topic, partition, offset, timestampMs, key, value, headers }] of records.entries()) {
    bytes.set(value, end)
    end += value.length
    if (key !== null) bytes.set(key, end)
    end += key?.length ?? 0
    lengths[index * 2] = value.length
    lengths[index * 2 + 1] = key?.length ?? -1
    numbers[index * 2] = offset
    numbers[index * 2 + 1] = timestampMs
    const place = places.at(-1)
    if (place?.topic === topic && place.partition === partition) place.records++
    else places.push({ topic, partition, records: 1 })
    hasHeaders ||= hasAny(headers)
  }
  return {
    bytes,
    lengths,
    numbers,
    places,
    headers: hasHeaders ? records.map(({ headers }) => headers) : undefined,
  }
}

export function transferOfRecords({ bytes, lengths, numbers }: PackedRecords): ArrayBuffer[] {
  return [bytes.buffer, lengths.buffer, numbers.buffer]
}

/** Values and keys of the records are views of the packed bytes. */
export function unpackRecords({ bytes, lengths, numbers, places, headers }: PackedRecords): LogRecord[] {
  const records: LogRecord[] = []
  let end = 0
  const next = (length: number): Buffer => {
    end += length
    return Buffer.from(bytes.buffer, end - length, length)
  }
  for (const { topic, partition, records: count } of places)
    for (let left = count; left > 0; left--) {
      const at = records.length * 2
      const value = next(lengths[at] ?? 0)
      const keyLength = lengths[at + 1] ?? -1
      records.push({
        topic,
        partition,
        offset: numbers[at] ?? 0,
        timestampMs: numbers[at + 1] ?? 0,
        key: keyLength < 0 ? null : next(keyLength),
        value,
        headers: headers?.[records.length] ?? {},
      })
    }
  return records
}

function hasAny(headers: LogHeaders): boolean {
  for (const _ in headers) return true
  return false
}
