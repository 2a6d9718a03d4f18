/**
 * `node scripts/dashboard.ts` writes the Grafana dashboard, deploy/grafana/rowmill.json. What it shows is said here, in a
 * line or two a panel; a test compares the file with it and its metrics with the register.
 */
import { writeFileSync } from 'node:fs'

type Unit = 'short' | 'reqps' | 'percentunit' | 's' | 'ms' | 'bytes' | 'Bps'
type Query = readonly [expression: string, legend: string]
export type Panel = { title: string; says: string; unit: Unit; queries: readonly Query[] }
export type Row = { title: string; panels: readonly Panel[] }

const where = 'job="rowmill", instance=~"$instance"'
const events = 'path!~"/_readiness|/_liveness|/metrics"'

const rate = (metric: string, by: string, labels = ''): string =>
  `sum by (${by}) (rate(${metric}{${where}${labels === '' ? '' : `, ${labels}`}}[$__rate_interval]))`
const quantile = (share: number, histogram: string, by = ''): string =>
  `histogram_quantile(${share}, ${rate(`${histogram}_bucket`, by === '' ? 'le' : `${by}, le`)})`
const present = (metric: string, by: string): string => `max by (${by}) (${metric}{${where}})`

/** From left to right and from top to bottom, in the order of an event's journey. */
export const rows: readonly Row[] = [
  {
    title: 'Capture',
    panels: [
      {
        title: 'Events',
        says: 'Received in well-formed requests; durable on the log; dropped or refused.',
        unit: 'reqps',
        queries: [
          [rate('capture_events_received_total', 'job'), 'received'],
          [rate('capture_events_ingested_total', 'job'), 'durable'],
          [rate('capture_events_dropped_total', 'cause'), 'dropped: {{cause}}'],
        ],
      },
      {
        title: 'Requests by status',
        says: 'Without the probes. 503 is asked to come again; 499 went away before its answer.',
        unit: 'reqps',
        queries: [[rate('http_requests_total', 'status', events), '{{status}}']],
      },
      {
        title: 'Time to answer, 99 of 100',
        says: 'From the head of a request to the end of its answer, by route.',
        unit: 's',
        queries: [[quantile(0.99, 'http_requests_duration_seconds', 'path'), '{{path}}']],
      },
      {
        title: 'Requests refused, by stage and why',
        says: 'What capture answered with 4xx or 503.',
        unit: 'reqps',
        queries: [
          [
            rate('capture_error_by_stage_and_type', 'stage_name, error_type'),
            '{{stage_name}}: {{error_type}}',
          ],
          [rate('capture_v1_analytics_error', 'error'), 'v1: {{error}}'],
        ],
      },
      {
        title: 'Rerouted and limited',
        says: 'Events that went to another topic than the main one, or lost their person processing.',
        unit: 'reqps',
        queries: [
          [rate('capture_events_rerouted_overflow', 'reason'), 'overflow: {{reason}}'],
          [rate('capture_events_rerouted_historical', 'job'), 'historical'],
          [rate('capture_events_rate_limited_total', 'job'), 'without persons'],
          [
            rate('capture_event_restrictions_applied', 'restriction_type'),
            'restricted: {{restriction_type}}',
          ],
        ],
      },
      {
        title: 'Fallback',
        says: 'Objects that wait for the log, and records that went there or came back.',
        unit: 'short',
        queries: [
          [present('capture_fallback_objects', 'instance'), 'objects on {{instance}}'],
          [rate('capture_fallback_sink_failovers_total', 'job'), 'records in, per second'],
          [rate('capture_fallback_drained_total', 'job'), 'records out, per second'],
        ],
      },
    ],
  },
  {
    title: 'Stages',
    panels: [
      {
        title: 'Records that wait',
        says: 'What each group has not settled yet. It shall return to nothing after a rush.',
        unit: 'short',
        queries: [[present('stream_lag_records', 'group, topic'), '{{group}}: {{topic}}']],
      },
      {
        title: 'Records finished',
        says: 'By group, every outcome.',
        unit: 'reqps',
        queries: [[rate('stream_records_total', 'group'), '{{group}}']],
      },
      {
        title: 'Not turned into rows',
        says: 'Dropped by decision, diverted to another topic, set aside as dead letters.',
        unit: 'reqps',
        queries: [
          [rate('stream_records_total', 'group, outcome', 'outcome!="next"'), '{{group}}: {{outcome}}'],
        ],
      },
      {
        title: 'Time of a batch, 99 of 100',
        says: 'From being read to being settled.',
        unit: 's',
        queries: [[quantile(0.99, 'stream_batch_seconds', 'group'), '{{group}}']],
      },
      {
        title: 'Batches tried again',
        says: 'Something is away. The line "A batch waits and is tried again" of the program log names it.',
        unit: 'reqps',
        queries: [[rate('stream_retries_total', 'group'), '{{group}}']],
      },
      {
        title: 'Records in a batch, median',
        says: 'Small batches while records wait mean that something else is slow.',
        unit: 'short',
        queries: [[quantile(0.5, 'stream_batch_records', 'group'), '{{group}}']],
      },
    ],
  },
  {
    title: 'Ingest',
    panels: [
      {
        title: 'Time of a step, 99 of 100',
        says: 'For a batch.',
        unit: 's',
        queries: [[quantile(0.99, 'ingest_step_seconds', 'step'), '{{step}}']],
      },
      {
        title: 'Persons and groups',
        says: 'Writes by kind, and how batches ended; a conflict is followed by another try.',
        unit: 'reqps',
        queries: [
          [rate('ingest_persons_total', 'change'), 'persons {{change}}'],
          [rate('ingest_entities_batches_total', 'end'), 'batches: {{end}}'],
        ],
      },
      {
        title: 'De-duplication',
        says: 'Events by verdict, and those that two processes have accepted.',
        unit: 'reqps',
        queries: [
          [rate('ingest_dedup_total', 'verdict'), '{{verdict}}'],
          [rate('ingest_dedup_twice_total', 'job'), 'accepted twice'],
        ],
      },
      {
        title: 'Memory of de-duplication',
        says: 'Bytes of the ids of the window.',
        unit: 'bytes',
        queries: [[present('ingest_dedup_bytes', 'instance'), '{{instance}}']],
      },
    ],
  },
  {
    title: 'Rows',
    panels: [
      {
        title: 'Age of messages when written, 9 of 10',
        says: 'The oldest message of a batch, from its append to its row.',
        unit: 'ms',
        queries: [[quantile(0.9, 'consumer_insertions_max_latency_ms', 'storage'), '{{storage}}']],
      },
      {
        title: 'Rows written',
        says: 'Per second and storage.',
        unit: 'reqps',
        queries: [[rate('consumer_insertions_batch_write_msgs_sum', 'storage'), '{{storage}}']],
      },
      {
        title: 'Time of an insert, 99 of 100',
        says: 'All inserts of a batch.',
        unit: 'ms',
        queries: [[quantile(0.99, 'consumer_insertions_batch_write_ms', 'storage'), '{{storage}}']],
      },
      {
        title: 'What went wrong',
        says: 'Inserts that failed and are tried again, messages that became dead letters, threads that died.',
        unit: 'reqps',
        queries: [
          [rate('consumer_clickhouse_insert_error', 'storage, status'), '{{storage}}: {{status}}'],
          [rate('consumer_invalid_message', 'storage, reason'), '{{storage}}: {{reason}}'],
          [rate('consumer_processor_thread_deaths_total', 'cause'), 'threads: {{cause}}'],
        ],
      },
    ],
  },
  {
    title: 'Kafka',
    panels: [
      {
        title: 'Append and commit, 99 of 100',
        says: 'From an append to its acknowledgement by all replicas; a transaction that settles and appends.',
        unit: 's',
        queries: [
          [quantile(0.99, 'log_kafka_append_seconds'), 'append'],
          [quantile(0.99, 'log_kafka_commit_seconds'), 'commit'],
        ],
      },
      {
        title: 'Records acknowledged',
        says: 'Those of commits included.',
        unit: 'reqps',
        queries: [[rate('log_kafka_appended_records_total', 'instance'), '{{instance}}']],
      },
      {
        title: 'Trouble with brokers',
        says: 'Requests made again, by what was answered; groups joined anew.',
        unit: 'reqps',
        queries: [
          [rate('log_kafka_retries_total', 'code'), 'again: {{code}}'],
          [rate('log_kafka_rebalances_total', 'group'), 'joined: {{group}}'],
        ],
      },
    ],
  },
  {
    title: 'Jobs',
    panels: [
      {
        title: 'Jobs that wait',
        says: 'By queue; and those that failed for good.',
        unit: 'short',
        queries: [
          [present('cyclotron_available_jobs', 'queue'), '{{queue}}'],
          [present('cyclotron_dead_letter_queue_depth', 'job'), 'dead letters'],
        ],
      },
      {
        title: 'Attempts',
        says: 'Created jobs, and attempts by how they ended.',
        unit: 'reqps',
        queries: [
          [rate('jobs_created_total', 'job'), 'created'],
          [rate('jobs_attempts_total', 'end'), '{{end}}'],
        ],
      },
      {
        title: 'Workers that were lost',
        says: 'Jobs given back after their worker was not heard of; jobs that stalled too often; jobs let go.',
        unit: 'reqps',
        queries: [
          [rate('cyclotron_janitor_stalled_jobs_reset', 'job'), 'given back'],
          [rate('cyclotron_janitor_poison_pills', 'job'), 'poison pills'],
          [rate('jobs_lost_total', 'job'), 'let go'],
        ],
      },
    ],
  },
  {
    title: 'Engines and bounds',
    panels: [
      {
        title: 'The embedded log',
        says: 'Bytes on disk against log.bytesMax. Empty where the log is Kafka.',
        unit: 'percentunit',
        queries: [
          [`log_bytes{${where}} / (log_bytes_bound{${where}} > 0)`, '{{instance}}'],
          [rate('log_refused_total', 'reason'), 'refused per second: {{reason}}'],
        ],
      },
      {
        title: 'Flush of the log, 99 of 100',
        says: 'One write with its fdatasync: what every acknowledgement waits for.',
        unit: 's',
        queries: [[quantile(0.99, 'log_flush_seconds', 'instance'), '{{instance}}']],
      },
      {
        title: 'Written to the log',
        says: 'Bytes per second.',
        unit: 'Bps',
        queries: [[rate('log_bytes_written_total', 'instance'), '{{instance}}']],
      },
      {
        title: 'Queues',
        says: 'How full each bounded queue is. Those of stages are full whenever there is enough to do.',
        unit: 'percentunit',
        queries: [[`queue_depth{${where}} / (queue_bound{${where}} > 0)`, '{{queue}} on {{instance}}']],
      },
      {
        title: 'PostgreSQL and the cache',
        says: 'Failures by code; readings of quotas and restrictions that failed; keys dropped before their time.',
        unit: 'reqps',
        queries: [
          [rate('database_failures_total', 'code'), 'database: {{code}}'],
          [rate('capture_admission_refresh_failures_total', 'source'), 'admission: {{source}}'],
          [rate('cache_evictions_total', 'instance'), 'evictions on {{instance}}'],
        ],
      },
      {
        title: 'Connections',
        says: 'Open HTTP connections.',
        unit: 'short',
        queries: [[present('http_connections', 'instance'), '{{instance}}']],
      },
    ],
  },
]

