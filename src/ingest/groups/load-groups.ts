import type { DatabaseSession } from '../../ports/database.ts'
import { isRecord } from '../entities/jsonb.ts'
import { type GroupKey, type GroupTypeKey, groupKeyOf, type LoadedGroups } from './group-state.ts'

type GroupColumns = {
  team_id: number
  group_type_index: number
  group_key: string
  properties: string
  created_at_ms: number
  version: number
}

/** What the database holds of these group types and groups: one statement for each kind that is asked for. */
export async function loadGroups(
  session: DatabaseSession,
  types: readonly GroupTypeKey[],
  groups: readonly GroupKey[],
): Promise<LoadedGroups> {
  const loaded: LoadedGroups = { types: new Map(), groups: new Map() }
  const projects = [...new Set(types.map((type) => type.projectId))]
  if (projects.length === 0) return loaded
  for (const project of projects) loaded.types.set(project, new Map())
  const typeRows = await session.query<{ project_id: number; group_type: string; group_type_index: number }>(
    `select project_id::float8 as project_id, group_type, group_type_index from posthog_grouptypemapping
     where project_id = any($1::int8[])`,
    [projects],
  )
  for (const row of typeRows) loaded.types.get(row.project_id)?.set(row.group_type, row.group_type_index)
  if (groups.length === 0) return loaded
  const rows = await session.query<GroupColumns>(
    `select g.team_id, g.group_type_index, g.group_key, g.group_properties::text as properties,
       (extract(epoch from g.created_at) * 1000)::float8 as created_at_ms, g.version::float8 as version
     from unnest($1::int4[], $2::int8[], $3::text[], $4::text[]) as b(team_id, project_id, group_type, group_key)
     join posthog_grouptypemapping t on t.project_id = b.project_id and t.group_type = b.group_type
     join posthog_group g on g.team_id = b.team_id and g.group_key = b.group_key
       and g.group_type_index = t.group_type_index`,
    [
      groups.map((group) => group.teamId),
      groups.map((group) => group.projectId),
      groups.map((group) => group.groupType),
      groups.map((group) => group.groupKey),
    ],
  )
  for (const row of rows) {
    const properties: unknown = JSON.parse(row.properties)
    loaded.groups.set(groupKeyOf(row.team_id, row.group_type_index, row.group_key), {
      teamId: row.team_id,
      typeIndex: row.group_type_index,
      groupKey: row.group_key,
      properties: isRecord(properties) ? properties : {},
      propertiesText: row.properties,
      createdAtMs: row.created_at_ms,
      version: row.version,
    })
  }
  return loaded
}
