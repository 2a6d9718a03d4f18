import type { ClaimedJob, DeadLetterReason, Job, JobEntry, JobError, JobStatus } from '../job.ts'
import { decodePayload, type EncodedPayload } from '../payload.ts'

/** `scheduled` and the like as ms. `extract` would compute a numeric, which costs ten times as much. */
export const msOf = (column: string): string => `date_part('epoch', ${column}) * 1000`

/** Columns that a worker gets. */
export const claimedColumns = (alias: string): string =>
  [
    ...['id', 'queue_name', 'team_id', 'function_id', 'priority'].map((name) => `${alias}.${name}`),
    `${msOf(`${alias}.scheduled`)} as scheduled_ms`,
    `${msOf(`${alias}.created`)} as created_ms`,
    ...['attempt', 'attempts_max', 'transition_count', 'janitor_touch_count'].map(
      (name) => `${alias}.${name}`,
    ),
    ...['parent_run_id', 'distinct_id', 'person_id', 'action_id', 'errors'].map((name) => `${alias}.${name}`),
    ...['state', 'parameters', 'metadata', 'blob'].map((name) => `${alias}.${name}`),
  ].join(', ')

type HeadRow = {
  id: string
  queue_name: string
  team_id: number
  function_id: string | null
  priority: number
  scheduled_ms: number
  created_ms: number
  attempt: number
  attempts_max: number
  transition_count: number
  janitor_touch_count: number
  parent_run_id: string | null
  distinct_id: string | null
  person_id: string | null
  action_id: string | null
  errors: JobError[] | null
}

export type ClaimedRow = HeadRow & EncodedPayload

export type EntryRow = HeadRow & {
  status: JobStatus | 'dead_letter'
  last_transition_ms: number
  last_heartbeat_ms: number | null
  attempted_by: string | null
  cancel_requested: boolean
  unique_key: string | null
  reason: DeadLetterReason | null
}

function headOf(row: HeadRow) {
  return {
    id: row.id,
    queue: row.queue_name,
    teamId: row.team_id,
    functionId: row.function_id,
    priority: row.priority,
    scheduledMs: Math.round(row.scheduled_ms),
    createdMs: Math.round(row.created_ms),
    attempt: row.attempt,
    attemptsMax: row.attempts_max,
    transitions: row.transition_count,
    touches: row.janitor_touch_count,
    parentRunId: row.parent_run_id,
    distinctId: row.distinct_id,
    personId: row.person_id,
    actionId: row.action_id,
    errors: row.errors ?? [],
  }
}

export function claimedJob(
  row: ClaimedRow,
  { lockId, shard }: { lockId: string; shard: number },
): ClaimedJob {
  return { ...headOf(row), ...decodePayload(row), lockId, shard }
}

export function entryOf(row: EntryRow): JobEntry {
  return {
    ...headOf(row),
    status: row.status,
    lastTransitionMs: Math.round(row.last_transition_ms),
    lastHeartbeatMs: row.last_heartbeat_ms === null ? null : Math.round(row.last_heartbeat_ms),
    worker: row.attempted_by,
    isCancelRequested: row.cancel_requested,
    uniqueKey: row.unique_key,
    reason: row.reason,
  }
}

export function jobOf(row: EntryRow & EncodedPayload): Job {
  return { ...entryOf(row), ...decodePayload(row) }
}
