/**
 * Deleting a person. The request is a row; the work is done in the background in steps that can be repeated.
 * Between them it waits until positions of the log have passed, and never by a clock:
 *
 * 1. *requested*: everything captured before the request has been ingested, what was diverted to another
 *    topic included. Then the person and its distinct ids go from PostgreSQL.
 * 2. *collected*: the batches that may have written the person before that have been settled, and their rows
 *    stand in the warehouse. Then the person's rows go there, and on request its events.
 * 3. *finished*, with the number of events removed.
 *
 * Events captured after the request belong to a new person and stay. The new person has the old uuid, which
 * follows from its id, so its rows cannot be told from the old ones: all go, and what PostgreSQL then holds
 * is written again.
 */
import { z } from 'zod'
import { isOwnGroup } from '../../event/groups.ts'
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import { hasUnread } from '../../stream/unread.ts'

export const deletionSchema = z.strictObject({
  id: z.guid(),
  person_uuid: z.guid(),
  delete_events: z.boolean(),
  stage: z.enum(['requested', 'collected', 'finished']),
  requested_at: z.string(),
  finished_at: z.string().nullable(),
  events_deleted: z.number().int().nullable(),
  error: z.string().nullable().meta({ description: 'What the last attempt failed with.' }),
})

/** `[topic, partition, offset]`: the log's end that has to be settled. */
export type LogEnd = [topic: string, partition: number, offset: number]

/**
 * What is waited for, and what it is for: `captured` and `diverted` before the person is collected, `written`
 * and `ready` before its rows are removed.
 */
export type Waiting = { for: 'captured' | 'diverted' | 'written' | 'ready'; ends: LogEnd[] }

export type Deletion = {
  id: string
  team_id: number
  person_uuid: string
  delete_events: boolean
  stage: 'requested' | 'collected' | 'finished'
  waits_for: Waiting
  distinct_ids: string[]
  requested_at: string
  finished_at: string | null
  events_deleted: string | null
  attempts: number
  error: string | null
}

export const readyTopics: readonly string[] = [
  topics.readyEvents,
  topics.readyPersons,
  topics.readyDistinctIds,
]

/** Writes the request down. */
export async function requestDeletion(
  ports: { database: Database; log: Log },
  request: { teamId: number; personUuid: string; deleteEvents: boolean },
): Promise<Deletion> {
  const waiting: Waiting = { for: 'captured', ends: await logEnds(ports.log, capturedTopics) }
  const rows = await ports.database.query<Deletion>(
    `insert into rowmill_deletion (team_id, person_uuid, delete_events, waits_for) values ($1, $2, $3, $4) returning *`,
    [request.teamId, request.personUuid, request.deleteEvents, JSON.stringify(waiting)],
  )
  const [row] = rows
  if (row === undefined) throw new Error('a statement that returns a deletion returned none')
  return row
}

export async function findDeletion(
  database: Database,
  teamId: number,
  id: string,
): Promise<Deletion | undefined> {
  const rows = await database.query<Deletion>(
    'select * from rowmill_deletion where team_id = $1 and id = $2',
    [teamId, id],
  )
  return rows[0]
}

/** The present ends of these topics. */
export async function logEnds(log: Log, names: readonly string[]): Promise<LogEnd[]> {
  const described = await log.describe()
  return described
    .filter(({ name }) => names.includes(name))
    .flatMap(({ name, bounds }) => bounds.map(({ end }, partition): LogEnd => [name, partition, end]))
    .filter(([, , end]) => end > 0)
}

/** Whether every group of ours that reads these partitions has settled them up to these ends. */
export async function isSettled(log: Log, ends: readonly LogEnd[]): Promise<boolean> {
  const positions = (await log.positions()).filter(({ group }) => isOwnGroup(group))
  for (const [topic, partition, until] of ends) {
    const readers = positions.filter((one) => one.topic === topic && one.partition === partition)
    if (readers.length === 0) return false
    for (const { position: from } of readers)
      if (await hasUnread(log, { topic, partition }, { from, until })) return false
  }
  return true
}

export function deletionBody(deletion: Deletion): z.output<typeof deletionSchema> {
  return {
    id: deletion.id,
    person_uuid: deletion.person_uuid,
    delete_events: deletion.delete_events,
    stage: deletion.stage,
    requested_at: deletion.requested_at,
    finished_at: deletion.finished_at,
    events_deleted: deletion.events_deleted === null ? null : Number(deletion.events_deleted),
    error: deletion.error,
  }
}
