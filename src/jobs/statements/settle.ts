import type { DatabaseSession } from '../../ports/database.ts'
import { checkPlace, checkQueue } from '../check-job.ts'
import type { JobsConfig } from '../config.ts'
import type { JobHold, JobResult } from '../job.ts'
import type { EncodedPayload } from '../payload.ts'
import { wakeChannel, wakePrefix } from '../wake.ts'
import { moveToDeadLetters } from './dead-letter.ts'

type Frame = { config: JobsConfig; nowMs: number }
type Of<Kind extends JobResult['kind']> = Extract<JobResult, { kind: Kind }>

/**
 * Only running jobs have a lock id. Saying `status = 'running'` as well would let the planner take the index of
 * running jobs, and walk over all of them, where the primary key finds each.
 */
const held = 'j.id = r.id and j.lock_id = r.lock_id'

const completeSql = `
update cyclotron_jobs as j
set status = 'completed', lock_id = null, last_heartbeat = null, last_transition = to_timestamp($3::float8 / 1000),
  transition_count = least(j.transition_count::int + 1, 32767), state = null, blob = null
from unnest($1::uuid[], $2::uuid[]) as r(id, lock_id) where ${held}
returning j.id`

const completeAndDeleteSql = `
delete from cyclotron_jobs as j
using unnest($1::uuid[], $2::uuid[]) as r(id, lock_id) where ${held}
returning j.id`

/** Who completes a job completes it whether or not somebody asked to cancel it meanwhile. */
export function completeRows(
  session: DatabaseSession,
  results: readonly Of<'completed'>[],
  { config, nowMs }: Frame,
): Promise<string[]> {
  const holds = [results.map(({ id }) => id), results.map(({ lockId }) => lockId)]
  return config.doneKeepMs === 0
    ? idsOf(session, completeAndDeleteSql, holds)
    : idsOf(session, completeSql, [...holds, nowMs])
}

/**
 * A job whose cancelling was asked for while it ran does not become available again. One that goes to another
 * queue leaves its unique key behind, because a job there may have it.
 */
const changeSql = `
with changed as (
update cyclotron_jobs as j
set status = case when r.status = 'available' and j.cancel_requested_at is not null then 'canceled' else r.status end,
  lock_id = null, last_heartbeat = null, last_transition = to_timestamp($1::float8 / 1000),
  transition_count = least(j.transition_count::int + 1, 32767),
  attempt = r.attempt,
  janitor_touch_count = case when r.is_touch_free then 0 else j.janitor_touch_count end,
  scheduled = coalesce(to_timestamp(r.scheduled_ms / 1000), j.scheduled),
  queue_name = coalesce(r.queue_name, j.queue_name),
  unique_key = case when coalesce(r.queue_name, j.queue_name) = j.queue_name then j.unique_key end,
  priority = coalesce(r.priority, j.priority),
  state = case when r.has_state then r.state else j.state end,
  parameters = case when r.has_parameters then r.parameters else j.parameters end,
  metadata = case when r.has_metadata then r.metadata else j.metadata end,
  blob = case when r.has_blob then r.blob else j.blob end,
  errors = case when r.error is null then j.errors
    when jsonb_array_length(coalesce(j.errors, '[]')) >= $2 then (j.errors - 0) || r.error
    else coalesce(j.errors, '[]') || r.error end
from unnest($3::uuid[], $4::uuid[], $5::cyclotronjobstatus[], $6::smallint[], $7::boolean[], $8::float8[], $9::text[],
  $10::smallint[], $11::boolean[], $12::bytea[], $13::boolean[], $14::bytea[], $15::boolean[], $16::bytea[],
  $17::boolean[], $18::bytea[], $19::jsonb[])
  as r(id, lock_id, status, attempt, is_touch_free, scheduled_ms, queue_name, priority, has_state, state,
    has_parameters, parameters, has_metadata, metadata, has_blob, blob, error)
where ${held}
returning j.id, j.queue_name, j.status, j.scheduled
)
select id, (select count(pg_notify($20, $21 || queue_name)) from (
    select distinct queue_name from changed
    where $20 <> '' and status = 'available' and scheduled <= to_timestamp($1::float8 / 1000)
  ) as woken) as woken
from changed`

export function changeRows(
  session: DatabaseSession,
  results: readonly Of<'changed'>[],
  { config, nowMs }: Frame,
): Promise<string[]> {
  for (const result of results) {
    checkPlace(result)
    if (result.queue !== undefined) checkQueue(result.queue)
  }
  const gives = (part: keyof EncodedPayload) => results.map(({ payload }) => payload?.[part] !== undefined)
  const bytes = (part: keyof EncodedPayload) => results.map(({ payload }) => payload?.[part] ?? null)
  return idsOf(session, changeSql, [
    nowMs,
    config.errorsMax,
    results.map(({ id }) => id),
    results.map(({ lockId }) => lockId),
    results.map(({ status }) => status),
    results.map(({ attempt }) => attempt),
    results.map(({ isTouchFree }) => isTouchFree),
    results.map(({ scheduledMs }) => scheduledMs ?? null),
    results.map(({ queue }) => queue ?? null),
    results.map(({ priority }) => priority ?? null),
    gives('state'),
    bytes('state'),
    gives('parameters'),
    bytes('parameters'),
    gives('metadata'),
    bytes('metadata'),
    gives('blob'),
    bytes('blob'),
    results.map(({ error }) => (error === undefined ? null : JSON.stringify(error))),
    config.isNotifying ? wakeChannel : '',
    wakePrefix,
  ])
}

/** At most one statement for each kind of result. Answers the holds that are not their jobs' any more. */
export async function settleRows(
  session: DatabaseSession,
  results: readonly JobResult[],
  frame: Frame,
): Promise<JobHold[]> {
  const of = <Kind extends JobResult['kind']>(kind: Kind): Of<Kind>[] =>
    results.filter((result): result is Of<Kind> => result.kind === kind)
  const [completed, changed, dead] = [of('completed'), of('changed'), of('dead-letter')]
  const settled = new Set<string>()
  const note = (holds: readonly JobHold[], ids: readonly string[]): void => {
    const known = new Set(ids)
    for (const { id, lockId } of holds) if (known.has(id)) settled.add(`${id} ${lockId}`)
  }
  if (completed.length > 0) note(completed, await completeRows(session, completed, frame))
  if (changed.length > 0) note(changed, await changeRows(session, changed, frame))
  if (dead.length > 0) note(dead, await moveToDeadLetters(session, dead, frame))
  return results
    .filter(({ id, lockId }) => !settled.has(`${id} ${lockId}`))
    .map(({ id, lockId, shard }) => ({ id, lockId, shard }))
}

const beatSql = `
update cyclotron_jobs as j set last_heartbeat = to_timestamp($3::float8 / 1000)
from unnest($1::uuid[], $2::uuid[]) as r(id, lock_id) where ${held}
returning j.id, j.lock_id, j.cancel_requested_at is not null as is_canceled`

/** Says that the holds' worker lives. Holds that are not answered are lost. */
export function beatRows(
  session: DatabaseSession,
  holds: readonly JobHold[],
  nowMs: number,
): Promise<{ id: string; lock_id: string; is_canceled: boolean }[]> {
  return session.query(beatSql, [holds.map(({ id }) => id), holds.map(({ lockId }) => lockId), nowMs])
}

async function idsOf(session: DatabaseSession, sql: string, values: readonly unknown[]): Promise<string[]> {
  return (await session.query<{ id: string }>(sql, values)).map(({ id }) => id)
}
