/**
 * Replay messages as PostHog packs them on request: an LZ4 block behind four bytes, little endian, that say how
 * large it becomes, and a header that says so. The written reasons of drops stay plain: others read them.
 */
import { compress } from 'lz4-napi'
import { topics } from '../../event/topics.ts'
import type { NewRecord } from '../../ports/log.ts'
import type { RecordSink } from '../sinks/record-sink.ts'

export function packMessages(log: RecordSink): RecordSink {
  return { append: async (records) => log.append(await Promise.all(records.map(pack))) }
}

async function pack(record: NewRecord): Promise<NewRecord> {
  if (record.topic === topics.drops) return record
  const headers = { ...record.headers, 'content-encoding': 'lz4' }
  return { ...record, value: await compress(record.value), headers }
}
