import type { DatabaseSession } from '../../ports/database.ts'
import { cancelPrefix, wakeChannel, wakePrefix } from '../wake.ts'

type Frame = { nowMs: number; isNotifying: boolean; teamIds: readonly number[] | null }

const cancelSql = `
with asked as (
  update cyclotron_jobs
  set cancel_requested_at = coalesce(cancel_requested_at, to_timestamp($2::float8 / 1000)),
    last_transition = case when status = 'available' then to_timestamp($2::float8 / 1000) else last_transition end,
    transition_count = case when status = 'available' then least(transition_count::int + 1, 32767) else transition_count end,
    status = case when status = 'available' then 'canceled' else status end
  where id = any($1::uuid[]) and status in ('available', 'running') and ($5::int[] is null or team_id = any($5))
  returning id, status
)
select id, status, (select count(pg_notify($3, $4 || id::text)) from asked where status = 'running' and $3 <> '')
from asked`

/** Waiting jobs are canceled at once; a running one's worker is asked to stop. */
export function cancelRows(
  session: DatabaseSession,
  ids: readonly string[],
  { nowMs, isNotifying, teamIds }: Frame,
): Promise<{ id: string; status: 'canceled' | 'running' }[]> {
  return session.query(cancelSql, [ids, nowMs, isNotifying ? wakeChannel : '', cancelPrefix, teamIds])
}

/** Its key may have been given to another job meanwhile, so it goes on without. */
const retrySql = `
update cyclotron_jobs
set status = 'available', scheduled = to_timestamp($2::float8 / 1000), attempt = 0, janitor_touch_count = 0,
  cancel_requested_at = null, unique_key = null, last_transition = to_timestamp($2::float8 / 1000),
  transition_count = least(transition_count::int + 1, 32767)
where id = any($1::uuid[]) and status in ('failed', 'canceled') and ($3::int[] is null or team_id = any($3))
returning id, queue_name`

/** Failed and canceled jobs become available at once, with new attempts. */
export function retryRows(
  session: DatabaseSession,
  ids: readonly string[],
  { nowMs, teamIds }: Frame,
): Promise<{ id: string; queue_name: string }[]> {
  return session.query(retrySql, [ids, nowMs, teamIds])
}

export async function notifyQueues(
  session: DatabaseSession,
  queues: readonly string[],
  { isNotifying }: Pick<Frame, 'isNotifying'>,
): Promise<void> {
  if (!isNotifying || queues.length === 0) return
  await session.query('select pg_notify($1, $2 || queue) from unnest($3::text[]) as r(queue)', [
    wakeChannel,
    wakePrefix,
    [...new Set(queues)],
  ])
}
