import { askedKey, type GroupKey, type GroupTypeKey } from '../groups/group-state.ts'
import { groupNeedsOf } from '../groups/groups.ts'
import { otherDistinctId } from '../persons/apply-merge.ts'
import type { DistinctId } from '../persons/load-persons.ts'
import { isMergeableId, storableId } from '../persons/mergeable-id.ts'
import type { PersonEvent } from '../persons/person-event.ts'
import { idKey } from '../persons/person-state.ts'

/** What a batch must load before it can be computed. Nothing twice. */
export type EntityNeeds = {
  distinctIds: readonly DistinctId[]
  /** One group type of each project is enough: all types of a project are loaded. */
  groupTypes: readonly GroupTypeKey[]
  groups: readonly GroupKey[]
}

/** What these events need. An event that is left out here is still computed rightly, at the price of a second load. */
export function needsOf(events: Iterable<PersonEvent>): EntityNeeds {
  const ids = new Map<string, DistinctId>()
  const types = new Map<number, GroupTypeKey>()
  const groups = new Map<string, GroupKey>()
  const addId = (teamId: number, distinctId: string) => {
    const id = { teamId, distinctId: storableId(distinctId) }
    ids.set(idKey(teamId, id.distinctId), id)
  }
  for (const event of events) {
    if (event.processing === 'forced-off') continue
    addId(event.teamId, event.distinctId)
    const other = event.processing === 'on' ? otherDistinctId(event) : undefined
    if (other !== undefined && isMergeableId(other)) addId(event.teamId, other)
    const needs = groupNeedsOf(event)
    for (const type of needs.types) types.set(type.projectId, type)
    for (const group of needs.groups) groups.set(askedKey(group), group)
  }
  return { distinctIds: [...ids.values()], groupTypes: [...types.values()], groups: [...groups.values()] }
}
