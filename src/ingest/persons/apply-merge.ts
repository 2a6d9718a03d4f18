import { isMergeableId, storableId, textOf } from './mergeable-id.ts'
import type { EntityWarning, PersonEvent } from './person-event.ts'
import {
  giveId,
  type IdState,
  idOf,
  type PersonState,
  type PersonsState,
  personForNew,
} from './person-state.ts'
import { initialProperties, updateProperties } from './property-update.ts'

/**
 * Identify, alias and merge: two distinct ids that are said to be one person.
 *
 * A merge is refused where the person to be swallowed is known by name already, unless the event is
 * `$merge_dangerously`. The version of a distinct id tells the warehouse whether older events of that id
 * carry another person's uuid: 0 needs no correction, more needs an override.
 */
export type MergeResult = {
  /** Past the id checks, so that the person becomes an identified one whatever else happens. */
  isIdentifying: boolean
  person: PersonState | undefined
  /** The person was made from this event and needs no update by it. */
  isNew: boolean
  warnings: readonly EntityWarning[]
}

const noMerge: MergeResult = { isIdentifying: false, person: undefined, isNew: false, warnings: [] }

/** The other id of a merging event, the one to be merged into the event's own; undefined for other events. */
export function otherDistinctId(event: PersonEvent): string | undefined {
  const { properties } = event
  if (event.event === '$create_alias' || event.event === '$merge_dangerously')
    return properties.alias ? textOf(properties.alias) : undefined
  if (event.event === '$identify' && Object.hasOwn(properties, '$anon_distinct_id'))
    return textOf(properties.$anon_distinct_id)
  return undefined
}

export function applyMerge(
  state: PersonsState,
  event: PersonEvent,
  lastSeenAtMs: number | undefined,
): MergeResult {
  const other = otherDistinctId(event)
  if (other === undefined || other === event.distinctId) return noMerge
  for (const [illegal, legal] of [
    [event.distinctId, other],
    [other, event.distinctId],
  ] as const) {
    if (isMergeableId(illegal)) continue
    const details = {
      illegalDistinctId: illegal.slice(0, 400),
      otherDistinctId: legal.slice(0, 400),
      eventUuid: event.uuid,
    }
    return { ...noMerge, warnings: [{ type: 'cannot_merge_with_illegal_distinct_id', details }] }
  }
  const source = idOf(state, event.teamId, storableId(other))
  const target = idOf(state, event.teamId, storableId(event.distinctId))
  const merged = { isIdentifying: true, isNew: false, warnings: [] }
  if (source === target) return noMerge
  if (source.person === undefined && target.person === undefined) {
    const made = createFromBoth(state, event, { source, target, lastSeenAtMs })
    return { ...merged, ...made }
  }
  if (source.person === undefined) return { ...merged, person: addId(target.person, source) }
  if (target.person === undefined) return { ...merged, person: addId(source.person, target) }
  if (source.person === target.person) return { ...merged, person: target.person }
  if (source.person.isIdentified && event.event !== '$merge_dangerously') {
    const details = {
      sourcePersonDistinctId: source.stored.distinctId,
      targetPersonDistinctId: target.stored.distinctId,
      eventUuid: event.uuid,
    }
    return {
      ...merged,
      person: target.person,
      warnings: [{ type: 'cannot_merge_already_identified', details }],
    }
  }
  mergePersons(source.person, target.person, event)
  return { ...merged, person: target.person }
}

function addId(person: PersonState | undefined, id: IdState): PersonState | undefined {
  if (person !== undefined) giveId(person, id, noteMerged(id) ? 1 : 0)
  return person
}

/** Marks the id as merged, so that nobody uses it without a profile meanwhile. Tells whether somebody had. */
function noteMerged(id: IdState): boolean {
  const wasUsed = id.personless !== 'none'
  id.personless = 'merged'
  return wasUsed
}

/**
 * The person's uuid comes from one of the two ids, and events of that id need no override. So it comes from
 * the id that was used without a profile, if exactly one was; if both were, the other one needs an override.
 */
function createFromBoth(
  state: PersonsState,
  event: PersonEvent,
  pair: { source: IdState; target: IdState; lastSeenAtMs: number | undefined },
): { person: PersonState; isNew: boolean } {
  const targetWasUsed = noteMerged(pair.target)
  const sourceWasUsed = noteMerged(pair.source)
  const isSwapped = sourceWasUsed && !targetWasUsed
  const [first, second] = isSwapped ? [pair.source, pair.target] : [pair.target, pair.source]
  const made = personForNew(state, first, {
    createdAtMs: event.timestampMs,
    properties: initialProperties(event),
    isIdentified: true,
    lastSeenAtMs: pair.lastSeenAtMs,
  })
  giveId(made.person, first, 0)
  giveId(made.person, second, sourceWasUsed && targetWasUsed ? 1 : 0)
  return made
}

function mergePersons(source: PersonState, target: PersonState, event: PersonEvent): void {
  const update = updateProperties(event, { ...source.properties, ...target.properties })
  target.properties = update.properties
  target.createdAtMs = Math.min(target.createdAtMs, source.createdAtMs)
  target.isIdentified = true
  target.version = Math.max(target.version, source.version) + 1
  target.lastSeenAtMs = latest(target.lastSeenAtMs, source.lastSeenAtMs)
  target.hasMerged = true
  source.mergedInto = target
  for (const id of source.ids) giveId(target, id, id.version + 1)
}

function latest(left: number | undefined, right: number | undefined): number | undefined {
  if (left === undefined || right === undefined) return left ?? right
  return Math.max(left, right)
}
