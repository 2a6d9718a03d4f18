/** What is measured of a storage's batches, by the names that operators of Snuba's consumers know. */
import type { LogRecord } from '../../ports/log.ts'
import type { HistogramName, Metrics } from '../../telemetry/metrics.ts'
import type { ProcessedBatch } from '../processor/run-batch.ts'

type Labels = { storage: string }

export type WrittenBatch = {
  records: readonly LogRecord[]
  times: ProcessedBatch['times']
  rows: number
  bytes: number
  /** How long the inserts took. */
  writeMs: number
  /** When they were done. */
  nowMs: number
}

export function measureWrite(metrics: Metrics, labels: Labels, batch: WrittenBatch): void {
  metrics.observe('consumer_insertions_batch_write_ms', batch.writeMs, labels)
  metrics.observe('consumer_insertions_batch_write_bytes', batch.bytes, labels)
  metrics.observe('consumer_insertions_batch_write_msgs', batch.rows, labels)
  const appended = batch.records.map(({ timestampMs }) => timestampMs)
  const latency = latencyOf(metrics, labels, batch.nowMs)
  latency(appended, 'consumer_insertions_latency_ms', 'consumer_insertions_max_latency_ms')
  latency(
    batch.times.originMs,
    'consumer_insertions_end_to_end_latency_ms',
    'consumer_insertions_max_end_to_end_latency_ms',
  )
  latency(
    batch.times.receivedMs,
    'consumer_insertions_sentry_received_latency_ms',
    'consumer_insertions_max_sentry_received_latency_ms',
  )
}

/** The mean and the largest of a batch's ages. */
function latencyOf(metrics: Metrics, labels: Labels, nowMs: number) {
  return (times: readonly number[], mean: HistogramName, largest: HistogramName): void => {
    if (times.length === 0) return
    let sum = 0
    let earliest = Number.POSITIVE_INFINITY
    for (const ms of times) {
      sum += ms
      earliest = Math.min(earliest, ms)
    }
    metrics.observe(mean, Math.max(0, nowMs - sum / times.length), labels)
    metrics.observe(largest, Math.max(0, nowMs - earliest), labels)
  }
}
