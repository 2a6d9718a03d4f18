/**
 * A change of rows that were written before: which rows, and which of their columns get another value. It is
 * carried out by writing the rows anew; the table's engine keeps the newest.
 */
import type { StorageTable } from '../storage/storage.ts'
import { identifier } from '../table/create-table.ts'

export type Replacement = {
  type: string
  projectId: number
  /** `undefined` where only readers need to know. */
  change: RowChange | undefined
  flag: QueryFlag | undefined
}

export type RowChange = {
  /** Conditions, all of which must hold; values are `{name:Type}` parameters. */
  where: readonly string[]
  parameters: Readonly<Record<string, unknown>>
  /** Expressions by column, for the columns that change. */
  values: Readonly<Record<string, string>>
  /** Columns that are written; the others take their defaults. `undefined`: all. */
  columns: readonly string[] | undefined
}

/** What readers must mind until the table has merged the new rows with the old. */
export type QueryFlag =
  | { kind: 'needs-final' }
  | { kind: 'exclude-groups'; groupIds: readonly (number | bigint)[] }

export type ParseOptions = {
  table: StorageTable
  /** `replacer.options` of the storage. */
  options: Readonly<Record<string, unknown>>
}

/**
 * Reads a message of the replacement topic. `undefined`: it asks for nothing. Throws `InvalidMessage`.
 */
export type ParseReplacement = (value: Buffer, options: ParseOptions) => Replacement | undefined

/** The one statement that carries out a change. Names are quoted; values go as parameters. */
export function replacementStatement(table: StorageTable, change: RowChange): string {
  const names =
    change.columns ??
    table.columns
      .filter(({ materialized, alias }) => materialized === undefined && alias === undefined)
      .map(({ name }) => name)
  const selected = names.map((name) => change.values[name] ?? identifier(name))
  return [
    `INSERT INTO ${identifier(table.name)} (${names.map(identifier).join(', ')})`,
    `SELECT ${selected.join(', ')}`,
    `FROM ${identifier(table.name)} FINAL`,
    `WHERE ${change.where.join(' AND ')}`,
  ].join('\n')
}
