import type { DatabaseSession } from '../../ports/database.ts'
import type { JobStatus } from '../job.ts'
import type { EncodedPayload } from '../payload.ts'
import { type EntryRow, msOf } from './rows.ts'

const heads =
  'id, team_id, function_id, priority, transition_count, janitor_touch_count, parent_run_id, distinct_id, person_id, action_id, attempt, attempts_max, attempted_by, errors'
const times = `${msOf('scheduled')} as scheduled_ms, ${msOf('created')} as created_ms,
  ${msOf('last_transition')} as last_transition_ms, ${msOf('last_heartbeat')} as last_heartbeat_ms`
const payload = 'state, parameters, metadata, blob'
const jobColumns = `${heads}, ${times}, queue_name, status::text as status, unique_key, null as reason,
  cancel_requested_at is not null as cancel_requested`
const letterColumns = `${heads}, ${times}, original_queue_name as queue_name, 'dead_letter' as status,
  null as unique_key, reason, false as cancel_requested`

export type JobFilter = {
  status?: JobStatus | 'dead_letter' | undefined
  queue?: string | undefined
  teamIds?: readonly number[] | undefined
  functionId?: string | undefined
  distinctId?: string | undefined
  personId?: string | undefined
  actionId?: string | undefined
  /** Only jobs that were created before this one. */
  beforeId?: string | undefined
  /** Only jobs that were created after this one, nearest first. */
  afterId?: string | undefined
  limit: number
}

/** Newest first (with `afterId` oldest first). */
export function listRows(session: DatabaseSession, filter: JobFilter): Promise<EntryRow[]> {
  const isLetters = filter.status === 'dead_letter'
  const values: unknown[] = [filter.limit]
  const conditions: string[] = []
  const where = (condition: string, value: unknown): void => {
    if (value === undefined) return
    values.push(value)
    conditions.push(condition.replace('?', `$${values.length}`))
  }
  where(`${isLetters ? 'original_queue_name' : 'queue_name'} = ?`, filter.queue)
  if (!isLetters) where('status = ?::cyclotronjobstatus', filter.status)
  where('team_id = any(?::int[])', filter.teamIds)
  where('function_id = ?::uuid', filter.functionId)
  where('distinct_id = ?', filter.distinctId)
  where('person_id = ?', filter.personId)
  where('action_id = ?', filter.actionId)
  where('id < ?::uuid', filter.beforeId)
  where('id > ?::uuid', filter.afterId)
  return session.query<EntryRow>(
    `select ${isLetters ? letterColumns : jobColumns}
     from ${isLetters ? 'cyclotron_jobs_dead_letter' : 'cyclotron_jobs'}
     ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`}
     order by id ${filter.afterId === undefined ? 'desc' : 'asc'} limit $1`,
    values,
  )
}

export async function findRow(
  session: DatabaseSession,
  id: string,
): Promise<(EntryRow & EncodedPayload) | undefined> {
  const rows = await session.query<EntryRow & EncodedPayload>(
    `select ${jobColumns}, ${payload} from cyclotron_jobs where id = $1
     union all select ${letterColumns}, ${payload} from cyclotron_jobs_dead_letter where id = $1`,
    [id],
  )
  return rows[0]
}

export type CountRow = {
  queue: string
  status: JobStatus | 'dead_letter'
  count: number
  oldestMs: number | null
}

/** Jobs of each queue by status; `oldestMs` is the earliest time that a waiting one is scheduled for. */
export async function countRows(
  session: DatabaseSession,
  teamIds: readonly number[] | undefined,
): Promise<CountRow[]> {
  const rows = await session.query<Omit<CountRow, 'oldestMs'> & { oldest_ms: number | null }>(
    `select queue_name as queue, status::text as status, count(*)::float8 as count,
       case when status = 'available' then ${msOf('min(scheduled)')} end as oldest_ms
     from cyclotron_jobs where $1::int[] is null or team_id = any($1) group by queue_name, status
     union all
     select original_queue_name, 'dead_letter', count(*)::float8, null from cyclotron_jobs_dead_letter
     where $1::int[] is null or team_id = any($1) group by original_queue_name`,
    [teamIds ?? null],
  )
  return rows.map(({ oldest_ms, ...row }) => ({
    ...row,
    oldestMs: oldest_ms === null ? null : Math.round(oldest_ms),
  }))
}

/** Waiting jobs of each queue. */
export async function waitingRows(session: DatabaseSession): Promise<{ queue: string; count: number }[]> {
  return session.query(
    `select queue_name as queue, count(*)::float8 as count from cyclotron_jobs where status = 'available'
     group by queue_name`,
  )
}
