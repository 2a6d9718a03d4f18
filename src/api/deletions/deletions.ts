/**
 * Deleting a person. The request is a row; the work is done in the background in steps that can be repeated:
 *
 * 1. *requested*: wait until ingest has settled everything captured before the request, because it might
 *    bring the person back; then remove the person and its distinct ids from PostgreSQL.
 * 2. *collected*: wait until the datasets have written every row that was on its way; then remove the
 *    person's rows, and on request its events, from the warehouse.
 * 3. *finished*, with the number of events removed.
 *
 * Events captured after the request belong to a new person and stay.
 */
import { z } from 'zod'
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'

export const deletionSchema = z.strictObject({
  id: z.uuid(),
  person_uuid: z.uuid(),
  delete_events: z.boolean(),
  stage: z.enum(['requested', 'collected', 'finished']),
  requested_at: z.string(),
  finished_at: z.string().nullable(),
  events_deleted: z.number().int().nullable(),
  error: z.string().nullable().meta({ description: 'What the last attempt failed with.' }),
})

/** `[topic, partition, offset]`: the log's end that has to be settled. */
export type LogEnd = [topic: string, partition: number, offset: number]

export type Deletion = {
  id: string
  team_id: number
  person_uuid: string
  delete_events: boolean
  stage: 'requested' | 'collected' | 'finished'
  waits_for: LogEnd[]
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

export async function requestDeletion(
  ports: { database: Database; log: Log },
  request: { teamId: number; personUuid: string; deleteEvents: boolean },
): Promise<Deletion> {
  const ends = await logEnds(ports.log, capturedTopics)
  const rows = await ports.database.query<Deletion>(
    `insert into rowmill_deletion (team_id, person_uuid, delete_events, waits_for) values ($1, $2, $3, $4) returning *`,
    [request.teamId, request.personUuid, request.deleteEvents, JSON.stringify(ends)],
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

/** Whether every group that reads these partitions has settled them up to these ends. */
export async function isSettled(log: Log, ends: readonly LogEnd[]): Promise<boolean> {
  const positions = await log.positions()
  return ends.every(([topic, partition, end]) => {
    const readers = positions.filter(
      (position) => position.topic === topic && position.partition === partition,
    )
    return readers.length > 0 && readers.every(({ position }) => position >= end)
  })
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