const columns = 3
const size = { w: 24 / columns, h: 8 }

export function dashboardText(): string {
  const datasource = { type: 'prometheus', uid: '$datasource' }
  let id = 0
  let y = 0
  const panels = rows.flatMap((row) => {
    id += 1
    const title = {
      id,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    }
    y += 1
    const shown = row.panels.map((panel, index) => {
      id += 1
      const gridPos = { x: (index % columns) * size.w, y: y + Math.floor(index / columns) * size.h, ...size }
      return panelOf(panel, { id, gridPos, datasource })
    })
    y += Math.ceil(row.panels.length / columns) * size.h
    return [title, ...shown]
  })
  const dashboard = {
    uid: 'rowmill',
    title: 'Rowmill',
    description: 'Every event becomes a row, or has a written reason.',
    tags: ['rowmill'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: variables(datasource) },
    panels,
  }
  return `${JSON.stringify(dashboard, undefined, 2)}\n`
}

function panelOf(
  { title, says, unit, queries }: Panel,
  place: { id: number; gridPos: object; datasource: object },
): Record<string, unknown> {
  const targets = queries.map(([expr, legendFormat], index) => ({
    refId: String.fromCharCode(65 + index),
    datasource: place.datasource,
    expr,
    legendFormat,
  }))
  return {
    type: 'timeseries',
    ...place,
    title,
    description: says,
    fieldConfig: { defaults: { unit, min: 0, custom: { lineWidth: 1, fillOpacity: 8 } }, overrides: [] },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets,
  }
}

function variables(datasource: object): Record<string, unknown>[] {
  const query = 'label_values(up{job="rowmill"}, instance)'
  return [
    { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
    {
      name: 'instance',
      label: 'Instance',
      type: 'query',
      datasource,
      query: { query, refId: 'instance' },
      definition: query,
      includeAll: true,
      allValue: '.*',
      multi: true,
      refresh: 2,
      current: { text: 'All', value: '$__all' },
    },
  ]
}

if (import.meta.main) {
  const path = 'deploy/grafana/rowmill.json'
  writeFileSync(new URL(`../${path}`, import.meta.url), dashboardText())
  process.stdout.write(`${path}\n`)
}
