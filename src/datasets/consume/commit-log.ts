/**
 * What others who wait for a storage's rows are told: up to where they are written. One record a batch, in the
 * commit that settles it. Key and value are those of Snuba's commit log, which its subscriptions read.
 */
import type { LogBatch, LogRecord, NewRecord } from '../../ports/log.ts'
import { floatText } from '../../std/lossless-json.ts'

export type CommitLogEntry = {
  batch: LogBatch
  group: string
  /** The last message that was processed. */
  last: LogRecord
  /** When the events happened, in ms. */
  originMs: readonly number[]
}

export function commitLogRecord(topic: string, { batch, group, last, originMs }: CommitLogEntry): NewRecord {
  const p99 = percentile99(originMs)
  const received = p99 === undefined ? 'null' : secondsText(p99)
  const value = `{"offset":${batch.until},"orig_message_ts":${secondsText(last.timestampMs)},"received_p99":${received}}`
  return { topic, key: `${batch.topic}:${batch.partition}:${group}`, value: Buffer.from(value) }
}

function percentile99(values: readonly number[]): number | undefined {
  return Float64Array.from(values).sort()[Math.trunc(values.length * 0.99)]
}

/** Whole ms as a float of seconds, as serde_json prints it. */
function secondsText(ms: number): string {
  return floatText(Math.trunc(ms) / 1000)
}
