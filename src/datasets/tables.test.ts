import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openTables } from '../../test/support/datasets.ts'

type Column = { table: string; name: string; type: string }

test('the reference of tables names every table and column of the warehouse, with its type, and no other', async () => {
  await using tables = await openTables()
  const columns = await tables.warehouse.query<Column>(
    `select table, name, type from system.columns where database = currentDatabase()
     and table != 'schema_migrations' order by table, position`,
  )
  const live = new Map<string, string[]>()
  for (const { table, name, type } of columns)
    live.set(table, [...(live.get(table) ?? []), `${name}: ${type}`])
  assert.deepEqual(documented(), Object.fromEntries(live))
})

/** Tables as headings, columns as rows: `| name | type | meaning |`. */
function documented(): Record<string, string[]> {
  const text = readFileSync(new URL('../../docs/reference/tables.md', import.meta.url), 'utf8')
  const found: Record<string, string[]> = {}
  let table = ''
  for (const line of text.split('\n')) {
    table = /^## `(\w+)`/.exec(line)?.[1] ?? table
    const row = /^\| `([^`]+)` \| `([^`]+)` \| \S/.exec(line)
    if (row === null) continue
    found[table] = [...(found[table] ?? []), `${row[1]}: ${row[2]}`]
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}
