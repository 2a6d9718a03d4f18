/**
 * Replay messages as PostHog packs them on request: an LZ4 block behind four bytes, little endian, that say how
 * large it becomes, and a header that says so. The written reasons of drops stay plain: others read them.
 */
import { compress } from 'lz4-napi'
import { topics } from '../../event/topics.ts'
import type { Log, NewRecord } from '../../ports/log.ts'

export function packMessages(log: Pick<Log, 'append'>): Pick<Log, 'append'> {
  return { append: async (records) => log.append(await Promise.all(records.map(pack))) }
}

async function pack(record: NewRecord): Promise<NewRecord> {
  if (record.topic === topics.drops) return record
  const headers = { ...record.headers, 'content-encoding': 'lz4' }
  return { ...record, value: await compress(record.value), headers }
}
