/** From what a broker sends of a partition to records: without control records and without aborted ones. */
import type { fetchV12, KafkaRecord, RecordsBatch } from '@platformatic/kafka'
import type { HeaderValue } from '../../../event/headers.ts'
import type { LogRecord } from '../../../ports/log.ts'

export type Fetched = {
  records: LogRecord[]
  bytes: number
  /** Everything before it has been seen: offsets have gaps where control records and aborted ones stand. */
  nextOffset: number
}

const transactional = 1 << 4
const control = 1 << 5
const logAppendTime = 1 << 3
const abortMarker = 0
/** Besides key and value: what a record takes in memory. */
const recordOverheadBytes = 64

/** `topic` is our name. Records before `from` are part of a batch that begins earlier and are left out. */
export function decodePartition(
  answer: fetchV12.FetchResponsePartition,
  { topic, from }: { topic: string; from: number },
): Fetched {
  const fetched: Fetched = { records: [], bytes: 0, nextOffset: from }
  const aborted = (answer.abortedTransactions ?? []).toSorted((a, b) =>
    a.firstOffset < b.firstOffset ? -1 : 1,
  )
  const aborting = new Set<bigint>()
  for (const batch of answer.records ?? []) {
    const lastOffset = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    for (let next = aborted[0]; next !== undefined && next.firstOffset <= lastOffset; next = aborted[0]) {
      aborting.add(next.producerId)
      aborted.shift()
    }
    if (Number(lastOffset) >= from) fetched.nextOffset = Number(lastOffset) + 1
    if ((batch.attributes & control) !== 0) {
      if (isAbort(batch)) aborting.delete(batch.producerId)
      continue
    }
    if ((batch.attributes & transactional) !== 0 && aborting.has(batch.producerId)) continue
    const place = { topic, partition: answer.partitionIndex }
    for (const record of batch.records) addRecord(fetched, { batch, record, place, from })
  }
  return fetched
}

function addRecord(
  fetched: Fetched,
  {
    batch,
    record,
    place,
    from,
  }: {
    batch: RecordsBatch
    record: KafkaRecord
    place: { topic: string; partition: number }
    from: number
  },
): void {
  const offset = Number(batch.firstOffset) + record.offsetDelta
  if (offset < from) return
  const timestamp =
    (batch.attributes & logAppendTime) === 0
      ? batch.firstTimestamp + record.timestampDelta
      : batch.maxTimestamp
  const value = record.value ?? Buffer.alloc(0)
  fetched.bytes += recordOverheadBytes + value.length + (record.key?.length ?? 0)
  fetched.records.push({
    ...place,
    offset,
    timestampMs: Number(timestamp),
    key: record.key,
    value,
    headers: headersOf(record),
  })
}

/** A name that comes twice keeps its last value. */
function headersOf({ headers }: KafkaRecord): Record<string, HeaderValue> {
  return Object.fromEntries(
    headers.map(([name, value]) => [
      name === null ? '' : name.toString('utf8'),
      value === null ? null : value.toString('utf8'),
    ]),
  )
}

function isAbort(batch: RecordsBatch): boolean {
  const key = batch.records[0]?.key
  return key !== undefined && key !== null && key.length >= 4 && key.readInt16BE(2) === abortMarker
}

export function sizeOfRecord({ key, value }: LogRecord): number {
  return recordOverheadBytes + value.length + (key?.length ?? 0)
}
