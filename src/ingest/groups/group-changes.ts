import { topics } from '../../event/topics.ts'
import type { NewRecord } from '../../ports/log.ts'
import { clickhouseSeconds } from '../../std/time.ts'
import { toJsonb } from '../entities/jsonb.ts'
import type { TeamWarning } from '../persons/person-changes.ts'
import { isTooLarge } from '../persons/size-limit.ts'
import type { GroupState, GroupsState, StoredGroup } from './group-state.ts'

export type GroupRow = { group: GroupState; propertiesText: string; version: number }
export type GroupChanges = {
  newTypes: GroupsState['newTypes']
  created: readonly GroupRow[]
  updated: readonly (GroupRow & { stored: StoredGroup })[]
  warnings: readonly TeamWarning[]
}

/** Compares the computed groups with what is stored. A group that grew too large is left as it was. */
export function collectGroupChanges(
  state: GroupsState,
  limits: { propertiesBytesMax: number },
): GroupChanges {
  const created: GroupRow[] = []
  const updated: GroupChanges['updated'][number][] = []
  const warnings: TeamWarning[] = []
  for (const group of state.groups.values()) {
    const { stored, teamId, typeIndex, groupKey } = group
    if (stored !== undefined && group.properties === stored.properties) continue
    if (isTooLarge(group.properties, limits.propertiesBytesMax)) {
      const details = { groupTypeIndex: typeIndex, groupKey }
      warnings.push({ teamId, type: 'group_upsert_message_size_too_large', details })
      continue
    }
    const { text } = toJsonb(group.properties)
    if (stored === undefined) created.push({ group, propertiesText: text, version: 1 })
    else updated.push({ group, stored, propertiesText: text, version: stored.version + 1 })
  }
  return { newTypes: state.newTypes, created, updated, warnings }
}

export function hasGroupChanges(changes: GroupChanges): boolean {
  return changes.newTypes.length + changes.created.length + changes.updated.length > 0
}

/** The messages about changed groups: PostHog's columns and forms. */
export function groupRecords(changes: GroupChanges): NewRecord[] {
  return [...changes.created, ...changes.updated].map(({ group, propertiesText, version }) => {
    const message = {
      group_type_index: group.typeIndex,
      group_key: group.groupKey,
      team_id: group.teamId,
      group_properties: propertiesText,
      created_at: clickhouseSeconds(group.createdAtMs),
      version,
    }
    return {
      topic: topics.readyGroups,
      key: `${group.teamId}:${group.groupKey}`,
      value: Buffer.from(JSON.stringify(message)),
    }
  })
}
