/**
 * Every metric has a row here; `docs/reference/metrics.md` is compared with this table by a test. Names
 * begin with the role they belong to, end in their unit, and counters in `_total`, except names that
 * operators know from PostHog's capture, which are kept.
 */
export type MetricEntry =
  | { kind: 'counter' | 'gauge'; help: string; labels: readonly string[] }
  | { kind: 'histogram'; help: string; labels: readonly string[]; buckets: readonly number[] }

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
const bytes = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216] as const
const milliseconds = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000, 300_000, 3_600_000,
] as const
const records = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000] as const

export const metricRegister = {
  capture_admission_refresh_failures_total: {
    kind: 'counter',
    help: 'Readings of the state of admission from the cache that failed.',
    labels: ['source'],
  },
  capture_ai_otel_gateway_provenance: {
    kind: 'counter',
    help: 'OTLP exports, by whether the AI gateway has signed them.',
    labels: ['reason'],
  },
  capture_error_by_stage_and_type: {
    kind: 'counter',
    help: 'Requests that capture refused, by the stage that did and why.',
    labels: ['stage_name', 'error_type'],
  },
  capture_event_batch_size: {
    kind: 'histogram',
    help: 'Events in a request.',
    labels: [],
    buckets: records,
  },
  capture_event_restrictions_applied: {
    kind: 'counter',
    help: 'Event restrictions that matched an event.',
    labels: ['restriction_type', 'pipeline'],
  },
  capture_events_admitted_during_billing_grace_period_total: {
    kind: 'counter',
    help: 'Events that passed although their project is over its quota, because it is spared for a while.',
    labels: ['resource'],
  },
  capture_events_dropped_total: {
    kind: 'counter',
    help: 'Events that capture accepted and dropped, or refused, by cause.',
    labels: ['cause'],
  },
  capture_events_ingested_total: {
    kind: 'counter',
    help: 'Events that are durable on the log, or in the fallback.',
    labels: [],
  },
  capture_events_rate_limited_total: {
    kind: 'counter',
    help: 'Events whose person processing the rate limit has switched off.',
    labels: [],
  },
  capture_events_received_total: {
    kind: 'counter',
    help: 'Events in well-formed requests.',
    labels: [],
  },
  capture_events_rerouted_historical: {
    kind: 'counter',
    help: 'Events sent to the historical topic because of their age.',
    labels: [],
  },
  capture_events_rerouted_overflow: {
    kind: 'counter',
    help: 'Events sent to an overflow topic.',
    labels: ['reason'],
  },
  capture_fallback_bytes: {
    kind: 'gauge',
    help: 'Bytes of objects that the fallback keeps until the log takes them.',
    labels: [],
  },
  capture_fallback_drained_total: {
    kind: 'counter',
    help: 'Records that the fallback has brought to the log.',
    labels: [],
  },
  capture_fallback_objects: {
    kind: 'gauge',
    help: 'Objects that the fallback keeps until the log takes them.',
    labels: [],
  },
  capture_fallback_refused_total: {
    kind: 'counter',
    help: 'Objects of the fallback that were set aside, because the log refused them for good or nobody could read them.',
    labels: ['reason'],
  },
  capture_fallback_sink_failovers_total: {
    kind: 'counter',
    help: 'Records that went to the fallback because the log took none.',
    labels: [],
  },
  capture_full_payload_size: {
    kind: 'histogram',
    help: 'Bytes of a request after unpacking.',
    labels: [],
    buckets: bytes,
  },
  capture_heatmap_redirects_created: {
    kind: 'counter',
    help: 'Heatmap events split off from other events.',
    labels: [],
  },
  capture_partition_key_capacity_exceeded_total: {
    kind: 'counter',
    help: 'Events over the overflow limit of their key.',
    labels: [],
  },
  capture_primary_sink_health: {
    kind: 'gauge',
    help: 'Whether the log took what capture wrote last: 1, or 0 while the fallback stands in.',
    labels: [],
  },
  cache_evictions_total: {
    kind: 'counter',
    help: 'Keys that the embedded cache dropped before their time, because it was full.',
    labels: [],
  },
  cache_keys: { kind: 'gauge', help: 'Keys that the embedded cache holds.', labels: [] },
  capture_raw_payload_size: {
    kind: 'histogram',
    help: 'Bytes of a request as it was sent.',
    labels: [],
    buckets: bytes,
  },
  capture_warnings_lost_total: {
    kind: 'counter',
    help: 'Warnings about refused requests that the log did not take.',
    labels: [],
  },
  consumer_dlq_by_age_routed_to_dlq: {
    kind: 'counter',
    help: 'Old messages that were set aside.',
    labels: ['storage'],
  },
  consumer_dlq_by_age_stale_seen: {
    kind: 'counter',
    help: 'Messages older than the threshold of the live option.',
    labels: ['storage'],
  },
  consumer_missing_category: {
    kind: 'counter',
    help: 'Outcomes without a category, except those of abuse.',
    labels: [],
  },
  consumer_missing_quantity: {
    kind: 'counter',
    help: 'Outcomes without a quantity, except those of abuse.',
    labels: [],
  },
  consumer_processor_thread_deaths_total: {
    kind: 'counter',
    help: 'Threads of message processors that ended by themselves or had to be ended, by cause.',
    labels: ['cause'],
  },
  consumer_eap_items_dlqed_prior_partition: {
    kind: 'counter',
    help: 'Items that were set aside because they belong to another week, by type and whether it is over.',
    labels: ['item_type', 'reason'],
  },
  consumer_generic_metrics_killswitched_use_case: {
    kind: 'counter',
    help: 'Generic metrics that were skipped because their use case is switched off.',
    labels: [],
  },
  consumer_insertions_batch_write_bytes: {
    kind: 'histogram',
    help: "Bytes of rows that a storage's batch has written.",
    labels: ['storage'],
    buckets: bytes,
  },
  consumer_insertions_batch_write_ms: {
    kind: 'histogram',
    help: "Time that the inserts of a storage's batch took.",
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_batch_write_msgs: {
    kind: 'histogram',
    help: "Rows that a storage's batch has written.",
    labels: ['storage'],
    buckets: records,
  },
  consumer_insertions_end_to_end_latency_ms: {
    kind: 'histogram',
    help: 'Mean age of the events of a batch when it was written, from when they happened.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_item_bytes_processed: {
    kind: 'counter',
    help: 'Bytes of items of the events analytics platform that became rows, by type.',
    labels: ['item_type'],
  },
  consumer_insertions_item_type_count: {
    kind: 'counter',
    help: 'Items of the events analytics platform that became rows, by type.',
    labels: ['item_type'],
  },
  consumer_insertions_latency_ms: {
    kind: 'histogram',
    help: 'Mean age of the messages of a batch when it was written, from when they were appended.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_max_end_to_end_latency_ms: {
    kind: 'histogram',
    help: 'Largest age of the events of a batch when it was written, from when they happened.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_max_latency_ms: {
    kind: 'histogram',
    help: 'Largest age of the messages of a batch when it was written, from when they were appended.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_max_sentry_received_latency_ms: {
    kind: 'histogram',
    help: 'Largest age of the events of a batch when it was written, from when they were received.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_insertions_sentry_received_latency_ms: {
    kind: 'histogram',
    help: 'Mean age of the events of a batch when it was written, from when they were received.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_message_processing_time_ms: {
    kind: 'histogram',
    help: 'Time from a batch of messages to its rows, before they are written.',
    labels: ['storage'],
    buckets: milliseconds,
  },
  consumer_invalid_message: {
    kind: 'counter',
    help: 'Messages that became dead letters, by reason.',
    labels: ['storage', 'reason'],
  },
  consumer_clickhouse_insert_error: {
    kind: 'counter',
    help: 'Inserts of a storage that failed and are tried again, by the code of the error.',
    labels: ['storage', 'status'],
  },
  consumer_schema_validation_failed: {
    kind: 'counter',
    help: 'Messages that do not match the JSON Schema of their topic, enforced or not.',
    labels: ['storage'],
  },
  database_failures_total: {
    kind: 'counter',
    help: 'Statements and transactions that failed, by code.',
    labels: ['code'],
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
  capture_v1_gateway_provenance: {
    kind: 'counter',
    help: 'AI events, on any route but OTLP, whose properties of the AI gateway were verified or taken away, by why.',
    labels: ['reason'],
  },
  capture_v1_analytics_error: {
    kind: 'counter',
    help: 'v1 requests that were refused as a whole.',
    labels: ['error', 'status_code'],
  },
  capture_v1_batch_outcomes: {
    kind: 'counter',
    help: 'v1 batches by what became of their events: all_ok, all_drop, all_retry or partial_failure.',
    labels: ['outcome'],
  },
  capture_v1_parsed_events: {
    kind: 'counter',
    help: 'Events of v1 batches, by whether they keep the rules of v1 and which one they break.',
    labels: ['result', 'error'],
  },
  partition_limits_key_count: {
    kind: 'gauge',
    help: 'Keys whose rate the overflow limiter remembers.',
    labels: [],
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
  log_records_total: { kind: 'counter', help: 'Records appended to the embedded log.', labels: [] },
  log_refused_total: {
    kind: 'counter',
    help: 'Appends that the embedded log has refused, by reason.',
    labels: ['reason'],
  },
  replacements_total: {
    kind: 'counter',
    help: 'Changes of earlier rows that were carried out.',
    labels: ['storage', 'type'],
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
