/**
 * Jobs that come again and again: each minute, each hour, each day. A schedule is a row with the time of its next
 * job. Whoever finds it due moves it on and creates the job in one statement, so of any number of processes one
 * does. Times are multiples of the interval since the epoch: a schedule of a minute is due when a minute begins.
 * What was missed while nothing ran is made up for by one job, not by many; and as long as the job of the last
 * time waits or runs, no second one is created.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Database } from '../ports/database.ts'
import { checkQueue } from './check-job.ts'
import type { Jobs } from './jobs.ts'
import { decodeJson, encodeJson } from './payload.ts'
import { msOf } from './statements/rows.ts'

export type JobSchedule = {
  /** 1 to 200 characters; a schedule of the same name is replaced. */
  name: string
  teamId: number
  queue: string
  /** At least 1000. */
  everyMs: number
  parameters?: unknown
}

const nameMax = 200

export async function putSchedule(jobs: Jobs, schedule: JobSchedule): Promise<void> {
  const { name, teamId, queue, everyMs, parameters } = schedule
  checkQueue(queue)
  if (name === '' || name.length > nameMax || !(Number.isInteger(everyMs) && everyMs >= 1000))
    throw new RowmillError('JOB_INVALID', 'A schedule needs a name and whole everyMs of at least 1000.')
  const nowMs = jobs.time.now()
  const values = [
    ...[name, teamId, queue, everyMs, encodeJson(parameters, 'parameters', jobs.config)],
    nextAt(nowMs, everyMs),
  ]
  await home(jobs).execute(
    `insert into rowmill_job_schedules (name, team_id, queue_name, every_ms, parameters, next_at)
     values ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000))
     on conflict (name) do update set team_id = excluded.team_id, queue_name = excluded.queue_name,
       parameters = excluded.parameters, every_ms = excluded.every_ms,
       next_at = case when rowmill_job_schedules.every_ms = excluded.every_ms
         then rowmill_job_schedules.next_at else excluded.next_at end`,
    values,
  )
}

/** Whether there was one. Jobs that it has created stay. */
export async function deleteSchedule(jobs: Jobs, name: string): Promise<boolean> {
  return (await home(jobs).execute('delete from rowmill_job_schedules where name = $1', [name])) === 1
}

export async function listSchedules(jobs: Jobs): Promise<(JobSchedule & { nextMs: number })[]> {
  const rows = await home(jobs).query<{
    name: string
    team_id: number
    queue_name: string
    every_ms: string
    parameters: Buffer | null
    next_ms: number
  }>(
    `select name, team_id, queue_name, every_ms, parameters, ${msOf('next_at')} as next_ms
     from rowmill_job_schedules order by name`,
  )
  return rows.map((row) => ({
    name: row.name,
    teamId: row.team_id,
    queue: row.queue_name,
    everyMs: Number(row.every_ms),
    parameters: decodeJson(row.parameters),
    nextMs: Math.round(row.next_ms),
  }))
}

const dueSql = `
with due as (
  select name from rowmill_job_schedules where next_at <= to_timestamp($1::float8 / 1000)
  order by next_at limit $2 for update skip locked
)
update rowmill_job_schedules as s
set last_at = s.next_at,
  next_at = to_timestamp((floor($1::float8 / s.every_ms) + 1) * s.every_ms / 1000)
from due where s.name = due.name
returning s.name, s.team_id, s.queue_name, s.parameters, ${msOf('s.last_at')} as due_ms`

/** Creates the jobs of schedules that are due. Answers how many there were. */
export async function createDueJobs(jobs: Jobs): Promise<number> {
  const { time } = jobs
  const dueMax = 1000
  return await home(jobs).transaction(async (session) => {
    const due = await session.query<{
      name: string
      team_id: number
      queue_name: string
      parameters: Buffer | null
      due_ms: number
    }>(dueSql, [time.now(), dueMax])
    const created = await jobs.createIn(
      session,
      due.map((row) => ({
        teamId: row.team_id,
        queue: row.queue_name,
        uniqueKey: `schedule ${row.name}`,
        parameters: decodeJson(row.parameters),
        metadata: { schedule: row.name, dueMs: Math.round(row.due_ms) },
      })),
    )
    return created.filter((id) => id !== undefined).length
  })
}

function nextAt(nowMs: number, everyMs: number): number {
  return (Math.floor(nowMs / everyMs) + 1) * everyMs
}

/** Schedules and their jobs lie in the first shard, so that one transaction changes both. */
function home(jobs: Jobs): Database {
  const [first] = jobs.shards.all
  assert(first !== undefined)
  return first.database
}
