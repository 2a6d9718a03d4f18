import type { DatabaseSession } from '../../ports/database.ts'
import { expectCount } from '../entities/conflict.ts'
import type { GroupChanges, GroupRow } from './group-changes.ts'

const groupColumns = `team_id int4, group_type_index int4, group_key text, properties jsonb,
  created_at_ms float8, version int8`

/** Writes what a batch changed; a row count other than expected ends the transaction by a conflict. */
export async function writeGroups(session: DatabaseSession, changes: GroupChanges): Promise<void> {
  if (changes.newTypes.length > 0) {
    const rows = changes.newTypes.map((type) => ({
      team_id: type.teamId,
      project_id: type.projectId,
      group_type: type.groupType,
      group_type_index: type.typeIndex,
    }))
    const count = await session.execute(
      `insert into posthog_grouptypemapping (team_id, project_id, group_type, group_type_index)
       select team_id, project_id, group_type, group_type_index from json_to_recordset($1::json)
         as r(team_id int4, project_id int8, group_type text, group_type_index int4)
       on conflict do nothing`,
      [JSON.stringify(rows)],
    )
    expectCount('insert group types', count, rows.length)
  }
  if (changes.created.length > 0) {
    const count = await session.execute(
      `insert into posthog_group (team_id, group_type_index, group_key, group_properties, created_at, version)
       select team_id, group_type_index, group_key, properties, to_timestamp(created_at_ms / 1000), version
       from json_to_recordset($1::json) as r(${groupColumns})
       on conflict do nothing`,
      [rowsJson(changes.created)],
    )
    expectCount('insert groups', count, changes.created.length)
  }
  if (changes.updated.length === 0) return
  const count = await session.execute(
    `update posthog_group g set group_properties = r.properties, version = r.version
     from json_to_recordset($1::json) as r(${groupColumns})
     where g.team_id = r.team_id and g.group_type_index = r.group_type_index and g.group_key = r.group_key
       and g.version = r.version - 1`,
    [rowsJson(changes.updated)],
  )
  expectCount('update groups', count, changes.updated.length)
}

function rowsJson(rows: readonly GroupRow[]): string {
  const texts = [...rows]
    .sort((left, right) => (left.group.groupKey < right.group.groupKey ? -1 : 1))
    .map(
      ({ group, propertiesText, version }) =>
        `"team_id":${group.teamId},"group_type_index":${group.typeIndex},` +
        `"group_key":${JSON.stringify(group.groupKey)},"properties":${propertiesText},` +
        `"created_at_ms":${group.createdAtMs},"version":${version}`,
    )
  return `[{${texts.join('},{')}}]`
}
