import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { emptyTables, personEvent, runOnTables } from '../../../test/support/person-tables.ts'
import { personsConfig } from '../persons/config.ts'

const inGroups = (groups: Record<string, unknown>, more = {}) =>
  personEvent({ distinctId: 'a', properties: { $groups: groups }, ...more })
const groupIdentify = (type: unknown, key: unknown, set?: unknown, more = {}) =>
  personEvent({
    distinctId: 'a',
    event: '$groupidentify',
    properties: { $group_type: type, $group_key: key, ...(set === undefined ? {} : { $group_set: set }) },
    ...more,
  })

describe('group types', () => {
  test('take the lowest free index, up to five; more are ignored', () => {
    const tables = emptyTables()
    const types = ['t0', 't1', 't2', 't3', 't4', 't5', 't6']
    const { groupProperties } = runOnTables(
      tables,
      types.map((type) => inGroups({ [type]: 'key' })),
    )
    assert.deepEqual(groupProperties, [
      { $group_0: 'key' },
      { $group_1: 'key' },
      { $group_2: 'key' },
      { $group_3: 'key' },
      { $group_4: 'key' },
      {},
      {},
    ])
    tables.types.get(1)?.delete('t1')
    assert.deepEqual(runOnTables(tables, [inGroups({ t6: 'k', t4: 4 })]).groupProperties, [
      { $group_1: 'k', $group_4: 4 },
    ])
  })

  test('belong to one project', () => {
    const tables = emptyTables()
    const { groupProperties } = runOnTables(tables, [
      inGroups({ company: 'x' }),
      inGroups({ team: 'y' }, { teamId: 2 }),
      inGroups({ company: 'z' }, { teamId: 3, projectId: 2 }),
    ])
    assert.deepEqual(groupProperties, [{ $group_0: 'x' }, { $group_0: 'y' }, { $group_1: 'z' }])
  })

  test('are not made by events without a person', () => {
    const tables = emptyTables()
    assert.deepEqual(
      runOnTables(tables, [inGroups({ company: 'x' }, { processing: 'off' })]).groupProperties,
      [{}],
    )
    assert.equal(tables.types.size, 0)
  })
})

describe('$groupidentify', () => {
  test('makes a group, and merges what is set later', () => {
    const tables = emptyTables()
    const first = runOnTables(tables, [groupIdentify('company', 7, { name: 'Seven', size: 1 })])
    assert.deepEqual(
      first.records
        .filter((record) => record.topic === 'clickhouse_groups')
        .map((record) => String(record.value)),
      [
        JSON.stringify({
          group_type_index: 0,
          group_key: '7',
          team_id: 1,
          group_properties: '{"name":"Seven","size":1}',
          created_at: '2026-01-02 03:04:05',
          version: 1,
        }),
      ],
    )
    const second = runOnTables(tables, [
      groupIdentify('company', '7', { size: 2 }),
      groupIdentify('company', '7', { city: 'Berlin' }),
    ])
    const group = tables.groups.get('1:0:7')
    assert.deepEqual(group?.properties, { name: 'Seven', size: 2, city: 'Berlin' })
    assert.equal(group?.version, 2)
    assert.equal(second.changes.groups.updated.length, 1)
  })

  test('that changes nothing writes nothing', () => {
    const tables = emptyTables()
    runOnTables(tables, [groupIdentify('company', 'x', { a: [1] })])
    const { groups } = runOnTables(tables, [groupIdentify('company', 'x', { a: [1] })]).changes
    assert.deepEqual([groups.created, groups.updated], [[], []])
  })

  test('with a set that is no object makes the group and says what is wrong', () => {
    const tables = emptyTables()
    const { warnings } = runOnTables(tables, [groupIdentify('company', 'x', 'oops')])
    assert.deepEqual(
      warnings.map((warning) => warning.type),
      ['invalid_group_set'],
    )
    assert.deepEqual(tables.groups.get('1:0:x')?.properties, {})
  })

  test('without a person only makes the group type', () => {
    const tables = emptyTables()
    runOnTables(tables, [groupIdentify('company', 'x', { a: 1 }, { processing: 'off' })])
    assert.deepEqual([tables.types.get(1)?.get('company'), tables.groups.size], [0, 0])
  })

  test('without type or key, or with one that cannot be stored, does nothing', () => {
    const tables = emptyTables()
    const long = 'x'.repeat(401)
    runOnTables(tables, [
      groupIdentify('', 'x'),
      groupIdentify('company', ''),
      groupIdentify('company', long),
    ])
    runOnTables(tables, [groupIdentify(5, 'x'), groupIdentify(long, 'x')])
    assert.deepEqual([tables.types.size, tables.groups.size], [0, 0])
  })

  test('that would make a group too large leaves it as it was', () => {
    const tables = emptyTables()
    const config = personsConfig.parse({ propertiesBytesMax: 1_024 })
    runOnTables(tables, [groupIdentify('company', 'x', { a: 1 })], config)
    const run = runOnTables(tables, [groupIdentify('company', 'x', { b: 'x'.repeat(2_000) })], config)
    assert.deepEqual(
      run.warnings.map((warning) => warning.type),
      ['group_upsert_message_size_too_large'],
    )
    assert.deepEqual(tables.groups.get('1:0:x')?.properties, { a: 1 })
  })
})
