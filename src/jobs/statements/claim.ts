import type { DatabaseSession } from '../../ports/database.ts'
import { type ClaimedRow, claimedColumns } from './rows.ts'

/**
 * Claims the most urgent waiting jobs of a queue for a worker. Rows that another worker is claiming are passed
 * over, so workers neither wait for each other nor get the same job. A row that is locked does not move, so its
 * place (`ctid`) finds it without a second search in an index.
 */
const claimSql = `
update cyclotron_jobs as j
set status = 'running', lock_id = $4, last_heartbeat = to_timestamp($2::float8 / 1000),
  last_transition = to_timestamp($2::float8 / 1000), attempted_by = $5,
  attempt = least(j.attempt + 1, 32767), transition_count = least(j.transition_count::int + 1, 32767)
where j.ctid = any(array(
  select ctid from cyclotron_jobs
  where status = 'available' and queue_name = $1 and scheduled <= to_timestamp($2::float8 / 1000)
  order by priority, scheduled limit $3 for update skip locked
))
returning ${claimedColumns('j')}`

type Claim = { queue: string; limit: number; lockId: string; worker: string; nowMs: number }

/** In the order in which they are to be run. */
export async function claimRows(session: DatabaseSession, claim: Claim): Promise<ClaimedRow[]> {
  const { queue, limit, lockId, worker, nowMs } = claim
  const rows = await session.query<ClaimedRow>(claimSql, [queue, nowMs, limit, lockId, worker])
  return rows.sort((left, right) => left.priority - right.priority || left.scheduled_ms - right.scheduled_ms)
}
