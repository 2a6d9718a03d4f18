import { type MetricEntry, seconds } from './metric-entry.ts'

/** What the adapters and engines count. */
export const enginesMetrics = {
  cache_connected: {
    kind: 'gauge',
    help: 'Whether the connection to Redis stands: 1, or 0.',
    labels: [],
  },
  cache_evictions_total: {
    kind: 'counter',
    help: 'Keys that the embedded cache dropped before their time, because it was full.',
    labels: [],
  },
  cache_failures_total: {
    kind: 'counter',
    help: 'Operations that Redis did not answer, or not in time.',
    labels: [],
  },
  cache_keys: { kind: 'gauge', help: 'Keys that the embedded cache holds.', labels: [] },
  database_failures_total: {
    kind: 'counter',
    help: 'Statements and transactions that failed, by code.',
    labels: ['code'],
  },
  log_bytes: { kind: 'gauge', help: 'Bytes of the embedded log on disk.', labels: [] },
  log_bytes_bound: { kind: 'gauge', help: 'Bytes the embedded log may take on disk.', labels: [] },
  log_bytes_written_total: { kind: 'counter', help: 'Bytes written to the embedded log.', labels: [] },
  log_flush_seconds: {
    kind: 'histogram',
    help: 'Time of one write with its fdatasync.',
    labels: [],
    buckets: seconds,
  },
  log_kafka_appended_records_total: {
    kind: 'counter',
    help: 'Records that Kafka has acknowledged, those of commits included.',
    labels: [],
  },
  log_kafka_append_queue_bytes: {
    kind: 'gauge',
    help: 'Bytes of appends that wait for Kafka.',
    labels: [],
  },
  log_kafka_append_seconds: {
    kind: 'histogram',
    help: 'From an append to its acknowledgement by Kafka.',
    labels: [],
    buckets: seconds,
  },
  log_kafka_commit_seconds: {
    kind: 'histogram',
    help: 'Duration of the transactions in which commits settle and append.',
    labels: [],
    buckets: seconds,
  },
  log_kafka_rebalances_total: {
    kind: 'counter',
    help: 'Times that a consumer of a group joined it anew on Kafka.',
    labels: ['group'],
  },
  log_kafka_retries_total: {
    kind: 'counter',
    help: 'Requests to Kafka that were made again, by what the first answer was.',
    labels: ['code'],
  },
  log_records_total: { kind: 'counter', help: 'Records appended to the embedded log.', labels: [] },
  log_refused_total: {
    kind: 'counter',
    help: 'Appends that the embedded log has refused, by reason.',
    labels: ['reason'],
  },
  outbound_requests_total: {
    kind: 'counter',
    help: 'Requests to the outside on behalf of untrusted code or users, by outcome.',
    labels: ['outcome'],
  },
  sandbox_call_seconds: {
    kind: 'histogram',
    help: 'Time of a call of a program in the sandbox with all its items, waiting included.',
    labels: [],
    buckets: seconds,
  },
  sandbox_calls_waiting: {
    kind: 'gauge',
    help: 'Calls that wait for a child process of the sandbox.',
    labels: [],
  },
  sandbox_child_deaths_total: {
    kind: 'counter',
    help: 'Child processes of the sandbox that ended or had to be killed, by cause.',
    labels: ['cause'],
  },
  sandbox_children: { kind: 'gauge', help: 'Child processes of the sandbox.', labels: [] },
  sandbox_host_calls_total: {
    kind: 'counter',
    help: 'Requests of programs to host functions, by outcome.',
    labels: ['outcome'],
  },
  sandbox_items_total: {
    kind: 'counter',
    help: 'Items that programs in the sandbox were given, by outcome.',
    labels: ['outcome'],
  },
  sandbox_programs_paused_total: {
    kind: 'counter',
    help: 'Programs that were paused because they ended their process again and again.',
    labels: [],
  },
} as const satisfies Record<string, MetricEntry>
