import type { DatabaseSession } from '../../ports/database.ts'
import { groupKeyOf, type StoredGroup } from '../groups/group-state.ts'
import type { MovedId } from '../persons/person-records.ts'
import { idKey, type StoredId, type StoredPerson } from '../persons/person-state.ts'
import type { EntityChanges, LoadedEntities } from './compute-batch.ts'

/**
 * What a batch changed, as it stood before. It is written in the transaction of the change itself, one row
 * per partition. When the same range comes again, because the program ended between this commit and the
 * log's, the batch is computed over this state: so it comes to the same outcomes and the same records, and
 * nothing is written a second time. The records themselves need not be kept.
 */
export type BatchBefore = {
  nowMs: number
  ids: readonly StoredId[]
  persons: readonly StoredPerson[]
  adopted: readonly StoredPerson[]
  /** Without `stored` properties where the group did not exist. */
  groups: readonly (Pick<StoredGroup, 'teamId' | 'typeIndex' | 'groupKey'> & {
    stored: StoredGroup | undefined
  })[]
  moved: readonly MovedId[]
}

/** A range of records of one partition, as one consumer group reads it. */
export type BatchRange = { group: string; topic: string; partition: number; from: number; until: number }

export async function loadBefore(
  session: DatabaseSession,
  range: BatchRange,
): Promise<BatchBefore | undefined> {
  const rows = await session.query<{ before: string }>(
    `select before from rowmill_ingest_batch
     where stage = $1 and topic = $2 and partition = $3 and from_offset = $4 and until_offset = $5`,
    [range.group, range.topic, range.partition, range.from, range.until],
  )
  const text = rows[0]?.before
  return text === undefined ? undefined : parseBefore(text)
}

export async function writeBefore(
  session: DatabaseSession,
  range: BatchRange,
  before: string,
): Promise<void> {
  await session.execute(
    `insert into rowmill_ingest_batch (stage, topic, partition, from_offset, until_offset, before)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (stage, topic, partition) do update
     set from_offset = excluded.from_offset, until_offset = excluded.until_offset,
       before = excluded.before, written_at = now()`,
    [range.group, range.topic, range.partition, range.from, range.until, before],
  )
}

/** The text of what these changes start from. Stored properties are copied as the text they already are. */
export function beforeText(
  loaded: LoadedEntities,
  changes: EntityChanges,
  moved: readonly MovedId[],
): string {
  const ids = new Map<string, StoredId>()
  const { addedIds, personlessAdded, personlessMerged, merged, updated } = changes.persons
  for (const { stored } of [...addedIds, ...personlessAdded, ...personlessMerged])
    ids.set(idKey(stored.teamId, stored.distinctId), stored)
  const gone = new Set(merged.map(({ stored }) => stored.id))
  if (gone.size > 0)
    for (const [key, stored] of loaded.persons.ids)
      if (stored.personId !== undefined && gone.has(stored.personId)) ids.set(key, stored)
  const persons = [...updated, ...merged].map(({ stored }) => personText(stored))
  const groups = [...changes.groups.created, ...changes.groups.updated].map(({ group }) => groupText(group))
  return (
    `{"nowMs":${loaded.nowMs},"ids":${JSON.stringify([...ids.values()])},"persons":[${persons.join(',')}],` +
    `"adopted":[${[...loaded.persons.byUuid.values()].map(personText).join(',')}],` +
    `"groups":[${groups.join(',')}],"moved":${JSON.stringify(moved)}}`
  )
}

/** Puts the state before the batch over what is stored now. */
export function rewind(loaded: LoadedEntities, before: BatchBefore): LoadedEntities {
  const { ids, persons, byUuid } = loaded.persons
  for (const id of before.ids) ids.set(idKey(id.teamId, id.distinctId), id)
  for (const person of [...before.persons, ...before.adopted]) persons.set(person.id, person)
  for (const person of before.adopted) byUuid.set(person.uuid, person)
  for (const { teamId, typeIndex, groupKey, stored } of before.groups) {
    const key = groupKeyOf(teamId, typeIndex, groupKey)
    if (stored === undefined) loaded.groups.groups.delete(key)
    else loaded.groups.groups.set(key, stored)
  }
  return { ...loaded, nowMs: before.nowMs }
}

function personText(person: StoredPerson): string {
  const { properties: _, propertiesText, ...rest } = person
  return `${JSON.stringify(rest).slice(0, -1)},"properties":${propertiesText}}`
}

function groupText(group: BatchBefore['groups'][number]): string {
  const { teamId, typeIndex, groupKey, stored } = group
  const key = JSON.stringify({ teamId, typeIndex, groupKey }).slice(0, -1)
  if (stored === undefined) return `${key}}`
  const { properties: _, propertiesText, ...rest } = stored
  return `${key},"stored":${JSON.stringify(rest).slice(0, -1)},"properties":${propertiesText}}}`
}

/** Written by `beforeText` and by nothing else, so its shape is known. Absent optionals were left out. */
function parseBefore(text: string): BatchBefore {
  const parsed: BatchBefore = JSON.parse(text)
  return {
    ...parsed,
    ids: parsed.ids.map((id) => ({ ...id, personId: id.personId ?? undefined })),
    persons: parsed.persons.map(withText),
    adopted: parsed.adopted.map(withText),
    groups: parsed.groups.map((group) => ({
      ...group,
      stored: group.stored && { ...group.stored, propertiesText: JSON.stringify(group.stored.properties) },
    })),
  }
}

function withText(person: StoredPerson): StoredPerson {
  return {
    ...person,
    lastSeenAtMs: person.lastSeenAtMs ?? undefined,
    propertiesText: JSON.stringify(person.properties),
  }
}
