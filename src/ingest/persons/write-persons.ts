import type { DatabaseSession } from '../../ports/database.ts'
import { expectCount } from '../entities/conflict.ts'
import type { PersonChanges, PersonRow } from './person-changes.ts'
import type { MovedId } from './person-records.ts'
import type { IdState, PersonState, StoredPerson } from './person-state.ts'

/**
 * Writes what a batch changed, in a fixed handful of statements. Every statement says how many rows it
 * expects to touch; any other number means that somebody else wrote since the batch was loaded, and ends the
 * transaction by a conflict. Rows travel as one JSON text, which spares escaping every element of an array,
 * and in the order of their keys, so that two writers wait for each other rather than lock crosswise.
 */
export async function writePersons(
  session: DatabaseSession,
  changes: PersonChanges,
): Promise<WrittenPersons> {
  await lockPersons(session, changes)
  const rowIds = await insertPersons(session, changes.created)
  await insertIds(session, changes.addedIds, rowIds)
  await writePersonless(session, changes)
  await updatePersons(session, changes)
  const moved = await moveIds(session, changes, rowIds)
  await deletePersons(session, changes)
  return { moved, rows: [...storedRows(changes.created, rowIds), ...storedRows(changes.updated, rowIds)] }
}

/** The ids that a merge moved, and the rows as they stand once the transaction is committed. */
export type WrittenPersons = { moved: MovedId[]; rows: StoredPerson[] }

function storedRows(rows: readonly PersonRow[], rowIds: RowIds): StoredPerson[] {
  return rows.map(({ person, propertiesText, version }) => {
    const { uuid, teamId, createdAtMs, properties, isIdentified, lastSeenAtMs } = person
    const id = rowIdOf(person, rowIds)
    return { id, uuid, teamId, createdAtMs, properties, propertiesText, isIdentified, version, lastSeenAtMs }
  })
}

/**
 * Where ids change hands, several rows of several tables are locked one after the other. Taking the persons
 * first, in the order of their numbers, keeps two such writers from waiting for each other until PostgreSQL
 * ends one of them after a second. A batch that only updates persons locks nothing else and needs none of it.
 */
async function lockPersons(session: DatabaseSession, changes: PersonChanges): Promise<void> {
  if (changes.addedIds.length + changes.merged.length === 0) return
  const ids = new Set(changes.updated.map(({ stored }) => stored.id))
  for (const { person } of changes.addedIds) if (person?.stored !== undefined) ids.add(person.stored.id)
  for (const { stored, into } of changes.merged) {
    ids.add(stored.id)
    if (into.stored !== undefined) ids.add(into.stored.id)
  }
  if (ids.size === 0) return
  const rows = await session.query(
    'select id from posthog_person where id = any($1::int8[]) order by id for update',
    [[...ids]],
  )
  expectCount('lock persons', rows.length, ids.size)
}

type RowIds = ReadonlyMap<PersonState, string>

const personColumns = `uuid uuid, team_id int4, created_at_ms float8, properties jsonb, is_identified bool,
  version int8, last_seen_at_ms float8`

async function insertPersons(session: DatabaseSession, created: readonly PersonRow[]): Promise<RowIds> {
  const rowIds = new Map<PersonState, string>()
  if (created.length === 0) return rowIds
  const rows = [...created].sort((left, right) => compare(left.person.uuid, right.person.uuid))
  const inserted = await session.query<{ id: string; uuid: string; team_id: number }>(
    `insert into posthog_person (uuid, team_id, created_at, properties, is_identified, version, last_seen_at)
     select uuid, team_id, to_timestamp(created_at_ms / 1000), properties, is_identified, version,
       to_timestamp(last_seen_at_ms / 1000)
     from json_to_recordset($1::json) as r(${personColumns})
     on conflict do nothing returning id, uuid, team_id`,
    [jsonRows(rows.map(personJson))],
  )
  expectCount('insert persons', inserted.length, rows.length)
  const ids = new Map(inserted.map((row) => [`${row.team_id}:${row.uuid}`, row.id]))
  for (const { person } of rows) {
    const id = ids.get(`${person.teamId}:${person.uuid}`)
    if (id !== undefined) rowIds.set(person, id)
  }
  return rowIds
}

async function insertIds(session: DatabaseSession, added: readonly IdState[], rowIds: RowIds): Promise<void> {
  if (added.length === 0) return
  const rows = sortedIds(added).map(({ stored, person, version }) => ({
    team_id: stored.teamId,
    distinct_id: stored.distinctId,
    person_id: rowIdOf(person, rowIds),
    version,
  }))
  const count = await session.execute(
    `insert into posthog_persondistinctid (team_id, distinct_id, person_id, version)
     select team_id, distinct_id, person_id, version
     from json_to_recordset($1::json) as r(team_id int4, distinct_id text, person_id int8, version int8)
     on conflict do nothing`,
    [JSON.stringify(rows)],
  )
  expectCount('insert distinct ids', count, rows.length)
}

