/**
 * The tables of storages: the statements that create them (`create-table.ts`), what a live one is like
 * (`live-table.ts`), and how it differs from what its storage wants.
 *
 * ClickHouse rewrites types and expressions in its own way, and the way changes with versions. So nothing is
 * compared as it stands in the YAML: the wanted table is made, empty, in a database for the purpose; ClickHouse
 * describes both, and the descriptions are compared. `formatQuery` would not do: it leaves types as they are,
 * and says nothing of what a table has by itself.
 */
import assert from 'node:assert/strict'
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { StorageTable } from '../storage/storage.ts'
import { createTableStatements, identifier, placedName, type TablePlace } from './create-table.ts'
import { diffTable, type TableDifference } from './diff-table.ts'
import { type LiveTable, readLiveTable } from './live-table.ts'

/** A difference, with the whole statement that ends it. */
export type TableChange = {
  kind: TableDifference['kind'] | 'table-missing'
  table: string
  /** A sentence without its stop. */
  what: string
  /** Nothing where no statement helps. */
  statement: string | undefined
  /** Why no statement helps. */
  whyNot: string | undefined
}

/**
 * How the live table differs from the wanted one: nothing where they are the same, and one change of kind
 * `table-missing` for each statement that creates a missing table. Fails with `STORAGE_INVALID` when
 * ClickHouse refuses the wanted table.
 */
export async function compareTable(
  warehouse: Warehouse,
  table: StorageTable,
  options: { place?: TablePlace; signal?: AbortSignal } = {},
): Promise<TableChange[]> {
  const { place = {}, signal } = options
  const ask = signal === undefined ? {} : { signal }
  const wanted = await describeWanted(warehouse, table, ask)
  const database = place.database === undefined ? {} : { database: place.database }
  const live = await readLiveTable(warehouse, table.name, { ...database, ...ask })
  if (live === undefined)
    return createTableStatements(table, place).map((statement) => ({
      kind: 'table-missing',
      table: table.name,
      what: 'it does not exist',
      statement,
      whyNot: undefined,
    }))
  return diffTable(wanted, live).flatMap((difference) => changesFor(difference, table, place))
}

function changesFor(
  { kind, what, whyNot, change, changeOverall }: TableDifference,
  table: StorageTable,
  place: TablePlace,
): TableChange[] {
  const changeOf = (name: string, text: string | undefined): TableChange => ({
    kind,
    table: name,
    what,
    statement: text === undefined ? undefined : `ALTER TABLE ${placedName(name, place)} ${text}`,
    whyNot,
  })
  const own = changeOf(table.name, change)
  if (place.cluster === undefined || table.distributed === undefined || changeOverall === undefined)
    return [own]
  return [own, changeOf(table.distributed.name, changeOverall)]
}

/** The table as ClickHouse understands the YAML. */
async function describeWanted(
  warehouse: Warehouse,
  table: StorageTable,
  options: { signal?: AbortSignal },
): Promise<LiveTable> {
  await using scratch = await createScratch(warehouse, options)
  const { database } = scratch
  try {
    for (const statement of createTableStatements(table, { database }))
      await warehouse.command(statement, options)
  } catch (cause) {
    if (!isRowmillError(cause, 'WAREHOUSE_REFUSED')) throw cause
    throw new RowmillError(
      'STORAGE_INVALID',
      `ClickHouse refuses the table ${table.name} as the storage describes it.`,
      { cause },
    )
  }
  const wanted = await readLiveTable(warehouse, table.name, { database, ...options })
  assert(wanted !== undefined, 'a table that was just created')
  return wanted
}

/** A database of its own name, dropped when it is disposed, also after an abort. */
async function createScratch(
  warehouse: Warehouse,
  options: { signal?: AbortSignal },
): Promise<{ database: string } & AsyncDisposable> {
  const [unique] = await warehouse.query<{ database: string }>(
    "SELECT 'rowmill_diff_' || replaceAll(toString(generateUUIDv4()), '-', '') AS database",
    options,
  )
  assert(unique !== undefined, 'a query without a table has one row')
  const { database } = unique
  await warehouse.command(`CREATE DATABASE ${identifier(database)}`, options)
  return {
    database,
    [Symbol.asyncDispose]: () => warehouse.command(`DROP DATABASE IF EXISTS ${identifier(database)} SYNC`),
  }
}
