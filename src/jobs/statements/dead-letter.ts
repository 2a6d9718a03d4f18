import type { DatabaseSession } from '../../ports/database.ts'
import type { JobsConfig } from '../config.ts'
import type { JobResult } from '../job.ts'

/** Columns that a job and a dead letter share under the same name. */
const shared =
  'id, team_id, function_id, priority, scheduled, created, last_heartbeat, janitor_touch_count, transition_count, parent_run_id, state, distinct_id, person_id, action_id, parameters, metadata, blob, attempt, attempts_max, attempted_by'

const into = `insert into cyclotron_jobs_dead_letter
  (${shared}, original_queue_name, original_status, last_transition, dlq_time, reason, errors)`

/** A creator may have used the id of an older dead letter again: the newer one takes its place. */
const instead = `on conflict (id) do update set ${[
  ...shared.split(', ').filter((name) => name !== 'id'),
  ...['original_queue_name', 'original_status', 'last_transition', 'dlq_time', 'reason', 'errors'],
]
  .map((name) => `${name} = excluded.${name}`)
  .join(', ')}`

const withError = (error: string, max: string): string =>
  `case when jsonb_array_length(coalesce(errors, '[]')) >= ${max} then (errors - 0) || ${error}
   else coalesce(errors, '[]') || ${error} end`

const moveSql = `
with gone as (
  delete from cyclotron_jobs as j
  using unnest($3::uuid[], $4::uuid[], $5::text[], $6::jsonb[]) as r(held_id, held_lock, reason, error)
  where j.id = r.held_id and j.lock_id = r.held_lock
  returning j.*, r.reason, r.error
)
${into}
select ${shared}, queue_name, status, last_transition, to_timestamp($1::float8 / 1000), reason,
  ${withError('error', '$2')}
from gone ${instead} returning id`

type Dead = Extract<JobResult, { kind: 'dead-letter' }>

/** Ids of those that were moved. */
export async function moveToDeadLetters(
  session: DatabaseSession,
  results: readonly Dead[],
  { config, nowMs }: { config: JobsConfig; nowMs: number },
): Promise<string[]> {
  const rows = await session.query<{ id: string }>(moveSql, [
    nowMs,
    config.errorsMax,
    results.map(({ id }) => id),
    results.map(({ lockId }) => lockId),
    results.map(({ reason }) => reason),
    results.map(({ error }) => JSON.stringify(error)),
  ])
  return rows.map(({ id }) => id)
}

/** The entry of an attempt whose worker was not heard of any more. */
export const stalledError = `jsonb_build_object('kind', 'stalled', 'attempt', attempt, 'atMs', $1::float8,
  'type', 'stalled', 'message', 'Its worker was not heard of any more.', 'worker', coalesce(attempted_by, ''))`

export const appendError = withError

/** Stalled jobs that have been stalled often enough. */
const poisonSql = `
with poison as (
  select id from cyclotron_jobs
  where status = 'running' and last_heartbeat < to_timestamp($3::float8 / 1000)
    and janitor_touch_count + 1 >= $4
  order by last_heartbeat limit $5 for update skip locked
), gone as (
  delete from cyclotron_jobs as j using poison where j.id = poison.id returning j.*
)
${into}
select ${shared.replace('janitor_touch_count', 'janitor_touch_count + 1')}, queue_name, status, last_transition,
  to_timestamp($1::float8 / 1000), 'poison_pill', ${withError(stalledError, '$2')}
from gone ${instead} returning id`

export async function movePoison(
  session: DatabaseSession,
  { config, nowMs }: { config: JobsConfig; nowMs: number },
): Promise<number> {
  const rows = await session.query(poisonSql, [
    nowMs,
    config.errorsMax,
    nowMs - config.stallTimeoutMs,
    config.touchesMax,
    config.janitorBatchMax,
  ])
  return rows.length
}

const reviveSql = `
with gone as (
  delete from cyclotron_jobs_dead_letter where id in (
    select id from cyclotron_jobs_dead_letter
    where ($2::uuid[] is null or id = any($2)) and ($3::text is null or original_queue_name = $3)
      and ($4::int[] is null or team_id = any($4))
      and not exists (select from cyclotron_jobs as j where j.id = cyclotron_jobs_dead_letter.id)
    order by id limit $5 for update skip locked
  ) returning *
)
insert into cyclotron_jobs (id, team_id, function_id, queue_name, priority, scheduled, created, last_transition,
  transition_count, parent_run_id, state, distinct_id, person_id, action_id, parameters, metadata, blob,
  attempts_max, attempted_by, errors)
select id, team_id, function_id, original_queue_name, priority, to_timestamp($1::float8 / 1000), created,
  to_timestamp($1::float8 / 1000), least(transition_count::int + 1, 32767), parent_run_id, state, distinct_id,
  person_id, action_id, parameters, metadata, blob, attempts_max, attempted_by, errors
from gone returning id, queue_name`

const discardSql = `
delete from cyclotron_jobs_dead_letter where id in (
  select id from cyclotron_jobs_dead_letter
  where ($1::uuid[] is null or id = any($1)) and ($2::text is null or original_queue_name = $2)
    and ($3::int[] is null or team_id = any($3))
  order by id limit $4 for update skip locked
) returning id`

/** Which dead letters are meant; null for all. */
export type DeadLetterChoice = {
  ids: readonly string[] | null
  queue: string | null
  teamIds: readonly number[] | null
  limit: number
}

/** Puts dead letters back to their queues: with their errors, new attempts, and no unique key. */
export function reviveDeadLetters(
  session: DatabaseSession,
  { ids, queue, teamIds, limit }: DeadLetterChoice,
  nowMs: number,
): Promise<{ id: string; queue_name: string }[]> {
  return session.query(reviveSql, [nowMs, ids, queue, teamIds, limit])
}

export async function discardDeadLetters(
  session: DatabaseSession,
  { ids, queue, teamIds, limit }: DeadLetterChoice,
): Promise<string[]> {
  const rows = await session.query<{ id: string }>(discardSql, [ids, queue, teamIds, limit])
  return rows.map(({ id }) => id)
}
