import assert from 'node:assert/strict'
import {
  changeRecords,
  computeBatch,
  type EntityChanges,
  type EntityView,
  type LoadedEntities,
} from '../../src/ingest/entities/compute-batch.ts'
import { type EntityNeeds, needsOf } from '../../src/ingest/entities/needs.ts'
import { groupKeyOf, type StoredGroup } from '../../src/ingest/groups/group-state.ts'
import { type PersonsConfig, personsConfig } from '../../src/ingest/persons/config.ts'
import type { TeamWarning } from '../../src/ingest/persons/person-changes.ts'
import type { PersonEvent, PersonOutcome } from '../../src/ingest/persons/person-event.ts'
import type { MovedId } from '../../src/ingest/persons/person-records.ts'
import { idKey, type PersonState, type StoredPerson } from '../../src/ingest/persons/person-state.ts'
import type { NewRecord } from '../../src/ports/log.ts'

/** The tables of people and groups as plain maps: what the statements of `write-persons.ts` do, without a server. */
export type PersonTables = {
  persons: Map<string, StoredPerson>
  ids: Map<string, { teamId: number; distinctId: string; personId: string; version: number }>
  personless: Map<string, boolean>
  types: Map<number, Map<string, number>>
  groups: Map<string, StoredGroup>
  nextId: number
}

export function emptyTables(): PersonTables {
  return {
    persons: new Map(),
    ids: new Map(),
    personless: new Map(),
    types: new Map(),
    groups: new Map(),
    nextId: 1,
  }
}

export function loadTables(tables: PersonTables, needs: EntityNeeds): LoadedEntities {
  const loaded: LoadedEntities = {
    persons: { ids: new Map(), persons: new Map(), byUuid: new Map() },
    groups: { types: new Map(), groups: new Map(tables.groups) },
    needs,
    nowMs: Date.UTC(2026, 5, 1),
  }
  for (const { teamId, distinctId } of needs.distinctIds) {
    const key = idKey(teamId, distinctId)
    const row = tables.ids.get(key)
    const use = tables.personless.get(key)
    loaded.persons.ids.set(key, {
      teamId,
      distinctId,
      personId: row?.personId,
      version: row?.version ?? 0,
      personless: use === undefined ? 'none' : use ? 'merged' : 'seen',
    })
    const person = row && tables.persons.get(row.personId)
    if (person !== undefined) loaded.persons.persons.set(person.id, person)
  }
  for (const { projectId } of needs.groupTypes)
    loaded.groups.types.set(projectId, new Map(tables.types.get(projectId)))
  return loaded
}

export function writeTables(tables: PersonTables, changes: EntityChanges): MovedId[] {
  const rowIds = new Map<PersonState, string>()
  for (const { person, propertiesText, version } of changes.persons.created) {
    const id = String(tables.nextId++)
    rowIds.set(person, id)
    tables.persons.set(id, storedOf(person, { id, propertiesText, version }))
  }
  const rowIdOf = (person: PersonState | undefined) => {
    const id = person && (person.stored?.id ?? rowIds.get(person))
    assert(id !== undefined && tables.persons.has(id), 'an id points to a person without a row')
    return id
  }
  for (const { stored, person, version } of changes.persons.addedIds) {
    const key = idKey(stored.teamId, stored.distinctId)
    assert(!tables.ids.has(key), 'an id is added twice')
    tables.ids.set(key, {
      teamId: stored.teamId,
      distinctId: stored.distinctId,
      personId: rowIdOf(person),
      version,
    })
  }
  for (const { stored, personless } of [
    ...changes.persons.personlessAdded,
    ...changes.persons.personlessMerged,
  ])
    tables.personless.set(idKey(stored.teamId, stored.distinctId), personless === 'merged')
  for (const { person, stored, propertiesText, version } of changes.persons.updated) {
    assert.equal(tables.persons.get(stored.id)?.version, stored.version)
    tables.persons.set(stored.id, storedOf(person, { id: stored.id, propertiesText, version }))
  }
  const moved: MovedId[] = []
  for (const { stored, into, moves } of changes.persons.merged) {
    for (const id of tables.ids.values()) {
      if (id.personId !== stored.id) continue
      id.personId = rowIdOf(into)
      id.version += moves
      moved.push({ teamId: id.teamId, distinctId: id.distinctId, personUuid: into.uuid, version: id.version })
    }
    assert(tables.persons.delete(stored.id))
  }
  for (const type of changes.groups.newTypes) {
    const types = tables.types.get(type.projectId) ?? new Map<string, number>()
    tables.types.set(type.projectId, types.set(type.groupType, type.typeIndex))
  }
  for (const { group, propertiesText, version } of [...changes.groups.created, ...changes.groups.updated]) {
    const { teamId, typeIndex, groupKey, createdAtMs } = group
    const properties: Record<string, unknown> = JSON.parse(propertiesText)
    const row = { teamId, typeIndex, groupKey, createdAtMs, properties, propertiesText, version }
    tables.groups.set(groupKeyOf(teamId, typeIndex, groupKey), row)
  }
  return moved
}

