/**
 * Tidies up behind workers and creators, in any number of processes at once: they pass over each other's rows.
 *
 * Each run gives jobs of dead workers back or, when that happened too often, makes them dead letters; deletes
 * what has ended and was kept long enough; deletes old dead letters; measures the depths; and asks PostgreSQL
 * to vacuum when it has deleted many, because jobs come and go faster than autovacuum looks.
 *
 * Metrics carry the names of PostHog's cyclotron janitor where it has them.
 */
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { HistogramName, Metrics } from '../telemetry/metrics.ts'
import { isWorthAgain } from './again.ts'
import type { Jobs } from './jobs.ts'
import { createDueJobs } from './schedules.ts'
import type { Shard } from './shards.ts'
import { movePoison } from './statements/dead-letter.ts'
import { waitingRows } from './statements/look.ts'
import {
  countDeadLetters,
  deleteDeadLetters,
  deleteDone,
  deleteFailed,
  resetStalled,
} from './statements/tidy.ts'

export type JanitorContext = { jobs: Jobs; clock: Clock; random: Random; logger: Logger; metrics: Metrics }

export type SweepReport = {
  completed: number
  canceled: number
  failed: number
  stalled: number
  poisoned: number
  deadLetters: number
  /** Jobs that schedules have created. */
  scheduled: number
}

/** Runs until `signal` aborts. A database that is away is tried again at the next run. */
export async function runJobJanitor(
  context: JanitorContext,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { jobs, clock, logger } = context
  const janitor = createJanitor(context)
  while (!signal.aborted) {
    try {
      await janitor.sweep()
    } catch (error) {
      if (!isWorthAgain(error)) throw error
      logger.warn({ error }, 'The janitor of the job queue could not finish its run.')
    }
    await clock.sleep(jobs.config.janitorIntervalMs, { signal })
  }
}

export interface Janitor {
  /** One run over all shards. */
  sweep(): Promise<SweepReport>
}

export function createJanitor(context: JanitorContext): Janitor {
  const { jobs, clock, metrics } = context
  const deletedSinceVacuum = new Map<number, number>()
  const knownQueues = new Set<string>()
  return {
    async sweep() {
      metrics.count('cyclotron_janitor_run_starts')
      const startedAt = clock.monotonic()
      await jobs.time.align()
      const total: SweepReport = { ...nothing, scheduled: await createDueJobs(jobs) }
      for (const shard of jobs.shards.all) {
        const report = await sweepShard(context, shard)
        for (const name of counted) total[name] += report[name]
        await vacuumWhenDue(context, shard, { report, deletedSinceVacuum })
      }
      await measureDepths(context, knownQueues)
      metrics.observe('cyclotron_janitor_total_run_ms', clock.monotonic() - startedAt)
      metrics.count('cyclotron_janitor_run_ends')
      return total
    },
  }
}

const nothing: SweepReport = {
  completed: 0,
  canceled: 0,
  failed: 0,
  stalled: 0,
  poisoned: 0,
  deadLetters: 0,
  scheduled: 0,
}
const counted = ['completed', 'canceled', 'failed', 'stalled', 'poisoned', 'deadLetters'] as const

async function sweepShard(context: JanitorContext, { database }: Shard): Promise<SweepReport> {
  const { jobs, random, metrics } = context
  const { config } = jobs
  const frame = { config, nowMs: jobs.time.now() }
  const report = { ...nothing }
  const timed = <T>(name: HistogramName, work: () => Promise<T>): Promise<T> => measured(context, name, work)

  await timed('cyclotron_janitor_poison_pills_cleanup_ms', () =>
    untilShort(config.janitorBatchMax, async () => {
      const moved = await movePoison(database, frame)
      report.poisoned += moved
      return moved
    }),
  )
  await timed('cyclotron_janitor_stalled_jobs_reset_ms', () =>
    untilShort(config.janitorBatchMax, async () => {
      const seed = Math.floor(random.next() * Number.MAX_SAFE_INTEGER)
      const reset = await resetStalled(database, { ...frame, seed })
      report.stalled += reset
      return reset
    }),
  )
  await timed('cyclotron_janitor_completed_jobs_cleanup_ms', () =>
    untilShort(config.janitorBatchMax, async () => {
      const deleted = await deleteDone(database, frame)
      report.completed += deleted.completed
      report.canceled += deleted.canceled
      return deleted.completed + deleted.canceled
    }),
  )
  await timed('cyclotron_janitor_failed_jobs_cleanup_ms', () =>
    untilShort(config.janitorBatchMax, async () => {
      const deleted = await deleteFailed(database, frame)
      report.failed += deleted
      return deleted
    }),
  )
  await untilShort(config.janitorBatchMax, async () => {
    const deleted = await deleteDeadLetters(database, frame)
    report.deadLetters += deleted
    return deleted
  })
  metrics.count('cyclotron_janitor_completed_jobs', report.completed)
  metrics.count('cyclotron_janitor_canceled_jobs', report.canceled)
  metrics.count('cyclotron_janitor_failed_jobs', report.failed)
  metrics.count('cyclotron_janitor_stalled_jobs_reset', report.stalled)
  metrics.count('cyclotron_janitor_poison_pills', report.poisoned)
  return report
}

/** Goes on as long as batches are full. */
async function untilShort(batchMax: number, batch: () => Promise<number>): Promise<void> {
  while ((await batch()) >= batchMax);
}

async function vacuumWhenDue(
  { jobs, clock, metrics }: JanitorContext,
  { index, database }: Shard,
  state: { report: SweepReport; deletedSinceVacuum: Map<number, number> },
): Promise<void> {
  const { vacuumRowsMin } = jobs.config
  const { completed, canceled, failed, poisoned } = state.report
  const deleted = (state.deletedSinceVacuum.get(index) ?? 0) + completed + canceled + failed + poisoned
  const isDue = vacuumRowsMin > 0 && deleted >= vacuumRowsMin
  state.deletedSinceVacuum.set(index, isDue ? 0 : deleted)
  if (!isDue) return
  const startedAt = clock.monotonic()
  // Autovacuum at work on the table does the same: then this one is left out.
  await database.execute('vacuum (skip_locked, analyze) cyclotron_jobs')
  metrics.observe('jobs_vacuum_seconds', (clock.monotonic() - startedAt) / 1000)
}

async function measureDepths(context: JanitorContext, knownQueues: Set<string>): Promise<void> {
  const { jobs, metrics } = context
  const waiting = new Map<string, number>()
  await measured(context, 'cyclotron_available_jobs_ms', async () => {
    for (const { database } of jobs.shards.all)
      for (const { queue, count } of await waitingRows(database))
        waiting.set(queue, (waiting.get(queue) ?? 0) + count)
  })
  for (const queue of waiting.keys())
    if (knownQueues.size < jobs.config.queueLabelsMax) knownQueues.add(queue)
  for (const queue of knownQueues) metrics.set('cyclotron_available_jobs', waiting.get(queue) ?? 0, { queue })
  await measured(context, 'cyclotron_dead_letter_queue_depth_ms', async () => {
    let letters = 0
    for (const { database } of jobs.shards.all) letters += await countDeadLetters(database)
    metrics.set('cyclotron_dead_letter_queue_depth', letters)
  })
}

async function measured<T>(
  { clock, metrics }: JanitorContext,
  name: HistogramName,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = clock.monotonic()
  const answer = await work()
  metrics.observe(name, clock.monotonic() - startedAt)
  return answer
}
