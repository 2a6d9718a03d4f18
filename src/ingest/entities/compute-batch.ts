import type { NewRecord } from '../../ports/log.ts'
import {
  collectGroupChanges,
  type GroupChanges,
  groupRecords,
  hasGroupChanges,
} from '../groups/group-changes.ts'
import { createGroupsState, type GroupsState, groupKeyOf, type LoadedGroups } from '../groups/group-state.ts'
import { applyGroups, type GroupsOutcome } from '../groups/groups.ts'
import type { PersonsConfig } from '../persons/config.ts'
import {
  collectPersonChanges,
  hasPersonChanges,
  type PersonChanges,
  type TeamWarning,
} from '../persons/person-changes.ts'
import type { PersonEvent, PersonOutcome } from '../persons/person-event.ts'
import { type MovedId, personRecords } from '../persons/person-records.ts'
import {
  createPersonsState,
  type IdState,
  idKey,
  type LoadedPersons,
  type PersonsState,
} from '../persons/person-state.ts'
import { applyPerson } from '../persons/persons.ts'
import type { BatchBefore } from './before.ts'
import type { EntityNeeds } from './needs.ts'

/** What a batch may do to people and groups while it is computed. Everything happens in memory. */
export interface EntityView {
  /** Events of one batch in their order. Throws only for a distinct id that cannot be stored. */
  applyPerson(event: PersonEvent): PersonOutcome
  /** After `applyPerson` of the same event. Includes what `$groupidentify` sets. */
  applyGroups(event: PersonEvent): GroupsOutcome
}

export type LoadedEntities = {
  persons: LoadedPersons
  groups: LoadedGroups
  needs: EntityNeeds
  nowMs: number
}
export type EntityChanges = { persons: PersonChanges; groups: GroupChanges }
export type ComputedBatch<T> = {
  result: T
  changes: EntityChanges
  /** What was asked for and had not been loaded; if there is any, nothing else here counts. */
  missing: EntityNeeds
}

/** Computes a batch over what was loaded. Pure but for `compute` itself, which may run again from scratch. */
export function computeBatch<T>(
  loaded: LoadedEntities,
  config: PersonsConfig,
  compute: (view: EntityView) => T,
): ComputedBatch<T> {
  const persons = createPersonsState(loaded.persons)
  const groups = createGroupsState(loaded.groups, loaded.needs.groups)
  const result = compute({
    applyPerson: (event) => applyPerson(persons, event, config),
    applyGroups: (event) => applyGroups(groups, event, { nowMs: loaded.nowMs }),
  })
  return { result, changes: collectChanges(persons, groups, config), missing: missingNeeds(persons, groups) }
}

export function hasChanges(changes: EntityChanges): boolean {
  return hasPersonChanges(changes.persons) || hasGroupChanges(changes.groups)
}

export function changeRecords(changes: EntityChanges, moved: readonly MovedId[]): NewRecord[] {
  return [...personRecords(changes.persons, moved), ...groupRecords(changes.groups)]
}

export function changeWarnings(changes: EntityChanges): TeamWarning[] {
  return [...changes.persons.warnings, ...changes.groups.warnings]
}

/** The changes of a repeated batch that its first run had written; anything else has been decided since by others. */
export function changesWrittenBefore(changes: EntityChanges, before: BatchBefore): EntityChanges {
  const ids = new Set(before.ids.map((id) => idKey(id.teamId, id.distinctId)))
  const persons = new Set(before.persons.map((person) => person.id))
  const groups = new Set(
    before.groups.map((group) => groupKeyOf(group.teamId, group.typeIndex, group.groupKey)),
  )
  const isKnownId = ({ stored }: IdState) => ids.has(idKey(stored.teamId, stored.distinctId))
  return {
    persons: {
      ...changes.persons,
      created: changes.persons.created.filter(({ person }) => person.ids.some(isKnownId)),
      updated: changes.persons.updated.filter(({ stored }) => persons.has(stored.id)),
      merged: changes.persons.merged.filter(({ stored }) => persons.has(stored.id)),
      addedIds: changes.persons.addedIds.filter(isKnownId),
    },
    groups: {
      ...changes.groups,
      created: changes.groups.created.filter(({ group }) =>
        groups.has(groupKeyOf(group.teamId, group.typeIndex, group.groupKey)),
      ),
      updated: changes.groups.updated.filter(({ group }) =>
        groups.has(groupKeyOf(group.teamId, group.typeIndex, group.groupKey)),
      ),
    },
  }
}

function collectChanges(persons: PersonsState, groups: GroupsState, config: PersonsConfig): EntityChanges {
  return { persons: collectPersonChanges(persons, config), groups: collectGroupChanges(groups, config) }
}

function missingNeeds(persons: PersonsState, groups: GroupsState): EntityNeeds {
  return {
    distinctIds: [...persons.missing.values()],
    groupTypes: [...groups.missingTypes.values()],
    groups: [...groups.missingGroups.values()],
  }
}
