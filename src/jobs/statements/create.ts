import type { DatabaseSession } from '../../ports/database.ts'
import { checkJob } from '../check-job.ts'
import type { JobsConfig } from '../config.ts'
import type { NewJob } from '../job.ts'
import { encodePayload } from '../payload.ts'
import { wakeChannel, wakePrefix } from '../wake.ts'

/** A job that was checked, with everything that the creator may leave out. */
export type ReadyJob = NewJob & { id: string; scheduledMs: number }

/** One array for each column; a column that no job has is a null, which costs nothing. */
const columns = [
  ['id', 'uuid'],
  ['team_id', 'int'],
  ['function_id', 'uuid'],
  ['queue_name', 'text'],
  ['priority', 'smallint'],
  ['scheduled_ms', 'float8'],
  ['parent_run_id', 'text'],
  ['distinct_id', 'text'],
  ['person_id', 'text'],
  ['action_id', 'text'],
  ['attempts_max', 'smallint'],
  ['unique_key', 'text'],
  ['state', 'bytea'],
  ['parameters', 'bytea'],
  ['metadata', 'bytea'],
  ['blob', 'bytea'],
] as const

const arrays = columns.map(([, type], at) => `$${at + 4}::${type}[]`).join(', ')
const names = columns.map(([name]) => name).join(', ')

/**
 * Creates all of them or, when the statement fails, none; tells listening workers in the same transaction. A
 * unique key that is taken, or an id that exists, leaves its job out.
 */
const createSql = `
with given as (select * from unnest(${arrays}) as r(${names})),
added as (
  insert into cyclotron_jobs (id, team_id, function_id, queue_name, priority, scheduled, created, last_transition,
    parent_run_id, distinct_id, person_id, action_id, attempts_max, unique_key, state, parameters, metadata, blob)
  select id, team_id, function_id, queue_name, priority, to_timestamp(scheduled_ms / 1000),
    to_timestamp($1::float8 / 1000), to_timestamp($1::float8 / 1000), parent_run_id, distinct_id, person_id,
    action_id, attempts_max, unique_key, state, parameters, metadata, blob
  from given
  on conflict do nothing
  returning id, queue_name, scheduled
)
select id, (select count(pg_notify($2, $3 || queue_name)) from (
    select distinct queue_name from added where $2 <> '' and scheduled <= to_timestamp($1::float8 / 1000)
  ) as woken) as woken
from added`

/** Ids of the jobs that were created. */
export async function insertJobs(
  session: DatabaseSession,
  jobs: readonly ReadyJob[],
  { config, nowMs }: { config: JobsConfig; nowMs: number },
): Promise<Set<string>> {
  const payloads = jobs.map((job) => encodePayload(job, config))
  const column = <T>(values: readonly (T | null | undefined)[]): (T | null | undefined)[] | null =>
    values.every((value) => value === null || value === undefined) ? null : [...values]
  const rows = await session.query<{ id: string }>(createSql, [
    nowMs,
    config.isNotifying ? wakeChannel : '',
    wakePrefix,
    jobs.map(({ id }) => id),
    jobs.map(({ teamId }) => teamId),
    column(jobs.map(({ functionId }) => functionId)),
    jobs.map(({ queue }) => queue),
    jobs.map(({ priority }) => priority ?? 0),
    jobs.map(({ scheduledMs }) => scheduledMs),
    column(jobs.map(({ parentRunId }) => parentRunId)),
    column(jobs.map(({ distinctId }) => distinctId)),
    column(jobs.map(({ personId }) => personId)),
    column(jobs.map(({ actionId }) => actionId)),
    jobs.map(({ attemptsMax }) => attemptsMax ?? config.attemptsMax),
    column(jobs.map(({ uniqueKey }) => uniqueKey)),
    column(payloads.map(({ state }) => state)),
    column(payloads.map(({ parameters }) => parameters)),
    column(payloads.map(({ metadata }) => metadata)),
    column(payloads.map(({ blob }) => blob)),
  ])
  return new Set(rows.map(({ id }) => id))
}

export function readyJob(job: NewJob, made: { id: string; nowMs: number }): ReadyJob {
  checkJob(job)
  return { ...job, id: job.id ?? made.id, scheduledMs: job.scheduledMs ?? made.nowMs }
}
