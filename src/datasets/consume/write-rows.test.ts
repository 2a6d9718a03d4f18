import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import type { WarehouseInsert } from '../../ports/warehouse.ts'
import { ColumnRows } from '../processor/columns/columns.ts'
import { createColumnBuffer, createRowBuffer, type RowBuffer } from '../row-buffer.ts'
import type { StorageTable } from '../storage/storage.ts'
import { insertColumns, writeRows } from './write-rows.ts'

const { signal } = new AbortController()
const batch = { topic: 'numbers', partition: 0, from: 0, until: 100 }
const writer = { format: 'Native', compression: 'none', settings: {} } as const

/** Rows of the numbers, each owned by the message of its number, with a column that the table does not have. */
function byColumns(numbers: readonly number[]): RowBuffer {
  const rows = new ColumnRows()
  const number = rows.u32('number', { type: 'Int32' })
  const word = rows.key('word', { isNullable: true })
  const other = rows.u8('other')
  for (const n of numbers) {
    number.put(n)
    if (n % 2 === 0) word.put(`word ${n}`)
    else word.putNull()
    other.put(1)
    rows.end(n)
  }
  return createColumnBuffer([{ ...rows.take(), firstOwner: 0 }])
}

const column = (name: string, type: string) => ({
  name,
  type,
  default: undefined,
  materialized: undefined,
  alias: undefined,
  codec: undefined,
  ttl: undefined,
})
const table: Pick<StorageTable, 'columns'> = {
  columns: [column('word', ''), column('number', ''), column('more', '')],
}

async function setup() {
  const opened = await openTestWarehouse()
  await opened.warehouse.command(`
    CREATE TABLE numbers (
      number Int32, word LowCardinality(Nullable(String)), more UInt8 DEFAULT 7,
      CONSTRAINT no_sevens CHECK number % 7 != 0
    ) ENGINE = MergeTree ORDER BY number SETTINGS non_replicated_deduplication_window = 1000`)
  const inserts: WarehouseInsert[] = []
  const warehouse = {
    ...opened.warehouse,
    insert: (insert: WarehouseInsert) => {
      inserts.push(insert)
      return opened.warehouse.insert(insert)
    },
  }
  const write = (rows: RowBuffer) =>
    writeRows(
      warehouse,
      { table: 'numbers', columns: insertColumns(table, { format: 'Native', rows }), writer, batch, rows },
      { signal },
    )
  const read = () => opened.warehouse.query('SELECT * FROM numbers ORDER BY number')
  return { inserts, write, read, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
}

suite('rows in Native', () => {
  test('are written once whatever is tried again, the refused ones found one by one', async () => {
    await using bundle = await setup()
    const numbers = Array.from({ length: 30 }, (_, n) => n + 1)
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = await bundle.write(byColumns(numbers))
      assert.deepEqual(
        refused.map(({ owner }) => owner),
        [7, 14, 21, 28],
      )
    }
    assert.deepEqual(
      await bundle.read(),
      numbers
        .filter((n) => n % 7 !== 0)
        .map((number) => ({ number, word: number % 2 === 0 ? `word ${number}` : null, more: 7 })),
    )
    assert.ok(bundle.inserts.every(({ format }) => format === 'Native'))
    assert.deepEqual(bundle.inserts[0]?.columns, ['number', 'word'])
  })

  test('are JSON where the processor has no columns', async () => {
    await using bundle = await setup()
    const rows = createRowBuffer(0)
    rows.addText(0, '{"number":1,"word":"one","other":1}')
    rows.addText(1, '{"number":14}')
    assert.deepEqual(
      (await bundle.write(rows)).map(({ owner }) => owner),
      [1],
    )
    assert.deepEqual(await bundle.read(), [{ number: 1, word: 'one', more: 7 }])
    assert.deepEqual([bundle.inserts[0]?.format, bundle.inserts[0]?.columns], ['JSONEachRow', undefined])
  })
})
