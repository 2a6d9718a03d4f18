import { topics } from '../../event/topics.ts'
import type { NewRecord } from '../../ports/log.ts'
import { clickhouseSeconds } from '../../std/time.ts'
import type { PersonChanges } from './person-changes.ts'
import type { PersonState } from './person-state.ts'

/** A distinct id that was moved to another person by a statement, as the database returned it. */
export type MovedId = { teamId: number; distinctId: string; personUuid: string; version: number }

/** How far the version of a deleted person's row lies above its last one: PostHog's distance. */
const deletedVersionStep = 100

/** The messages about changed persons and distinct ids: PostHog's columns and forms. */
export function personRecords(changes: PersonChanges, moved: readonly MovedId[]): NewRecord[] {
  const records: NewRecord[] = []
  for (const { person, propertiesText, version } of [...changes.created, ...changes.updated])
    records.push(personRecord(person, { propertiesText, version, isDeleted: false }))
  for (const { stored, properties } of changes.merged) {
    const row = { ...stored, propertiesText: JSON.stringify(properties) }
    records.push(
      personRecord(row, {
        propertiesText: row.propertiesText,
        version: stored.version + deletedVersionStep,
        isDeleted: true,
      }),
    )
  }
  const added = changes.addedIds.flatMap(({ stored, person, version }): MovedId[] =>
    person === undefined ? [] : [{ ...stored, personUuid: person.uuid, version }],
  )
  for (const id of [...added, ...moved]) records.push(distinctIdRecord(id))
  return records
}

function personRecord(
  person: Pick<PersonState, 'uuid' | 'teamId' | 'createdAtMs' | 'isIdentified' | 'lastSeenAtMs'>,
  row: { propertiesText: string; version: number; isDeleted: boolean },
): NewRecord {
  const message = {
    id: person.uuid,
    created_at: clickhouseSeconds(person.createdAtMs),
    properties: row.propertiesText,
    team_id: person.teamId,
    is_identified: Number(person.isIdentified),
    is_deleted: Number(row.isDeleted),
    version: row.version,
    last_seen_at: person.lastSeenAtMs === undefined ? null : clickhouseSeconds(person.lastSeenAtMs),
  }
  return { topic: topics.readyPersons, key: person.uuid, value: Buffer.from(JSON.stringify(message)) }
}

function distinctIdRecord(id: MovedId): NewRecord {
  const message = {
    distinct_id: id.distinctId,
    person_id: id.personUuid,
    team_id: id.teamId,
    version: id.version,
    is_deleted: 0,
  }
  return { topic: topics.readyDistinctIds, key: id.distinctId, value: Buffer.from(JSON.stringify(message)) }
}
