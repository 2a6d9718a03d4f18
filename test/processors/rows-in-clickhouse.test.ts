/** Rows of the golden payloads go into tables made of the storages' YAML, with unknown columns refused. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { RowFormat } from '../../src/datasets/processor/processor.ts'
import { runBatch } from '../../src/datasets/processor/run-batch.ts'
import { builtInProcessorNames, loadBuiltInProcessor } from '../../src/datasets/processors/registry.ts'
import {
  createRowBufferFrom,
  type RowBuffer,
  type RowBufferParts,
  transferOfRows,
} from '../../src/datasets/row-buffer.ts'
import { findStorage } from '../../src/datasets/storage/read-storage.ts'
import type { Storage, StorageTable } from '../../src/datasets/storage/storage.ts'
import { createTableStatements } from '../../src/datasets/table/create-table.ts'
import type { Warehouse } from '../../src/ports/warehouse.ts'
import { openTestWarehouse } from '../support/warehouse.ts'
import { contextOf, processOne, readPayloads, recordOf } from './golden.ts'

const creators = new Map(
  await Promise.all(
    builtInProcessorNames().map(async (name) => [name, await loadBuiltInProcessor(name)] as const),
  ),
)

const storages = [
  'eap_items',
  'errors',
  'functions_raw',
  'generic_metrics_counters_raw',
  'group_attributes',
  'groupassignees',
  'groupedmessages',
  'llm_proxy_cost_raw',
  'metrics_raw',
  'outcomes_raw',
  'profile_chunks',
  'profiles',
  'querylog',
  'replays',
  'search_issues',
  'transactions',
]

suite('rows of golden payloads in ClickHouse', () => {
  for (const name of storages)
    test(`all rows of ${name} are accepted`, async () => {
      await using opened = await openTestWarehouse()
      const storage = await findStorage(name)
      const table = await createTable(opened.warehouse, storage, 'rows')
      const lines = rowsOf(storage, 'JSONEachRow').map(({ lines }) => lines.join('\n'))
      await insert(opened.warehouse, table, {
        format: 'JSONEachRow',
        body: Buffer.from(lines.join('\n')),
        settings: storage.writer.settings,
      })
      const [counted] = await opened.warehouse.query<{ rows: string }>('SELECT count() AS rows FROM rows')
      assert.equal(Number(counted?.rows), lines.join('\n').split('\n').length)
    })

  test('an item is the same in RowBinary and in JSON', async () => {
    await using opened = await openTestWarehouse()
    const storage = await findStorage('eap_items')
    const inJson = await createTable(opened.warehouse, storage, 'in_json')
    const inBinary = await createTable(opened.warehouse, storage, 'in_binary')
    // JSON has no text for numbers that are none, so that payload differs between the formats.
    const isTold = (name: string) => name !== 'floats-that-json-lacks'
    const lines = rowsOf(storage, 'JSONEachRow', isTold).map(({ lines }) => lines.join('\n'))
    const binary = rowsOf(storage, 'RowBinary', isTold).map(({ bytes }) => bytes)
    await insert(opened.warehouse, inJson, { format: 'JSONEachRow', body: Buffer.from(lines.join('\n')) })
    await insert(opened.warehouse, inBinary, { format: 'RowBinary', body: Buffer.concat(binary) })
    // Maps are equal whatever the order of their entries.
    const columns = inJson.columns
      .filter(({ name }) => !name.startsWith('_'))
      .map(({ name, type }) => (type.startsWith('Map(') ? `mapSort(${name}) AS ${name}_sorted` : name))
    const read = (table: string) =>
      opened.warehouse.query(`SELECT ${columns.join(', ')} FROM ${table} ORDER BY ALL`)
    const [json, fromBinary] = await Promise.all([read('in_json'), read('in_binary')])
    assert.equal(json.length, lines.length)
    assert.deepEqual(fromBinary, json)
  })
})

suite('rows by columns in ClickHouse', () => {
  for (const name of ['generic_metrics_counters_raw', 'llm_proxy_cost_raw', 'metrics_raw', 'outcomes_raw'])
    test(`rows of ${name} are the same in Native and in JSON, whole and in parts`, async () => {
      await using opened = await openTestWarehouse()
      const storage = await findStorage(name)
      const lines = rowsOf(storage, 'JSONEachRow').map(({ lines }) => lines.join('\n'))
      const body = Buffer.from(lines.join('\n'))
      const inJson = await createTable(opened.warehouse, storage, 'json')
      await insert(opened.warehouse, inJson, { format: 'JSONEachRow', body })
      const rows = nativeRows(storage)
      for (const size of [rows.rows, 1, 3]) {
        const table = await createTable(opened.warehouse, storage, `native_${size}`)
        for (let from = 0; from < rows.rows; from += size)
          await opened.warehouse.insert({
            table: table.name,
            format: 'Native',
            body: rows.slice(from, Math.min(from + size, rows.rows)),
            columns: rows.columns ?? [],
            // Equal rows without tokens would count as one insert made twice.
            token: `${size}/${from}`,
            settings: { input_format_skip_unknown_fields: 0, max_partitions_per_insert_block: 0 },
          })
        const read = (from: string) => opened.warehouse.query(`SELECT * FROM ${from} ORDER BY ALL`)
        assert.deepEqual(await read(table.name), await read(inJson.name))
      }
    })

  test('the blocks of several parts are one insert', async () => {
    await using opened = await openTestWarehouse()
    const storage = await findStorage('outcomes_raw')
    const table = await createTable(opened.warehouse, storage, 'joined')
    const part = () => ({ ...movedParts(nativeRows(storage)), firstOwner: 0 })
    const rows = createRowBufferFrom([part(), part(), part()])
    const write = () =>
      opened.warehouse.insert({
        table: table.name,
        format: 'Native',
        body: rows.slice(0, rows.rows),
        columns: rows.columns ?? [],
        token: 'joined',
        settings: { max_partitions_per_insert_block: 0 },
      })
    await write()
    await write()
    const [counted] = await opened.warehouse.query<{ rows: string }>('SELECT count() AS rows FROM joined')
    assert.equal(Number(counted?.rows), rows.rows)
  })
})

/** Rows of all payloads, as one batch makes them. */
function nativeRows(storage: Storage): RowBuffer {
  const create = creators.get(storage.processor.builtIn ?? '')
  assert.ok(create)
  const records = readPayloads(storage.name)
    .filter(({ rows }) => rows !== undefined && rows.length > 0)
    .map(({ value }) => recordOf(value))
  const { rows, endings } = runBatch(create(contextOf({ format: 'Native' })), records, 1)
  assert.equal(endings.size, 0)
  assert.ok(rows[0])
  return rows[0]
}

