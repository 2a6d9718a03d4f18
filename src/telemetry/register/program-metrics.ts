import { type MetricEntry, records, seconds } from './metric-entry.ts'

/** What the stages, the HTTP server and the program as a whole count. */
export const programMetrics = {
  build_info: {
    kind: 'gauge',
    help: 'Always 1; its labels say which Rowmill runs on which Node.',
    labels: ['version', 'node'],
  },
  http_connections: {
    kind: 'gauge',
    help: 'Open connections.',
    labels: [],
  },
  http_requests_duration_seconds: {
    kind: 'histogram',
    help: 'Time from the head of a request to the end of its answer; path is the route.',
    labels: ['method', 'path', 'status'],
    buckets: seconds,
  },
  http_requests_total: {
    kind: 'counter',
    help: 'Requests answered; path is the route.',
    labels: ['method', 'path', 'status'],
  },
  ingest_dedup_bytes: { kind: 'gauge', help: 'Memory of the ids that de-duplication remembers.', labels: [] },
  ingest_dedup_ids: { kind: 'gauge', help: 'Ids that de-duplication remembers.', labels: [] },
  ingest_dedup_total: {
    kind: 'counter',
    help: 'Events that de-duplication has judged, by verdict.',
    labels: ['verdict'],
  },
  ingest_dedup_twice_total: {
    kind: 'counter',
    help: 'Ids that two processes have accepted at the same time, in two partitions: each is two rows.',
    labels: [],
  },
  ingest_entities_batches_total: {
    kind: 'counter',
    help: 'Batches whose people and groups were computed, by how that ended; a conflict is followed by another try.',
    labels: ['end'],
  },
  ingest_entities_seconds: {
    kind: 'histogram',
    help: 'Time that the people and groups of a batch take, by phase.',
    labels: ['phase'],
    buckets: seconds,
  },
  ingest_persons_total: {
    kind: 'counter',
    help: 'Persons that were written, by what happened to them.',
    labels: ['change'],
  },
  ingest_step_seconds: {
    kind: 'histogram',
    help: 'Time that one step of ingestion takes for a batch.',
    labels: ['step'],
    buckets: seconds,
  },
  ingest_warnings_total: {
    kind: 'counter',
    help: 'Ingestion warnings by type, and whether the project was told or had been told lately.',
    labels: ['type', 'sent'],
  },
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
