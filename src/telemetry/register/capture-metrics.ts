import { bytes, type MetricEntry, records } from './metric-entry.ts'

/** What capture counts. */
export const captureMetrics = {
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
} as const satisfies Record<string, MetricEntry>
