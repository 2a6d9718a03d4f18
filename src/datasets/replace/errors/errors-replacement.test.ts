import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { openTestWarehouse } from '../../../../test/support/warehouse.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import type { StorageTable, TableColumn } from '../../storage/storage.ts'
import { replacementStatement } from '../replacement.ts'
import { parseErrorsReplacement } from './errors-replacement.ts'

const columnTypes = {
  project_id: 'UInt64',
  timestamp: 'DateTime',
  event_id: 'UUID',
  environment: 'LowCardinality(Nullable(String))',
  transaction_name: 'LowCardinality(String)',
  'tags.key': 'Array(String)',
  'tags.value': 'Array(String)',
  group_id: 'UInt64',
  group_first_seen: 'Nullable(DateTime)',
  primary_hash: 'UUID',
  retention_days: 'UInt16',
  deleted: 'UInt8',
  received: 'DateTime',
  message: 'String',
}

const table: StorageTable = {
  name: 'errors_local',
  columns: Object.entries(columnTypes).map(
    ([name, type]): TableColumn => ({
      name,
      type,
      default: undefined,
      materialized: undefined,
      alias: undefined,
      codec: undefined,
      ttl: undefined,
    }),
  ),
  indices: [],
  engine: { kind: 'ReplacingMergeTree', version: 'deleted', isDeleted: undefined },
  orderBy: ['project_id', 'toStartOfDay(timestamp)', 'primary_hash', 'cityHash64(event_id)'],
  primaryKey: [],
  partitionBy: [],
  sampleBy: undefined,
  ttl: undefined,
  settings: {},
  dedupWindow: 1000,
  distributed: undefined,
}

const time = '2026-03-02T10:00:00.000000Z'

/** A database of its own with one row per group, and what a replacement leaves of it. */
async function replaced(
  rows: readonly Record<string, unknown>[],
  message: unknown,
): Promise<Record<string, unknown>[]> {
  await using opened = await openTestWarehouse()
  const columns = Object.entries(columnTypes).map(([name, type]) => `\`${name}\` ${type}`)
  await opened.warehouse.command(
    `CREATE TABLE ${table.name} (${columns.join(', ')}) ENGINE = ReplacingMergeTree(deleted)
     ORDER BY (${table.orderBy.join(', ')}) SETTINGS non_replicated_deduplication_window = 1000`,
  )
  const base = {
    project_id: 1,
    timestamp: '2026-03-02 09:00:00',
    environment: 'production',
    transaction_name: '/pay',
    'tags.key': ['environment', 'transaction', 'zone', 'zone'],
    'tags.value': ['production', '/pay', 'a', 'b'],
    retention_days: 90,
    deleted: 0,
    received: '2026-03-02 09:00:00',
    message: 'boom',
  }
  for (const row of rows)
    await opened.warehouse.insert({
      table: table.name,
      format: 'JSONEachRow',
      body: Buffer.from(
        JSON.stringify({ ...base, event_id: randomUUID(), primary_hash: randomUUID(), ...row }),
      ),
    })
  const replacement = parseErrorsReplacement(Buffer.from(JSON.stringify(message)), {
    table,
    options: {},
  })
  assert(replacement?.change !== undefined)
  const statement = replacementStatement(table, replacement.change)
  for (let turn = 0; turn < 2; turn++)
    await opened.warehouse.command(statement, {
      parameters: replacement.change.parameters,
      settings: { insert_deduplicate: 0 },
    })
  return await opened.warehouse.query(
    `SELECT * FROM ${table.name} FINAL WHERE NOT deleted ORDER BY group_id, message`,
  )
}

const groupsOf = (rows: readonly Record<string, unknown>[]) => rows.map(({ group_id }) => Number(group_id))

test('deleting groups hides their rows that were received before, and no others', async () => {
  const left = await replaced(
    [
      { group_id: 1 },
      { group_id: 2 },
      { group_id: 1, project_id: 9 },
      { group_id: 1, received: '2026-03-02 10:00:01', message: 'later' },
    ],
    [2, 'end_delete_groups', { project_id: 1, group_ids: [1], datetime: time, transaction_id: 'x' }],
  )
  assert.deepEqual(
    left.map(({ project_id, group_id, message }) => [Number(project_id), Number(group_id), message]),
    [
      [9, 1, 'boom'],
      [1, 1, 'later'],
      [1, 2, 'boom'],
    ],
  )
})

test('merging moves the rows of several groups, with the first time the group was seen', async () => {
  const left = await replaced(
    [{ group_id: 1 }, { group_id: 2 }, { group_id: 3 }],
    [
      2,
      'end_merge',
      {
        project_id: 1,
        previous_group_ids: [1, 2],
        new_group_id: 7,
        new_group_first_seen: '2026-01-01T00:00:00.000000Z',
        datetime: time,
      },
    ],
  )
  assert.deepEqual(groupsOf(left), [3, 7, 7])
  assert.deepEqual(
    left.map(({ group_first_seen }) => group_first_seen),
    [null, '2026-01-01 00:00:00', '2026-01-01 00:00:00'],
  )
  assert(left.every(({ message }) => message === 'boom'))
})

