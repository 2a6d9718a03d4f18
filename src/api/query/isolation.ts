/**
 * Keeps a project's queries inside the project. The warehouse adds a filter to every read of a table
 * (`additional_table_filters`), below the user's SQL, so no query text can take it away; a read-only query
 * may not change settings. A table that does not tell whose rows it holds cannot be read at all.
 */
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Project } from '../projects/projects.ts'

/** Each table of the warehouse's database with its columns. Views are left out: what they read is filtered. */
export type TableColumns = ReadonlyMap<string, readonly string[]>

export async function readTableColumns(warehouse: Warehouse): Promise<TableColumns> {
  const rows = await warehouse.query<{ table: string; columns: string[] }>(
    `select c.table as table, groupArray(c.name) as columns
     from system.columns c join system.tables t on t.database = c.database and t.name = c.table
     where c.database = currentDatabase() and t.engine not like '%View'
     group by c.table`,
  )
  return new Map(rows.map(({ table, columns }) => [table, columns]))
}

/** The value of the setting `additional_table_filters` for one project. */
export function tableFilters(
  database: string,
  tables: TableColumns,
  project: Pick<Project, 'id' | 'apiToken'>,
): string {
  const filters = [...tables].map(([table, columns]) => {
    const filter = columns.includes('team_id')
      ? `team_id = ${Math.trunc(project.id)}`
      : columns.includes('token')
        ? `token = ${quote(project.apiToken)}`
        : '0'
    return `${quote(`${database}.${table}`)}: ${quote(filter)}`
  })
  return `{${filters.join(', ')}}`
}

/** A ClickHouse string literal. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
