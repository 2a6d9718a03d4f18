import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import fc from 'fast-check'
import { openTables } from '../../../test/support/datasets.ts'
import { completeTable } from '../storage/complete.ts'
import { readOwnStorages } from '../storage/read-storage.ts'
import type { StorageTable } from '../storage/storage.ts'
import { tableDocument } from '../storage/table-document.ts'
import { createTableStatements } from './create-table.ts'
import { readLiveTable } from './live-table.ts'
import { compareTable } from './table.ts'

const tables = await openTables()
const { warehouse } = tables

/** A table as a YAML would give it. */
function tableOf(changes: Record<string, unknown> = {}): StorageTable {
  const base = {
    name: `t_${++numbers}`,
    columns: [
      { name: 'id', type: 'UInt64' },
      { name: 'at', type: "DateTime('UTC')" },
      { name: 'text', type: 'String' },
    ],
    engine: { kind: 'MergeTree' },
    order_by: ['id', 'toDate(at)'],
  }
  return completeTable(tableDocument.parse({ ...base, ...changes }))
}
let numbers = 0

async function create(table: StorageTable): Promise<void> {
  for (const statement of createTableStatements(table)) await warehouse.command(statement)
}

/** Applies every statement of a diff, drops included. */
async function apply(table: StorageTable): Promise<string[]> {
  const changes = await compareTable(warehouse, table)
  for (const { statement } of changes) if (statement !== undefined) await warehouse.command(statement)
  return changes.map(({ what }) => what)
}

