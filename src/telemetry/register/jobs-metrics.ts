import { type MetricEntry, milliseconds, records, seconds } from './metric-entry.ts'

/** What the job queue counts. */
export const jobsMetrics = {
  cyclotron_available_jobs: {
    kind: 'gauge',
    help: 'Jobs that wait in a queue.',
    labels: ['queue'],
  },
  cyclotron_available_jobs_ms: {
    kind: 'histogram',
    help: 'Time of counting the jobs that wait.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_dead_letter_queue_depth: {
    kind: 'gauge',
    help: 'Jobs that became dead letters and still are.',
    labels: [],
  },
  cyclotron_dead_letter_queue_depth_ms: {
    kind: 'histogram',
    help: 'Time of counting the dead letters of jobs.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_janitor_canceled_jobs: {
    kind: 'counter',
    help: 'Canceled jobs that the janitor has deleted.',
    labels: [],
  },
  cyclotron_janitor_completed_jobs: {
    kind: 'counter',
    help: 'Completed jobs that the janitor has deleted.',
    labels: [],
  },
  cyclotron_janitor_completed_jobs_cleanup_ms: {
    kind: 'histogram',
    help: 'Time of deleting completed and canceled jobs, for each run.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_janitor_failed_jobs: {
    kind: 'counter',
    help: 'Failed jobs that the janitor has deleted.',
    labels: [],
  },
  cyclotron_janitor_failed_jobs_cleanup_ms: {
    kind: 'histogram',
    help: 'Time of deleting failed jobs, for each run.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_janitor_poison_pills: {
    kind: 'counter',
    help: 'Jobs that stalled so often that they became dead letters.',
    labels: [],
  },
  cyclotron_janitor_poison_pills_cleanup_ms: {
    kind: 'histogram',
    help: 'Time of moving jobs that stalled too often, for each run.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_janitor_run_ends: {
    kind: 'counter',
    help: 'Runs of the janitor that got to their end.',
    labels: [],
  },
  cyclotron_janitor_run_starts: {
    kind: 'counter',
    help: 'Runs of the janitor that began.',
    labels: [],
  },
  cyclotron_janitor_stalled_jobs_reset: {
    kind: 'counter',
    help: 'Jobs of dead workers that were given back.',
    labels: [],
  },
  cyclotron_janitor_stalled_jobs_reset_ms: {
    kind: 'histogram',
    help: 'Time of giving back jobs of dead workers, for each run.',
    labels: [],
    buckets: milliseconds,
  },
  cyclotron_janitor_total_run_ms: {
    kind: 'histogram',
    help: 'Time of a whole run of the janitor.',
    labels: [],
    buckets: milliseconds,
  },
  jobs_attempt_seconds: {
    kind: 'histogram',
    help: 'Time from the start of a handler to its end.',
    labels: [],
    buckets: seconds,
  },
  jobs_attempts_total: {
    kind: 'counter',
    help: 'Attempts of jobs that have ended, by how.',
    labels: ['end'],
  },
  jobs_claim_batch_jobs: {
    kind: 'histogram',
    help: 'Jobs that one claim has given a worker.',
    labels: [],
    buckets: records,
  },
  jobs_created_total: {
    kind: 'counter',
    help: 'Jobs that were created.',
    labels: [],
  },
  jobs_lost_total: {
    kind: 'counter',
    help: 'Jobs that a worker had to let go, because another has them or may soon.',
    labels: [],
  },
  jobs_vacuum_seconds: {
    kind: 'histogram',
    help: 'Time of vacuuming the table of jobs.',
    labels: [],
    buckets: seconds,
  },
} as const satisfies Record<string, MetricEntry>
