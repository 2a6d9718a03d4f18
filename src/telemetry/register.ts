/**
 * Every metric has a row here; `docs/reference/metrics.md` is compared with this table by a test. Names
 * begin with the role they belong to, end in their unit, and counters in `_total`, except names that
 * operators know from PostHog's capture, which are kept.
 */
export type MetricEntry =
  | { kind: 'counter' | 'gauge'; help: string; labels: readonly string[] }
  | { kind: 'histogram'; help: string; labels: readonly string[]; buckets: readonly number[] }

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
const records = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000] as const

export const metricRegister = {
  stream_records_total: {
    kind: 'counter',
    help: 'Records that a stage has finished, by outcome.',
    labels: ['group', 'topic', 'outcome'],
  },
  stream_batch_seconds: {
    kind: 'histogram',
    help: 'Time from a batch being read to its being settled.',
    labels: ['group', 'topic'],
    buckets: seconds,
  },
  stream_batch_records: {
    kind: 'histogram',
    help: 'Records in a batch.',
    labels: ['group', 'topic'],
    buckets: records,
  },
  stream_retries_total: {
    kind: 'counter',
    help: 'Batches that had to be tried again.',
    labels: ['group', 'topic'],
  },
  stream_lag_records: {
    kind: 'gauge',
    help: 'Records that a group has not settled yet.',
    labels: ['group', 'topic'],
  },
  queue_depth: { kind: 'gauge', help: 'How much a bounded queue holds.', labels: ['queue'] },
  queue_bound: { kind: 'gauge', help: 'How much a bounded queue may hold.', labels: ['queue'] },
} as const satisfies Record<string, MetricEntry>
