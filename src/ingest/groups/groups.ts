import { isRecord, isSameJson, ownValue, type Properties } from '../entities/jsonb.ts'
import { storableId, textOf } from '../persons/mergeable-id.ts'
import type { EntityWarning, PersonEvent } from '../persons/person-event.ts'
import { storableEntries } from '../persons/property-update.ts'
import { askedKey, type GroupKey, type GroupsState, type GroupTypeKey, groupKeyOf } from './group-state.ts'

/** How many group types a project may have: an event's row has so many columns for them. */
export const groupTypesMax = 5
/** The longest group type and the longest group key that are stored. */
export const groupNameLengthMax = 400

export type GroupsOutcome = {
  /** `$group_0` … `$group_4` of the event, to be put among its properties. */
  groupProperties: Properties
  warnings: readonly EntityWarning[]
}

/**
 * The groups of one event: the index of each of its group types, made if it is new, and for `$groupidentify`
 * the group's own properties. Without a person an event has no groups, as in PostHog. Pure.
 */
export function applyGroups(
  state: GroupsState,
  event: PersonEvent,
  options: { nowMs: number },
): GroupsOutcome {
  const groupProperties: Record<string, unknown> = {}
  if (event.processing === 'on') {
    for (const [groupType, key] of groupsOf(event)) {
      const index = typeIndexOf(state, typeKey(event, groupType))
      if (index !== undefined) groupProperties[`$group_${index}`] = key
    }
  }
  const group = identifiedGroup(event)
  if (group === undefined) return { groupProperties, warnings: [] }
  const index = typeIndexOf(state, group)
  if (index === undefined || event.processing !== 'on') return { groupProperties, warnings: [] }
  const set = event.properties.$group_set
  setGroup(state, { ...group, index, set, createdAtMs: Math.min(options.nowMs, event.timestampMs) })
  const isSetUsable = set === undefined || set === null || isRecord(set)
  const warnings: EntityWarning[] = isSetUsable
    ? []
    : [{ type: 'invalid_group_set', details: { eventUuid: event.uuid, groupType: group.groupType } }]
  return { groupProperties, warnings }
}

/** The group types that an event needs, each with the group itself where its properties are needed. */
export function groupNeedsOf(event: PersonEvent): { types: GroupTypeKey[]; groups: GroupKey[] } {
  const types = groupsOf(event).map(([groupType]) => typeKey(event, groupType))
  const group = identifiedGroup(event)
  return group === undefined ? { types, groups: [] } : { types: [...types, group], groups: [group] }
}

function groupsOf(event: PersonEvent): [string, unknown][] {
  const { $groups } = event.properties
  return isRecord($groups) ? Object.entries($groups).filter(([groupType]) => isStorableName(groupType)) : []
}

function identifiedGroup(event: PersonEvent): GroupKey | undefined {
  if (event.event !== '$groupidentify') return undefined
  const { $group_type: groupType, $group_key: groupKey } = event.properties
  if (typeof groupType !== 'string' || !groupKey) return undefined
  const key = storableId(textOf(groupKey))
  if (!isStorableName(groupType) || !isStorableName(key)) return undefined
  return { ...typeKey(event, groupType), groupKey: key }
}

function typeKey(event: PersonEvent, groupType: string): GroupTypeKey {
  return {
    teamId: event.teamId,
    projectId: event.projectId ?? event.teamId,
    groupType: storableId(groupType),
  }
}

function isStorableName(name: string): boolean {
  return name.length > 0 && name.length <= groupNameLengthMax
}

/** The index of a group type; a new type takes the lowest free one. Undefined if none is free. */
function typeIndexOf(state: GroupsState, type: GroupTypeKey): number | undefined {
  let types = state.types.get(type.projectId)
  if (types === undefined) {
    state.missingTypes.set(type.projectId, type)
    types = new Map()
    state.types.set(type.projectId, types)
  }
  const known = types.get(type.groupType)
  if (known !== undefined) return known
  const used = new Set(types.values())
  let typeIndex = 0
  while (used.has(typeIndex)) typeIndex++
  if (typeIndex >= groupTypesMax) return undefined
  types.set(type.groupType, typeIndex)
  state.newTypes.push({ ...type, typeIndex })
  return typeIndex
}

function setGroup(
  state: GroupsState,
  group: GroupKey & { index: number; set: unknown; createdAtMs: number },
): void {
  const { teamId, groupKey, index: typeIndex, createdAtMs } = group
  if (!state.asked.has(askedKey(group))) state.missingGroups.set(askedKey(group), group)
  const key = groupKeyOf(teamId, typeIndex, groupKey)
  const known = state.groups.get(key) ?? {
    stored: undefined,
    teamId,
    typeIndex,
    groupKey,
    createdAtMs,
    properties: {},
  }
  state.groups.set(key, known)
  const changes = storableEntries(group.set).filter(
    ([name, value]) =>
      !Object.hasOwn(known.properties, name) || !isSameJson(ownValue(known.properties, name), value),
  )
  if (changes.length > 0) known.properties = { ...known.properties, ...Object.fromEntries(changes) }
}
