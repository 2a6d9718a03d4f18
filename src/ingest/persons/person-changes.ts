import { isSameJson, ownValue, type Properties, toJsonb } from '../entities/jsonb.ts'
import type { EntityWarning } from './person-event.ts'
import {
  type IdState,
  mergesUntilSurvivor,
  type PersonState,
  type PersonsState,
  type StoredPerson,
  survivor,
} from './person-state.ts'
import { isNoisyKey } from './property-keys.ts'
import { fitProperties, type SizeLimits } from './size-limit.ts'

/** What a computed batch wants to have written about its persons: final states only. */
export type PersonChanges = {
  created: readonly PersonRow[]
  updated: readonly StoredPersonRow[]
  /** Swallowed persons, with the person each one has become and how often its ids were moved. */
  merged: readonly { stored: StoredPerson; properties: Properties; into: PersonState; moves: number }[]
  /** Ids that had no person and have one now. */
  addedIds: readonly IdState[]
  /** Ids of which nothing was noted and now something is. */
  personlessAdded: readonly IdState[]
  /** Ids that were used without a profile and are merged now. */
  personlessMerged: readonly IdState[]
  warnings: readonly TeamWarning[]
}

export type TeamWarning = EntityWarning & { teamId: number }
export type PersonRow = { person: PersonState; propertiesText: string; version: number }
export type StoredPersonRow = PersonRow & { stored: StoredPerson }

/** Compares the computed persons with what is stored. Pure. */
export function collectPersonChanges(state: PersonsState, limits: SizeLimits): PersonChanges {
  const created: PersonRow[] = []
  const updated: StoredPersonRow[] = []
  const merged: PersonChanges['merged'][number][] = []
  const warnings: TeamWarning[] = []
  for (const person of state.persons) {
    const { stored, mergedInto } = person
    if (mergedInto !== undefined) {
      if (stored !== undefined)
        merged.push({
          stored,
          properties: person.properties,
          into: survivor(person),
          moves: mergesUntilSurvivor(person),
        })
      continue
    }
    if (stored !== undefined && !isChanged(person, stored)) continue
    const { propertiesText, warning } = fitPerson(person, limits)
    if (warning !== undefined) warnings.push(warning)
    if (stored === undefined) created.push({ person, propertiesText, version: person.version })
    else if (person.properties !== stored.properties || isChangedBesideProperties(person, stored))
      updated.push({ person, stored, propertiesText, version: Math.max(person.version, stored.version + 1) })
  }
  const ids = [...state.ids.values()]
  return {
    created,
    updated,
    merged,
    addedIds: ids.filter((id) => id.stored.personId === undefined && id.person !== undefined),
    personlessAdded: ids.filter((id) => id.stored.personless === 'none' && id.personless !== 'none'),
    personlessMerged: ids.filter((id) => id.stored.personless === 'seen' && id.personless === 'merged'),
    warnings,
  }
}

export function hasPersonChanges(changes: PersonChanges): boolean {
  return (
    changes.created.length +
      changes.updated.length +
      changes.merged.length +
      changes.addedIds.length +
      changes.personlessAdded.length +
      changes.personlessMerged.length >
    0
  )
}

function isChanged(person: PersonState, stored: StoredPerson): boolean {
  return isChangedBesideProperties(person, stored) || isWorthWriting(person, stored)
}

function isChangedBesideProperties(person: PersonState, stored: StoredPerson): boolean {
  return (
    person.hasMerged ||
    person.isIdentified !== stored.isIdentified ||
    person.createdAtMs !== stored.createdAtMs ||
    person.lastSeenAtMs !== stored.lastSeenAtMs
  )
}

/** A change of properties is written unless it is a change of noisy keys alone. */
function isWorthWriting(person: PersonState, stored: StoredPerson): boolean {
  if (person.properties === stored.properties) return false
  for (const key of person.touched) {
    if (isSameJson(ownValue(stored.properties, key), ownValue(person.properties, key))) continue
    const isNewOrGone = !Object.hasOwn(stored.properties, key) || !Object.hasOwn(person.properties, key)
    if (person.isForced || isNewOrGone || !isNoisyKey(key)) return true
  }
  return false
}

function fitPerson(
  person: PersonState,
  limits: SizeLimits,
): { propertiesText: string; warning: TeamWarning | undefined } {
  const fitted = fitProperties(person, limits)
  if (fitted === undefined) {
    const { properties, text } = toJsonb(person.properties)
    person.properties = properties
    return { propertiesText: text, warning: undefined }
  }
  const { properties, text } = toJsonb(fitted.properties)
  person.properties = properties
  const details = {
    personId: person.uuid,
    distinctId: person.lastTouch?.distinctId ?? '',
    teamId: person.teamId,
    eventUuid: person.lastTouch?.eventUuid ?? '',
    message: fitted.message,
  }
  const warning: TeamWarning = { teamId: person.teamId, type: 'person_properties_size_violation', details }
  return { propertiesText: text, warning }
}
