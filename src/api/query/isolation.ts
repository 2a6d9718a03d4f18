/**
 * Keeps a project's queries inside the project. The warehouse adds a filter to every read of a table
 * (`additional_table_filters`), below the user's SQL, so no query text can take it away; a read-only query
 * may not change settings. A table that does not tell whose rows it holds cannot be read at all.
 *
 * ClickHouse may run a query's own conditions before that filter, or in one with it, and a condition that
 * throws would tell about rows it must not see. `filterFirst` forbids both; `guard.ts` closes the rest.
 */
import type { Clock } from '../../ports/clock.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Project } from '../projects/projects.ts'
import type { GuardNames } from './guard.ts'

/** Each table of the warehouse's database with its columns. Views are left out: what they read is filtered. */
export type TableColumns = ReadonlyMap<string, readonly string[]>
export type WarehouseNames = GuardNames & { tables: TableColumns }

/** Settings under which the filter has run before anything of the query sees a row. */
export const filterFirst = { optimize_move_to_prewhere: 0, query_plan_merge_filters: 0 } as const

const refreshIntervalMs = 10_000

/** Answers the warehouse's names, at most ten seconds old. */
export function createNameReader(ports: {
  warehouse: Warehouse
  clock: Clock
}): () => Promise<WarehouseNames> {
  let known: { names: Promise<WarehouseNames>; until: number } | undefined
  return () => {
    if (known !== undefined && known.until > ports.clock.monotonic()) return known.names
    const names = readNames(ports.warehouse)
    const reading = { names, until: ports.clock.monotonic() + refreshIntervalMs }
    known = reading
    names.catch(() => {
      if (known === reading) known = undefined
    })
    return names
  }
}

async function readNames(warehouse: Warehouse): Promise<WarehouseNames> {
  const [tables, databases, functions] = await Promise.all([
    warehouse.query<{ table: string; columns: string[] }>(
      `select c.table as table, groupArray(c.name) as columns
       from system.columns c join system.tables t on t.database = c.database and t.name = c.table
       where c.database = currentDatabase() and t.engine not like '%View'
       group by c.table order by c.table`,
    ),
    warehouse.query<{ name: string }>('select name from system.databases'),
    warehouse.query<{ name: string }>('select name from system.table_functions'),
  ])
  return {
    tables: new Map(tables.map(({ table, columns }) => [table, columns])),
    database: warehouse.database,
    databases: new Set([
      ...['system', 'information_schema'],
      ...databases.map(({ name }) => name.toLowerCase()),
    ]),
    tableFunctions: new Set(functions.map(({ name }) => name.toLowerCase())),
  }
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
