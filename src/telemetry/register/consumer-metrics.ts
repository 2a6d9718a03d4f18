import { bytes, type MetricEntry, milliseconds, records } from './metric-entry.ts'

/** What the generic consumer and its replacer count. */
export const consumerMetrics = {
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
  partition_limits_key_count: {
    kind: 'gauge',
    help: 'Keys whose rate the overflow limiter remembers.',
    labels: [],
  },
  replacements_total: {
    kind: 'counter',
    help: 'Changes of earlier rows that were carried out.',
    labels: ['storage', 'type'],
  },
} as const satisfies Record<string, MetricEntry>