suite('tables', () => {
  after(() => tables[Symbol.asyncDispose]())

  test("Rowmill's own tables are what its storages say", async () => {
    const storages = await readOwnStorages()
    assert.equal(storages.length, 10)
    for (const table of storages.flatMap((storage) => storage.tables))
      assert.deepEqual(await compareTable(warehouse, table), [], table.name)
  })

  test('a missing table is created by its statements, once, and then there is no difference', async () => {
    const table = tableOf({
      columns: [
        { name: 'id', type: 'UInt64', codec: 'DoubleDelta, LZ4' },
        { name: 'at', type: "DateTime('UTC')", default: 'now()' },
        { name: 'tags.key', type: 'Array(String)' },
        { name: 'tags.value', type: 'Array(String)' },
        { name: 'it`s', type: 'LowCardinality(Nullable(String))' },
        { name: 'hash', type: 'UInt64', materialized: "cityHash64('a;b', id)" },
        { name: 'twice', type: 'UInt64', alias: 'id * 2' },
        { name: 'short', type: 'String', ttl: 'at + toIntervalDay(3)', codec: 'ZSTD(3)' },
        { name: 'removed', type: 'UInt8', default: 0 },
      ].map((column) => (column.name === 'it`s' ? { ...column, name: "it's" } : column)),
      indices: [{ name: 'i', expression: '(short, id)', type: 'bloom_filter(0.01)', granularity: 2 }],
      engine: { kind: 'ReplacingMergeTree', version: 'at', is_deleted: 'removed' },
      order_by: ['id', 'cityHash64(hash)'],
      primary_key: ['id'],
      partition_by: ['id % 3', 'toMonday(at)'],
      sample_by: 'id',
      ttl: 'at + toIntervalDay(30)',
      settings: { index_granularity: 512, storage_policy: 'default' },
      dedup_window: 7,
    })
    const missing = await compareTable(warehouse, table)
    assert.deepEqual(
      missing.map(({ kind, what }) => [kind, what]),
      [['table-missing', 'it does not exist']],
    )
    for (let round = 0; round < 2; round++) await create(table)
    assert.deepEqual(await compareTable(warehouse, table), [])
    const live = await readLiveTable(warehouse, table.name)
    assert.equal(live?.engine, 'ReplacingMergeTree(at, removed)')
    assert.equal(live.settings.get('non_replicated_deduplication_window'), '7')
    assert.equal(live.settings.get('fsync_after_insert'), '1')
    assert.equal(live.columns.find(({ name }) => name === 'short')?.ttl, 'at + toIntervalDay(3)')
  })

  test('columns, indices, TTLs and settings are altered, with their rows kept, and the second diff is empty', async () => {
    const before = tableOf({
      columns: [
        { name: 'id', type: 'UInt64' },
        { name: 'at', type: "DateTime('UTC')" },
        {
          name: 'text',
          type: 'String',
          default: "'none'",
          codec: 'ZSTD(3)',
          ttl: 'at + toIntervalDay(19000)',
        },
        { name: 'number', type: 'UInt8' },
        { name: 'kind', type: 'String', default: "'a'" },
        { name: 'old', type: 'String' },
      ],
      indices: [
        { name: 'texts', expression: 'text', type: 'bloom_filter(0.01)' },
        { name: 'numbers', expression: 'number', type: 'minmax' },
      ],
      ttl: 'at + toIntervalDay(9000)',
      settings: { index_granularity: 512, min_bytes_for_wide_part: 1 },
    })
    await create(before)
    await warehouse.command(
      `INSERT INTO ${before.name} (id, at, text, number, kind) VALUES (1, now(), 'x', 7, 'b')`,
    )
    const wanted: StorageTable = {
      ...tableOf({
        columns: [
          { name: 'first', type: 'String', default: 'concat(text, later)' },
          { name: 'id', type: 'UInt64' },
          { name: 'at', type: "DateTime('UTC')" },
          { name: 'text', type: 'String' },
          { name: 'number', type: 'UInt32', default: '3', codec: 'ZSTD(1)' },
          { name: 'kind', type: 'LowCardinality(String)', materialized: "'c'" },
          { name: 'later', type: 'String', default: 'lower(text)' },
        ],
        indices: [
          { name: 'texts', expression: 'lower(text)', type: 'bloom_filter(0.01)' },
          { name: 'times', expression: 'at', type: 'minmax' },
        ],
        ttl: 'at + toIntervalDay(8000), at + toIntervalDay(4000) DELETE WHERE id > 5',
        settings: { index_granularity: 256, max_parts_to_merge_at_once: 50 },
      }),
      name: before.name,
    }
    const told = await apply(wanted)
    assert(
      told.includes(
        'the column number has the type UInt8, not UInt32; and no default, not DEFAULT 3; and no codec, not CODEC(ZSTD(1))',
      ),
      told.join('\n'),
    )
    const left = await compareTable(warehouse, wanted)
    assert.deepEqual(
      left.map(({ what, statement, whyNot }) => [what, statement, whyNot]),
      [
        [
          'the setting index_granularity is 512, not 256',
          undefined,
          'ClickHouse takes it only when a table is made',
        ],
      ],
    )
    const rows = await warehouse.query(`SELECT id, text, number, later, first FROM ${before.name}`)
    assert.deepEqual(rows, [{ id: '1', text: 'x', number: 7, later: 'x', first: 'xx' }])
  })

  test('what ClickHouse cannot alter is said with the reason, and no statement', async () => {
    const before = tableOf()
    await create(before)
    const wanted: StorageTable = {
      ...tableOf({
        columns: [
          { name: 'id', type: 'String' },
          { name: 'at', type: "DateTime('UTC')" },
          { name: 'text', type: 'String' },
        ],
        engine: { kind: 'ReplacingMergeTree', version: 'at' },
        order_by: ['id', 'text'],
        primary_key: ['id'],
        partition_by: ['toYYYYMM(at)'],
      }),
      name: before.name,
    }
    const changes = await compareTable(warehouse, wanted)
    assert.deepEqual(
      changes.map(({ kind, what }) => `${kind}: ${what}`),
      [
        'fixed: the engine is MergeTree(), not ReplacingMergeTree(at)',
        'fixed: the partition is none, not toYYYYMM(at)',
        'fixed: the sorting key is id, toDate(at), not id, text',
        'fixed: the primary key is id, toDate(at), not id',
        'column-changed: the column id has the type UInt64, not String',
      ],
    )
    assert(changes.every(({ statement, whyNot }) => statement === undefined && whyNot !== undefined))
  })

  test('something else under the name of the table is told as that alone', async () => {
    const table = tableOf()
    await warehouse.command(`CREATE VIEW ${table.name} AS SELECT 1 AS id`)
    const changes = await compareTable(warehouse, table)
    assert.deepEqual(
      changes.map(({ what, statement }) => [what, statement]),
      [['the engine is View(), not MergeTree()', undefined]],
    )
  })

  test('a table that ClickHouse refuses is an error that says why, and leaves nothing behind', async () => {
    const table = tableOf({ columns: [{ name: 'id', type: 'UInt63' }], order_by: ['id'] })
    await assert.rejects(compareTable(warehouse, table), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'STORAGE_INVALID')
      assert.match(String(error.cause), /UInt63/)
      return true
    })
    const left = await warehouse.query(
      "SELECT name FROM system.databases WHERE name LIKE 'rowmill\\_diff\\_%'",
    )
    assert.deepEqual(left, [])
  })

  test('on a cluster the table is replicated, has a table over all shards, and ClickHouse can read the statements', async () => {
    const table = tableOf({
      engine: { kind: 'CollapsingMergeTree', sign: 'sign' },
      columns: [
        { name: 'id', type: 'UInt64', codec: 'ZSTD(1)' },
        { name: 'at', type: 'DateTime' },
        { name: 'text', type: 'String', ttl: 'at + toIntervalDay(1)' },
        { name: 'sign', type: 'Int8', default: 1 },
      ],
      distributed: { name: 'everywhere', sharding_key: 'id' },
    })
    const place = { database: "d'b", cluster: { name: 'c-1', set: 'outcomes' } }
    const [local = '', all = '', ...more] = createTableStatements(table, place)
    assert.deepEqual(more, [])
    assert(local.startsWith(`CREATE TABLE IF NOT EXISTS \`d'b\`.\`${table.name}\` ON CLUSTER \`c-1\``))
    assert(
      local.includes(
        `ReplicatedCollapsingMergeTree('/clickhouse/tables/outcomes/{shard}/d\\'b/${table.name}', '{replica}', \`sign\`)`,
      ),
    )
    assert.match(
      local,
      / replicated_deduplication_window = 1000, replicated_deduplication_window_seconds = 604800/,
    )
    assert.match(all, /`everywhere` ON CLUSTER `c-1`[\s\S]*ENGINE = Distributed\(`c-1`, `d'b`, `t_\d+`, id\)/)
    assert.doesNotMatch(all, /CODEC|TTL/)
    await create({
      ...table,
      columns: table.columns.filter(({ name }) => name !== 'sign'),
      engine: { kind: 'MergeTree' },
    })
    const changes = await compareTable(warehouse, table, {
      place: { cluster: { name: 'c-1', set: 'outcomes' } },
    })
    assert.deepEqual(
      changes.map(({ statement }) => statement),
      [
        undefined,
        `ALTER TABLE \`${table.name}\` ON CLUSTER \`c-1\` ADD COLUMN \`sign\` Int8 DEFAULT 1 AFTER \`text\``,
        'ALTER TABLE `everywhere` ON CLUSTER `c-1` ADD COLUMN `sign` Int8 DEFAULT 1 AFTER `text`',
      ],
    )
    const statements = [local, all, ...changes.flatMap(({ statement }) => statement ?? [])]
    for (const sql of statements)
      await warehouse.query('SELECT formatQuery({sql:String})', { parameters: { sql } })
  })

  test('whatever a table was, after the statements of the diff it is what the storage says', async () => {
    await fc.assert(
      fc.asyncProperty(anyTable, anyTable, async (before, wanted) => {
        const name = `p_${++numbers}`
        await create({ ...before, name })
        await apply({ ...wanted, name })
        assert.deepEqual(await compareTable(warehouse, { ...wanted, name }), [])
        await warehouse.command(`DROP TABLE ${name} SYNC`)
      }),
      { numRuns: 8 },
    )
  })
})