async function writePersonless(session: DatabaseSession, changes: PersonChanges): Promise<void> {
  if (changes.personlessAdded.length > 0) {
    const rows = sortedIds(changes.personlessAdded).map(({ stored, personless }) => ({
      team_id: stored.teamId,
      distinct_id: stored.distinctId,
      is_merged: personless === 'merged',
    }))
    const count = await session.execute(
      `insert into posthog_personlessdistinctid (team_id, distinct_id, is_merged)
       select team_id, distinct_id, is_merged
       from json_to_recordset($1::json) as r(team_id int4, distinct_id text, is_merged bool)
       on conflict do nothing`,
      [JSON.stringify(rows)],
    )
    expectCount('insert personless ids', count, rows.length)
  }
  if (changes.personlessMerged.length === 0) return
  const ids = sortedIds(changes.personlessMerged)
  const count = await session.execute(
    `update posthog_personlessdistinctid l set is_merged = true
     from unnest($1::int4[], $2::text[]) as r(team_id, distinct_id)
     where l.team_id = r.team_id and l.distinct_id = r.distinct_id and not l.is_merged`,
    [ids.map((id) => id.stored.teamId), ids.map((id) => id.stored.distinctId)],
  )
  expectCount('merge personless ids', count, ids.length)
}

async function updatePersons(session: DatabaseSession, changes: PersonChanges): Promise<void> {
  if (changes.updated.length === 0) return
  const rows = [...changes.updated].sort((left, right) => compareRowIds(left.stored.id, right.stored.id))
  const count = await session.execute(
    `update posthog_person p set created_at = to_timestamp(r.created_at_ms / 1000), properties = r.properties,
       is_identified = r.is_identified, version = r.version,
       last_seen_at = to_timestamp(r.last_seen_at_ms / 1000)
     from json_to_recordset($1::json) as r(id int8, expected int8, ${personColumns})
     where p.id = r.id and coalesce(p.version, 0) = r.expected`,
    [
      jsonRows(
        rows.map((row) => `"id":${row.stored.id},"expected":${row.stored.version},${personJson(row)}`),
      ),
    ],
  )
  expectCount('update persons', count, rows.length)
}

/** Moves every id of a swallowed person, those too that the batch never saw. */
async function moveIds(session: DatabaseSession, changes: PersonChanges, rowIds: RowIds): Promise<MovedId[]> {
  if (changes.merged.length === 0) return []
  const uuids = new Map<string, string>()
  const rows = [...changes.merged]
    .sort((left, right) => compareRowIds(left.stored.id, right.stored.id))
    .map(({ stored, into, moves }) => {
      const target = rowIdOf(into, rowIds)
      uuids.set(target, into.uuid)
      return { source: stored.id, target, moves }
    })
  const moved = await session.query<{
    team_id: number
    distinct_id: string
    person_id: string
    version: number
  }>(
    `update posthog_persondistinctid d set person_id = r.target, version = coalesce(d.version, 0) + r.moves
     from json_to_recordset($1::json) as r(source int8, target int8, moves int8)
     where d.person_id = r.source
     returning d.team_id, d.distinct_id, d.person_id, d.version::float8 as version`,
    [JSON.stringify(rows)],
  )
  return moved.map((row) => ({
    teamId: row.team_id,
    distinctId: row.distinct_id,
    personUuid: uuids.get(row.person_id) ?? '',
    version: row.version,
  }))
}

async function deletePersons(session: DatabaseSession, changes: PersonChanges): Promise<void> {
  if (changes.merged.length === 0) return
  const count = await session.execute(
    `delete from posthog_person p using unnest($1::int8[], $2::int8[]) as r(id, expected)
     where p.id = r.id and coalesce(p.version, 0) = r.expected`,
    [changes.merged.map(({ stored }) => stored.id), changes.merged.map(({ stored }) => stored.version)],
  )
  expectCount('delete persons', count, changes.merged.length)
}

function personJson({ person, propertiesText, version }: PersonRow): string {
  return (
    `"uuid":"${person.uuid}","team_id":${person.teamId},"created_at_ms":${person.createdAtMs},` +
    `"properties":${propertiesText},"is_identified":${person.isIdentified},"version":${version},` +
    `"last_seen_at_ms":${person.lastSeenAtMs ?? null}`
  )
}

function jsonRows(rows: readonly string[]): string {
  return `[{${rows.join('},{')}}]`
}

function rowIdOf(person: PersonState | undefined, rowIds: RowIds): string {
  const id = person?.stored?.id ?? (person === undefined ? undefined : rowIds.get(person))
  if (id === undefined) throw new TypeError('a person has no row to point to')
  return id
}

function sortedIds(ids: readonly IdState[]): IdState[] {
  return [...ids].sort(
    (left, right) =>
      left.stored.teamId - right.stored.teamId || compare(left.stored.distinctId, right.stored.distinctId),
  )
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right)
}

function compareRowIds(left: string, right: string): number {
  return left.length - right.length || compare(left, right)
}
