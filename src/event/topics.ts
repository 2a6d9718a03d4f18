/**
 * Every topic, named once. Names on the wire are PostHog's, so that a Rowmill role can stand in for the
 * PostHog service that reads or writes the same topic; topics that only Rowmill has begin with `rowmill_`.
 */
export const topics = {
  captured: 'events_plugin_ingestion',
  overflow: 'events_plugin_ingestion_overflow',
  historical: 'events_plugin_ingestion_historical',
  ai: 'events_plugin_ingestion_ai',
  exceptions: 'error_tracking_events',
  heatmaps: 'heatmaps_ingestion',
  clientWarnings: 'ingestion-clientwarnings-main-1',
  replay: 'session_recording_snapshot_item_events',
  replayOverflow: 'session_recording_snapshot_item_overflow',
  deadLetters: 'events_plugin_ingestion_dlq',

  readyEvents: 'clickhouse_events_json',
  readyPersons: 'clickhouse_person',
  readyDistinctIds: 'clickhouse_person_distinct_id',
  readyGroups: 'clickhouse_groups',
  readyWarnings: 'clickhouse_ingestion_warnings',
  readyAppMetrics: 'clickhouse_app_metrics2',
  readyLogEntries: 'log_entries',
  readyHeatmaps: 'clickhouse_heatmap_events',

  /** One record per finished batch of a stage: see `ledger.ts`. */
  ledger: 'rowmill_ledger',
  /** One record per event that ended without a row: see `drop.ts`. */
  drops: 'rowmill_drops',
  /** The changelog of ingest's de-duplication: the ids of each batch, so that a restart knows them again. */
  dedup: 'rowmill_dedup',
  /** One record on a log that several processes share: its identity. */
  log: 'rowmill_log',
} as const

export type TopicKey = keyof typeof topics

/** What capture writes and ingest reads: each is consumed with the same steps. */
export const capturedTopics = [
  topics.captured,
  topics.overflow,
  topics.historical,
  topics.ai,
  topics.exceptions,
  topics.heatmaps,
  topics.clientWarnings,
] as const
