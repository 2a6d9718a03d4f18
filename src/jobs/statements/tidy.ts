/** What the janitor does, a statement each. Several janitors pass over each other's rows. */
import type { DatabaseSession } from '../../ports/database.ts'
import type { JobsConfig } from '../config.ts'
import { appendError, stalledError } from './dead-letter.ts'

type Frame = { config: JobsConfig; nowMs: number }

/** A row that is locked does not move, so its place is the quickest way to it. */
const deleteSql = (statuses: string): string => `
delete from cyclotron_jobs where ctid = any(array(
  select ctid from cyclotron_jobs where status ${statuses} and last_transition < to_timestamp($1::float8 / 1000)
  order by last_transition limit $2 for update skip locked
)) returning status`
const deleteDoneSql = deleteSql("in ('completed', 'canceled')")
const deleteFailedSql = deleteSql("= 'failed'")

export type DeletedCounts = { completed: number; canceled: number; failed: number }

/** One batch; whoever calls goes on as long as batches are full. */
export async function deleteDone(session: DatabaseSession, { config, nowMs }: Frame): Promise<DeletedCounts> {
  const rows = await session.query<{ status: 'completed' | 'canceled' }>(deleteDoneSql, [
    nowMs - config.doneKeepMs,
    config.janitorBatchMax,
  ])
  const completed = rows.filter(({ status }) => status === 'completed').length
  return { completed, canceled: rows.length - completed, failed: 0 }
}

export async function deleteFailed(session: DatabaseSession, { config, nowMs }: Frame): Promise<number> {
  return session.execute(deleteFailedSql, [nowMs - config.failedKeepMs, config.janitorBatchMax])
}

export function deleteDeadLetters(session: DatabaseSession, { config, nowMs }: Frame): Promise<number> {
  return session.execute(
    `delete from cyclotron_jobs_dead_letter where ctid = any(array(
       select ctid from cyclotron_jobs_dead_letter where dlq_time < to_timestamp($1::float8 / 1000)
       order by dlq_time limit $2 for update skip locked))`,
    [nowMs - config.deadLetterKeepMs, config.janitorBatchMax],
  )
}

/**
 * Half of the wait is fixed and half is chance, so that jobs which stalled together are not claimed together
 * again: that tells the one that kills its worker from those beside it.
 */
const resetSql = `
with stalled as (
  select id, least($4::float8 * power(2, least(janitor_touch_count, 30)), $5::float8)
    * (0.5 + 0.5 * (hashtextextended(id::text, $6::bigint) & 1048575) / 1048576) as delay_ms
  from cyclotron_jobs
  where status = 'running' and last_heartbeat < to_timestamp($3::float8 / 1000)
  order by last_heartbeat limit $7 for update skip locked
)
update cyclotron_jobs as j
set status = case when j.cancel_requested_at is null then 'available' else 'canceled' end::cyclotronjobstatus,
  lock_id = null, last_heartbeat = null, janitor_touch_count = j.janitor_touch_count + 1,
  attempt = greatest(j.attempt - 1, 0), transition_count = least(j.transition_count::int + 1, 32767),
  last_transition = to_timestamp($1::float8 / 1000),
  scheduled = to_timestamp(($1::float8 + stalled.delay_ms) / 1000),
  errors = ${appendError(stalledError, '$2')}
from stalled where j.id = stalled.id`

/** Gives jobs of dead workers back. Poison has to be moved away before. `seed` decides their delays. */
export function resetStalled(
  session: DatabaseSession,
  { config, nowMs, seed }: Frame & { seed: number },
): Promise<number> {
  return session.execute(resetSql, [
    nowMs,
    config.errorsMax,
    nowMs - config.stallTimeoutMs,
    config.stallDelayMs,
    config.stallDelayMaxMs,
    seed,
    config.janitorBatchMax,
  ])
}

export async function countDeadLetters(session: DatabaseSession): Promise<number> {
  const rows = await session.query<{ count: number }>(
    'select count(*)::float8 as count from cyclotron_jobs_dead_letter',
  )
  return rows[0]?.count ?? 0
}

/** Waiting jobs, counted no further than `max`. */
export async function countWaiting(session: DatabaseSession, max: number): Promise<number> {
  const rows = await session.query<{ count: number }>(
    "select count(*)::float8 as count from (select from cyclotron_jobs where status = 'available' limit $1) as waiting",
    [max],
  )
  return rows[0]?.count ?? 0
}