export type TablesRun = {
  outcomes: PersonOutcome[]
  groupProperties: Readonly<Record<string, unknown>>[]
  warnings: TeamWarning[]
  records: NewRecord[]
  changes: EntityChanges
}

/** One batch over the tables, as `Entities.run` does it over a server. */
export function runOnTables(
  tables: PersonTables,
  events: readonly PersonEvent[],
  config: PersonsConfig = personsConfig.parse({}),
): TablesRun {
  const warnings: TeamWarning[] = []
  const compute = (view: EntityView) =>
    events.map((event) => {
      const person = view.applyPerson(event)
      const groups = view.applyGroups(event)
      for (const warning of [...person.warnings, ...groups.warnings])
        warnings.push({ ...warning, teamId: event.teamId })
      return { person, groups }
    })
  const { result, changes } = computeBatch(loadTables(tables, needsOf(events)), config, compute)
  const moved = writeTables(tables, changes)
  warnings.push(...changes.persons.warnings, ...changes.groups.warnings)
  return {
    outcomes: result.map(({ person }) => person),
    groupProperties: result.map(({ groups }) => groups.groupProperties),
    warnings,
    records: changeRecords(changes, moved),
    changes,
  }
}

/** A person as an id sees it, without the numbers that depend on how many batches there were. */
export function personBehind(tables: PersonTables, distinctId: string, teamId = 1) {
  const id = tables.ids.get(idKey(teamId, distinctId))
  const person = id && tables.persons.get(id.personId)
  if (id === undefined || person === undefined) return undefined
  const { uuid, properties, isIdentified, createdAtMs, lastSeenAtMs, version } = person
  return { uuid, properties, isIdentified, createdAtMs, lastSeenAtMs, version, idVersion: id.version }
}

function storedOf(
  person: PersonState,
  row: { id: string; propertiesText: string; version: number },
): StoredPerson {
  const { uuid, teamId, createdAtMs, isIdentified, lastSeenAtMs } = person
  const properties: Record<string, unknown> = JSON.parse(row.propertiesText)
  return { ...row, uuid, teamId, createdAtMs, isIdentified, lastSeenAtMs, properties }
}

let uuids = 0
/** An event with everything that a test does not care about. */
export function personEvent(event: Partial<PersonEvent> & { distinctId: string }): PersonEvent {
  uuids++
  return {
    teamId: 1,
    uuid: `00000000-0000-4000-8000-${String(uuids).padStart(12, '0')}`,
    event: 'visited',
    properties: {},
    timestampMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    processing: 'on',
    ...event,
  }
}

export function identify(
  distinctId: string,
  anonymousId: string,
  set: Record<string, unknown> = {},
): PersonEvent {
  return personEvent({
    event: '$identify',
    distinctId,
    properties: { $anon_distinct_id: anonymousId, $set: set },
  })
}
