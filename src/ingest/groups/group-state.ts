import type { Properties } from '../entities/jsonb.ts'

/** The groups of one batch, in memory: what the database holds of them, and what the batch has made of them. */
export type GroupTypeKey = { teamId: number; projectId: number; groupType: string }
export type GroupKey = GroupTypeKey & { groupKey: string }

export type StoredGroup = {
  teamId: number
  typeIndex: number
  groupKey: string
  properties: Properties
  propertiesText: string
  createdAtMs: number
  version: number
}

export type LoadedGroups = {
  /** By project: the index of each known group type. */
  types: Map<number, Map<string, number>>
  groups: Map<string, StoredGroup>
}

export type GroupState = {
  readonly stored: StoredGroup | undefined
  readonly teamId: number
  readonly typeIndex: number
  readonly groupKey: string
  readonly createdAtMs: number
  properties: Properties
}

export type GroupsState = {
  readonly loaded: LoadedGroups
  readonly types: Map<number, Map<string, number>>
  readonly newTypes: { teamId: number; projectId: number; groupType: string; typeIndex: number }[]
  readonly groups: Map<string, GroupState>
  /** Projects whose types, and groups, that a rule asked for and nobody had loaded. */
  readonly missingTypes: Map<number, GroupTypeKey>
  readonly missingGroups: Map<string, GroupKey>
  /** Groups that were asked for at load, found or not. A group of a type that is new cannot exist. */
  readonly asked: ReadonlySet<string>
}

export function createGroupsState(loaded: LoadedGroups, asked: readonly GroupKey[]): GroupsState {
  const types = new Map([...loaded.types].map(([project, indexes]) => [project, new Map(indexes)]))
  const groups = new Map<string, GroupState>()
  for (const [key, stored] of loaded.groups) groups.set(key, { ...stored, stored })
  return {
    loaded,
    types,
    newTypes: [],
    groups,
    missingTypes: new Map(),
    missingGroups: new Map(),
    asked: new Set(asked.map(askedKey)),
  }
}

export function groupKeyOf(teamId: number, typeIndex: number, groupKey: string): string {
  return `${teamId}:${typeIndex}:${groupKey}`
}

export function askedKey(key: GroupKey): string {
  return JSON.stringify([key.teamId, key.projectId, key.groupType, key.groupKey])
}