const column = (name: string) =>
  fc.record(
    {
      name: fc.constant(name),
      type: fc.constantFrom('String', 'LowCardinality(String)', 'Nullable(String)'),
      default: fc.constantFrom("'x'", 'toString(id)', "concat('a, b', toString(at))"),
      codec: fc.constantFrom('ZSTD(1)', 'LZ4', 'NONE'),
      ttl: fc.constantFrom('at + toIntervalDay(9000)', 'at + INTERVAL 1000 MONTH'),
    },
    { requiredKeys: ['name', 'type'] },
  )

const names = ['a.c', 'b', 'a.b', 'TTL', 'in']

const anyTable = fc
  .record({
    columns: fc.tuple(...names.map((name) => fc.option(column(name), { nil: undefined }))),
    indices: fc.subarray([
      { name: 'ids', expression: 'id % 7', type: 'minmax', granularity: 1 },
      { name: 'ids2', expression: 'tuple(id, at)', type: 'set(10)', granularity: 3 },
    ]),
    ttl: fc.option(
      fc.constantFrom('at + toIntervalDay(9000)', 'at + toIntervalMonth(400) DELETE WHERE id = 3'),
      {
        nil: undefined,
      },
    ),
    settings: fc.subarray([
      ['min_bytes_for_wide_part', 1],
      ['max_suspicious_broken_parts', 3],
    ] as const),
    dedup_window: fc.constantFrom(0, 10, 1000),
  })
  .map(({ columns, settings, ...rest }) =>
    tableOf({
      ...JSON.parse(JSON.stringify(rest)),
      columns: [
        { name: 'id', type: 'UInt64' },
        { name: 'at', type: "DateTime('UTC')" },
        ...columns.filter((entry) => entry !== undefined),
      ],
      settings: Object.fromEntries(settings),
    }),
  )
