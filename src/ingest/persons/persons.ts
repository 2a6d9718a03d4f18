/**
 * Persons: which person an event belongs to, and what the event changes about it. The rules are PostHog's.
 *
 * `persons.ts` decides one event: merge first (`apply-merge.ts`), then find or make the person, then update it
 * (`property-update.ts`). It works on `person-state.ts`, the persons of one batch in memory, filled by
 * `load-persons.ts`. In the end `person-changes.ts` compares it with what was loaded, `write-persons.ts` writes
 * the difference and `person-records.ts` makes it into messages for the warehouse.
 */
import assert from 'node:assert/strict'
import { isRecord } from '../entities/jsonb.ts'
import { applyMerge } from './apply-merge.ts'
import { codePoints, distinctIdLengthMax, storableId } from './mergeable-id.ts'
import type { PersonEvent, PersonOutcome } from './person-event.ts'
import {
  giveId,
  type IdState,
  idOf,
  type PersonState,
  type PersonsState,
  personForNew,
} from './person-state.ts'
import { personUuid } from './person-uuid.ts'
import { initialProperties, shownProperties, updateProperties } from './property-update.ts'

/** When an event without a person says its person was made: 1970-01-01 00:00:05, PostHog's mark for it. */
const noPersonCreatedAtMs = 5_000
/** How much later than the person an event without a profile must be to count as a mistake. */
const upgradeAfterMs = 60_000
const hourMs = 3_600_000
const firstTimestampMs = Date.parse('0000-01-01T00:00:00Z')
const lastTimestampMs = Date.parse('9999-12-31T23:59:59.999Z')

/** Applies one event to the persons of its batch. Pure: it changes `state` and nothing else. */
export function applyPerson(
  state: PersonsState,
  event: PersonEvent,
  options: { isLastSeenKept: boolean },
): PersonOutcome {
  checkStorable(event)
  if (event.processing === 'forced-off') return withoutPerson(event)
  const id = idOf(state, event.teamId, storableId(event.distinctId))
  if (event.processing === 'off' || isFlagCallOfNobody(event, id)) return applyPersonless(event, id, options)

  const lastSeenAtMs = options.isLastSeenKept ? hourOf(event) : undefined
  const merge = applyMerge(state, event, lastSeenAtMs)
  const found = merge.person ?? id.person
  const { person, isNew } =
    found === undefined
      ? createFromEvent(state, event, { id, lastSeenAtMs })
      : { person: found, isNew: merge.isNew }
  if (!isNew) updatePerson(person, event, { isIdentifying: merge.isIdentifying, lastSeenAtMs })
  person.lastTouch = { distinctId: event.distinctId, eventUuid: event.uuid }
  return {
    personId: person.uuid,
    personCreatedAtMs: person.createdAtMs,
    personProperties: shownProperties(event, person.properties),
    mode: 'full',
    warnings: merge.warnings,
  }
}

/** What PostgreSQL would refuse is refused here, where it concerns one event and not its whole batch. */
function checkStorable(event: PersonEvent): void {
  assert(codePoints(event.distinctId) <= distinctIdLengthMax, 'a distinct id is longer than 400 characters')
  const isDate = event.timestampMs >= firstTimestampMs && event.timestampMs <= lastTimestampMs
  assert(isDate, 'the time of an event is not within the years 0 to 9999')
}

function createFromEvent(
  state: PersonsState,
  event: PersonEvent,
  options: { id: IdState; lastSeenAtMs: number | undefined },
): { person: PersonState; isNew: boolean } {
  const made = personForNew(state, options.id, {
    createdAtMs: event.timestampMs,
    properties: initialProperties(event),
    isIdentified: false,
    lastSeenAtMs: options.lastSeenAtMs,
  })
  giveId(made.person, options.id, 0)
  return made
}

function updatePerson(
  person: PersonState,
  event: PersonEvent,
  options: { isIdentifying: boolean; lastSeenAtMs: number | undefined },
): void {
  const update = updateProperties(event, person.properties)
  person.properties = update.properties
  for (const key of update.keys) person.touched.add(key)
  if (update.isForced) person.isForced = true
  if (options.isIdentifying) person.isIdentified = true
  noteSeen(person, event, options.lastSeenAtMs)
}

function noteSeen(person: PersonState, event: PersonEvent, lastSeenAtMs: number | undefined): void {
  if (lastSeenAtMs === undefined || event.properties.$update_person_last_seen_at === false) return
  if (person.lastSeenAtMs === undefined || lastSeenAtMs > person.lastSeenAtMs)
    person.lastSeenAtMs = lastSeenAtMs
}

/** An event that wants no profile. If its id has one all the same, it is counted to that person. */
function applyPersonless(
  event: PersonEvent,
  id: IdState,
  options: { isLastSeenKept: boolean },
): PersonOutcome {
  const { person } = id
  if (person === undefined) {
    if (id.personless === 'none') id.personless = 'seen'
    return withoutPerson(event)
  }
  const isUpgrade =
    event.isUpgradeOptedOut !== true && event.timestampMs > person.createdAtMs + upgradeAfterMs
  if (isUpgrade && options.isLastSeenKept) noteSeen(person, event, hourOf(event))
  return {
    personId: person.uuid,
    personCreatedAtMs: person.createdAtMs,
    personProperties: {},
    mode: isUpgrade ? 'force_upgrade' : 'propertyless',
    warnings: [],
  }
}

/** A flag call alone makes no person of an unknown id, unless it asks for one or belongs to groups. */
function isFlagCallOfNobody(event: PersonEvent, id: IdState): boolean {
  if (event.event !== '$feature_flag_called' || id.person !== undefined) return false
  if (event.isProcessingExplicit === true) return false
  const { $groups } = event.properties
  return !isRecord($groups) || Object.keys($groups).length === 0
}

function withoutPerson(event: PersonEvent): PersonOutcome {
  return {
    personId: personUuid(event.teamId, storableId(event.distinctId)),
    personCreatedAtMs: noPersonCreatedAtMs,
    personProperties: {},
    mode: 'propertyless',
    warnings: [],
  }
}

function hourOf(event: PersonEvent): number {
  return Math.floor(event.timestampMs / hourMs) * hourMs
}
