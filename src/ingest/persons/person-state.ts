import type { Properties } from '../entities/jsonb.ts'
import { personUuid } from './person-uuid.ts'

/**
 * The persons of one batch, in memory: what the database holds of them, and what the batch has made of them
 * so far. Nothing here does I/O, so a batch can be computed again from the same start.
 */
export type StoredPerson = {
  /** The row's number; a bigint as text. */
  id: string
  uuid: string
  teamId: number
  createdAtMs: number
  properties: Properties
  /** The properties as the database wrote them. */
  propertiesText: string
  isIdentified: boolean
  version: number
  lastSeenAtMs: number | undefined
}

/** What is known of a distinct id's use without a profile: nothing, used, or used or not but since merged. */
export type PersonlessUse = 'none' | 'seen' | 'merged'

export type StoredId = {
  teamId: number
  distinctId: string
  /** The person's row number, if the id belongs to one. */
  personId: string | undefined
  version: number
  personless: PersonlessUse
}

export type LoadedPersons = {
  ids: Map<string, StoredId>
  persons: Map<string, StoredPerson>
  /** Persons that have the computed uuid of an id without a person; looked up only after a conflict. */
  byUuid: Map<string, StoredPerson>
}

export type PersonState = {
  readonly stored: StoredPerson | undefined
  readonly uuid: string
  readonly teamId: number
  createdAtMs: number
  /** Replaced, never changed: outcomes share it. */
  properties: Properties
  isIdentified: boolean
  version: number
  lastSeenAtMs: number | undefined
  /** Keys that were set or unset. */
  readonly touched: Set<string>
  /** Every change counts, noisy keys too. */
  isForced: boolean
  hasMerged: boolean
  /** The ids of this person that the batch knows, its own and those of persons merged into it. */
  readonly ids: IdState[]
  mergedInto: PersonState | undefined
  /** The event that touched it last, for warnings about the person as a whole. */
  lastTouch: { distinctId: string; eventUuid: string } | undefined
}

export type IdState = {
  readonly stored: StoredId
  person: PersonState | undefined
  version: number
  personless: PersonlessUse
}

export type PersonsState = {
  readonly loaded: LoadedPersons
  readonly ids: Map<string, IdState>
  /** Every person of the batch, merged ones too. */
  readonly persons: Set<PersonState>
  readonly byUuid: Map<string, PersonState>
  /** Ids that a rule asked for and nobody had loaded: the batch must be loaded with them and computed again. */
  readonly missing: Map<string, { teamId: number; distinctId: string }>
}

export function idKey(teamId: number, distinctId: string): string {
  return `${teamId}:${distinctId}`
}

export function createPersonsState(loaded: LoadedPersons): PersonsState {
  const persons = new Map<string, PersonState>()
  const byUuid = new Map<string, PersonState>()
  const stateOf = (stored: StoredPerson): PersonState => {
    const known = persons.get(stored.id)
    if (known !== undefined) return known
    const person = personFrom(stored)
    persons.set(stored.id, person)
    return person
  }
  for (const stored of loaded.byUuid.values())
    byUuid.set(uuidKey(stored.teamId, stored.uuid), stateOf(stored))
  const ids = new Map<string, IdState>()
  for (const [key, stored] of loaded.ids) {
    const row = stored.personId === undefined ? undefined : loaded.persons.get(stored.personId)
    const person = row === undefined ? undefined : stateOf(row)
    const id: IdState = { stored, person, version: stored.version, personless: stored.personless }
    person?.ids.push(id)
    ids.set(key, id)
  }
  return { loaded, ids, persons: new Set(persons.values()), byUuid, missing: new Map() }
}

/** The state of an id. One that nobody loaded is noted as missing and stands for an unknown one meanwhile. */
export function idOf(state: PersonsState, teamId: number, distinctId: string): IdState {
  const key = idKey(teamId, distinctId)
  const known = state.ids.get(key)
  if (known !== undefined) return known
  state.missing.set(key, { teamId, distinctId })
  const stored: StoredId = { teamId, distinctId, personId: undefined, version: 0, personless: 'none' }
  const id: IdState = { stored, person: undefined, version: 0, personless: 'none' }
  state.ids.set(key, id)
  return id
}

/** Makes a person under the computed uuid of `first`, or takes the one that already has that uuid. */
export function personForNew(
  state: PersonsState,
  first: IdState,
  make: NewPerson,
): { person: PersonState; isNew: boolean } {
  const { teamId, distinctId } = first.stored
  const uuid = personUuid(teamId, distinctId)
  const existing = state.byUuid.get(uuidKey(teamId, uuid))
  if (existing !== undefined) return { person: survivor(existing), isNew: false }
  const person: PersonState = {
    stored: undefined,
    uuid,
    teamId,
    ...make,
    version: 0,
    touched: new Set(),
    isForced: false,
    hasMerged: false,
    ids: [],
    mergedInto: undefined,
    lastTouch: undefined,
  }
  state.persons.add(person)
  state.byUuid.set(uuidKey(teamId, uuid), person)
  return { person, isNew: true }
}

export type NewPerson = {
  createdAtMs: number
  properties: Properties
  isIdentified: boolean
  lastSeenAtMs: number | undefined
}

export function giveId(person: PersonState, id: IdState, version: number): void {
  id.person = person
  id.version = version
  person.ids.push(id)
}

/** The person that a merged one has become, after any number of merges. */
export function survivor(person: PersonState): PersonState {
  let at = person
  while (at.mergedInto !== undefined) at = at.mergedInto
  return at
}

/** How many merges the rows of a person have gone through: each one raises the version of its ids. */
export function mergesUntilSurvivor(person: PersonState): number {
  let count = 0
  for (let at = person; at.mergedInto !== undefined; at = at.mergedInto) count++
  return count
}

function uuidKey(teamId: number, uuid: string): string {
  return `${teamId}:${uuid}`
}

function personFrom(stored: StoredPerson): PersonState {
  return {
    stored,
    uuid: stored.uuid,
    teamId: stored.teamId,
    createdAtMs: stored.createdAtMs,
    properties: stored.properties,
    isIdentified: stored.isIdentified,
    version: stored.version,
    lastSeenAtMs: stored.lastSeenAtMs,
    touched: new Set(),
    isForced: false,
    hasMerged: false,
    ids: [],
    mergedInto: undefined,
    lastTouch: undefined,
  }
}