test('unmerging moves the rows with these hashes only; a hash that is no hex is taken by its MD5', async () => {
  const digest = createHash('md5').update('my hash').digest('hex')
  const asUuid = digest.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  const left = await replaced(
    [{ group_id: 1, primary_hash: asUuid }, { group_id: 1 }, { group_id: 2, primary_hash: asUuid }],
    [
      2,
      'end_unmerge',
      { project_id: 1, previous_group_id: 1, new_group_id: 5, hashes: ['my hash'], datetime: time },
    ],
  )
  assert.deepEqual(groupsOf(left), [1, 2, 5])
})

test('deleting a tag takes it from the arrays, every time it is there, and empties its own column', async () => {
  const [row] = await replaced(
    [{ group_id: 1 }],
    [2, 'end_delete_tag', { project_id: 1, tag: 'zone', datetime: time }],
  )
  assert.deepEqual(row?.['tags.key'], ['environment', 'transaction'])
  assert.deepEqual(row['tags.value'], ['production', '/pay'])
  const [promoted] = await replaced(
    [{ group_id: 1 }],
    [2, 'end_delete_tag', { project_id: 1, tag: 'environment', datetime: time }],
  )
  assert.equal(promoted?.environment, null)
  assert.deepEqual(promoted['tags.key'], ['transaction', 'zone', 'zone'])
  const [plain] = await replaced(
    [{ group_id: 1 }],
    [2, 'end_delete_tag', { project_id: 1, tag: 'transaction', datetime: time }],
  )
  assert.equal(plain?.transaction_name, '')
})

test('single events are hidden by id, with their old hash and within their time', async () => {
  const [one, two, three] = [randomUUID(), randomUUID(), randomUUID()]
  const hash = randomUUID()
  const rows = [
    { group_id: 1, event_id: one, primary_hash: hash },
    { group_id: 2, event_id: two },
    { group_id: 3, event_id: three, primary_hash: hash, timestamp: '2026-03-01 00:00:00' },
  ]
  const body = {
    project_id: 1,
    event_ids: [one.replaceAll('-', ''), two, three],
    old_primary_hash: hash.replaceAll('-', ''),
    from_timestamp: '2026-03-02T00:00:00+00:00',
    to_timestamp: '2026-03-03T00:00:00.000000Z',
  }
  assert.deepEqual(groupsOf(await replaced(rows, [2, 'tombstone_events', body])), [2, 3])
  assert.deepEqual(
    groupsOf(await replaced(rows, [2, 'replace_group', { ...body, new_group_id: 8 }])),
    [3, 8, 8],
  )
})

test('ids beyond 2^53 keep every digit', async () => {
  const text = `[2,"replace_group",{"project_id":1,"event_ids":["${randomUUID()}"],"new_group_id":18446744073709551615}]`
  const replacement = parseErrorsReplacement(Buffer.from(text), { table, options: {} })
  assert.equal(replacement?.change?.parameters.group, '18446744073709551615')
})

test('excluded groups are for readers alone', () => {
  const message = [2, 'exclude_groups', { project_id: 1, group_ids: [4, 5] }]
  const replacement = parseErrorsReplacement(Buffer.from(JSON.stringify(message)), { table, options: {} })
  assert.equal(replacement?.change, undefined)
  assert.deepEqual(replacement?.flag, { kind: 'exclude-groups', groupIds: [4, 5] })
})

test('announcements and changes of nothing ask for nothing', () => {
  for (const message of [
    [2, 'start_merge', { project_id: 1 }],
    [2, 'end_delete_groups', { project_id: 1, group_ids: [], datetime: time }],
    [2, 'end_delete_tag', { project_id: 1, tag: '', datetime: time }],
    [2, 'tombstone_events', { project_id: 1, event_ids: [] }],
  ])
    assert.equal(
      parseErrorsReplacement(Buffer.from(JSON.stringify(message)), { table, options: {} }),
      undefined,
    )
})

for (const [message, path] of [
  ['no json', ''],
  [[1, 'end_merge', {}], '[0]'],
  [[2, 'end_world', { project_id: 1 }], '[1]'],
  [
    [2, 'end_merge', { project_id: 1, previous_group_ids: ['x'], new_group_id: 1, datetime: time }],
    '[2].previous_group_ids.0',
  ],
  [[2, 'end_delete_groups', { project_id: 1, group_ids: [1], datetime: 'now' }], '[2].datetime'],
  [[2, 'tombstone_events', { project_id: 1, event_ids: ["'; DROP TABLE x"] }], '[2].event_ids.0'],
] as const)
  test(`${JSON.stringify(message).slice(0, 60)} is refused at ${path || 'the whole'}`, () => {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    assert.throws(
      () => parseErrorsReplacement(Buffer.from(text), { table, options: {} }),
      (error: unknown) => error instanceof InvalidMessage && error.path === path,
    )
  })