function movedParts(rows: RowBuffer): RowBufferParts {
  const parts = rows.parts()
  return structuredClone(parts, { transfer: transferOfRows(parts) })
}

/** The storage's table without removal of old rows: the payloads are older than that. */
async function createTable(warehouse: Warehouse, storage: Storage, name: string): Promise<StorageTable> {
  const [first] = storage.tables
  assert.ok(first)
  const table: StorageTable = {
    ...first,
    name,
    ttl: undefined,
    distributed: undefined,
    engine: { kind: 'MergeTree' },
  }
  for (const statement of createTableStatements(table)) await warehouse.command(statement)
  return table
}

function rowsOf(storage: Storage, format: RowFormat, isWanted: (name: string) => boolean = () => true) {
  const create = creators.get(storage.processor.builtIn ?? '')
  assert.ok(create)
  return readPayloads(storage.name)
    .filter(({ name, rows }) => rows !== undefined && rows.length > 0 && isWanted(name))
    .map(({ value }) => processOne(create, recordOf(value), contextOf({ format })))
}

async function insert(
  warehouse: Warehouse,
  { name, columns }: StorageTable,
  {
    format,
    body,
    settings = {},
  }: { format: RowFormat; body: Buffer; settings?: Readonly<Record<string, string | number>> },
): Promise<void> {
  const written = columns.filter(
    ({ materialized, alias }) => materialized === undefined && alias === undefined,
  )
  await warehouse.insert({
    table: name,
    format,
    body,
    ...(format === 'RowBinary' && { columns: written.map(({ name }) => name) }),
    settings: { input_format_skip_unknown_fields: 0, max_partitions_per_insert_block: 0, ...settings },
  })
}
