import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  emptyTables,
  identify,
  type PersonTables,
  personBehind,
  personEvent,
  runOnTables,
} from '../../../test/support/person-tables.ts'
import type { PersonEvent } from './person-event.ts'
import { personUuid } from './person-uuid.ts'

/** How an id stands before the merge. */
type Standing = 'unknown' | 'personless' | 'anonymous' | 'identified'
type Case = {
  source: Standing
  target: Standing
  /** Whose uuid the person has afterwards that both ids share; `apart` if they stay two persons. */
  person: 'source' | 'target' | 'apart'
  versions: { source: number; target: number }
}

const cases: Case[] = [
  { source: 'unknown', target: 'unknown', person: 'target', versions: { source: 0, target: 0 } },
  { source: 'personless', target: 'unknown', person: 'source', versions: { source: 0, target: 0 } },
  { source: 'unknown', target: 'personless', person: 'target', versions: { source: 0, target: 0 } },
  { source: 'personless', target: 'personless', person: 'target', versions: { source: 1, target: 0 } },
  { source: 'anonymous', target: 'unknown', person: 'source', versions: { source: 0, target: 0 } },
  { source: 'anonymous', target: 'personless', person: 'source', versions: { source: 0, target: 1 } },
  { source: 'unknown', target: 'anonymous', person: 'target', versions: { source: 0, target: 0 } },
  { source: 'personless', target: 'anonymous', person: 'target', versions: { source: 1, target: 0 } },
  { source: 'anonymous', target: 'anonymous', person: 'target', versions: { source: 1, target: 0 } },
  { source: 'anonymous', target: 'identified', person: 'target', versions: { source: 1, target: 0 } },
  { source: 'identified', target: 'unknown', person: 'source', versions: { source: 0, target: 0 } },
  { source: 'identified', target: 'anonymous', person: 'apart', versions: { source: 0, target: 0 } },
  { source: 'identified', target: 'identified', person: 'apart', versions: { source: 0, target: 0 } },
]

function standUp(id: 'source' | 'target', standing: Standing): PersonEvent[] {
  if (standing === 'unknown') return []
  if (standing === 'personless') return [personEvent({ distinctId: id, processing: 'off' })]
  if (standing === 'anonymous') return [personEvent({ distinctId: id, properties: { $set: { from: id } } })]
  return [identify(id, `${id}-device`, { from: id })]
}

const merges: readonly [string, (tables: PersonTables) => readonly PersonEvent[]][] = [
  ['$identify', () => [identify('target', 'source')]],
  [
    '$create_alias',
    () => [personEvent({ event: '$create_alias', distinctId: 'target', properties: { alias: 'source' } })],
  ],
]

describe('the merge table', () => {
  for (const [name, make] of merges)
    for (const isOneBatch of [true, false])
      for (const { source, target, person, versions } of cases)
        test(`${name}: ${source} into ${target}, ${isOneBatch ? 'one batch' : 'two batches'}: ${person}`, () => {
          const tables = emptyTables()
          const before = [...standUp('source', source), ...standUp('target', target)]
          if (!isOneBatch) runOnTables(tables, before)
          const run = runOnTables(tables, isOneBatch ? [...before, ...make(tables)] : make(tables))
          const [behindSource, behindTarget] = [
            personBehind(tables, 'source'),
            personBehind(tables, 'target'),
          ]
          assert(behindSource !== undefined && behindTarget !== undefined)
          const refusals = run.warnings.map((warning) => warning.type)
          if (person === 'apart') {
            assert.notEqual(behindSource.uuid, behindTarget.uuid)
            assert.deepEqual(refusals, ['cannot_merge_already_identified'])
          } else {
            assert.equal(behindSource.uuid, personUuid(1, person))
            assert.equal(behindTarget.uuid, personUuid(1, person))
            assert.deepEqual(refusals, [])
          }
          assert.deepEqual({ source: behindSource.idVersion, target: behindTarget.idVersion }, versions)
          assert.equal(behindTarget.isIdentified, true)
          assert.equal(run.outcomes.at(-1)?.personId, behindTarget.uuid)
        })
})

describe('merging', () => {
  test('$merge_dangerously swallows a person that is identified', () => {
    const tables = emptyTables()
    const merge = personEvent({
      event: '$merge_dangerously',
      distinctId: 'target',
      properties: { alias: 'source' },
    })
    const run = runOnTables(tables, [
      ...standUp('source', 'identified'),
      ...standUp('target', 'identified'),
      merge,
    ])
    assert.equal(personBehind(tables, 'source')?.uuid, personUuid(1, 'target'))
    assert.deepEqual(run.warnings, [])
  })

  test('an id merged with itself does nothing, and identifies nobody', () => {
    const tables = emptyTables()
    runOnTables(tables, [identify('somebody', 'somebody')])
    assert.equal(personBehind(tables, 'somebody')?.isIdentified, false)
  })

  test('an illegal id is not merged, and the event goes on', () => {
    for (const [distinctId, other] of [
      ['somebody', 'null'],
      ['anonymous', 'device'],
    ] as const) {
      const tables = emptyTables()
      const run = runOnTables(tables, [identify(distinctId, other, { a: 1 })])
      assert.deepEqual(
        run.warnings.map((warning) => warning.type),
        ['cannot_merge_with_illegal_distinct_id'],
      )
      assert.equal(run.outcomes[0]?.personProperties.a, 1)
      assert.equal(personBehind(tables, distinctId)?.isIdentified, false)
      assert.equal(tables.persons.size, 1)
    }
  })

  test('an empty alias is no merge', () => {
    const tables = emptyTables()
    const run = runOnTables(tables, [
      personEvent({ event: '$create_alias', distinctId: 'a', properties: { alias: '' } }),
    ])
    assert.deepEqual(run.warnings, [])
  })

  test('the target keeps its properties, the older date and the higher version win', () => {
    const tables = emptyTables()
    const at = (day: number) => Date.UTC(2026, 0, day)
    const older = { distinctId: 'source', timestampMs: at(1), properties: { $set: { both: 's', source: 1 } } }
    runOnTables(tables, [personEvent(older)])
    for (const visits of [1, 2, 3])
      runOnTables(tables, [personEvent({ ...older, properties: { $set: { visits } } })])
    const newer = { distinctId: 'target', timestampMs: at(5), properties: { $set: { both: 't', target: 1 } } }
    runOnTables(tables, [personEvent(newer)])
    const run = runOnTables(tables, [{ ...identify('target', 'source', { event: 1 }), timestampMs: at(6) }])
    const person = personBehind(tables, 'target')
    assert(person !== undefined)
    const { $creator_event_uuid: _, ...properties } = person.properties
    assert.deepEqual(properties, { both: 't', source: 1, target: 1, visits: 3, event: 1 })
    assert.equal(person.createdAtMs, at(1))
    assert.equal(person.version, 4)
    const deleted = run.records
      .map((record): { is_deleted: number; version: number; id: string } => JSON.parse(String(record.value)))
      .filter((message) => message.is_deleted === 1)
    assert.deepEqual(
      deleted.map(({ id, version }) => ({ id, version })),
      [{ id: personUuid(1, 'source'), version: 103 }],
    )
  })

  test('ids that the batch never saw move with their person', () => {
    const tables = emptyTables()
    runOnTables(tables, [identify('other-device', 'phone')])
    runOnTables(tables, [personEvent({ distinctId: 'target' })])
    const merge = personEvent({
      event: '$merge_dangerously',
      distinctId: 'target',
      properties: { alias: 'phone' },
    })
    const run = runOnTables(tables, [merge])
    assert.equal(personBehind(tables, 'other-device')?.uuid, personUuid(1, 'target'))
    const moved = run.records
      .filter((record) => record.topic === 'clickhouse_person_distinct_id')
      .map((record): { distinct_id: string; version: number } => JSON.parse(String(record.value)))
    assert.deepEqual(moved.map((id) => [id.distinct_id, id.version]).sort(), [
      ['other-device', 1],
      ['phone', 1],
    ])
  })

  test('a chain of merges in one batch ends in one person, and counts every move', () => {
    const tables = emptyTables()
    runOnTables(
      tables,
      ['a', 'b', 'c'].map((distinctId) => personEvent({ distinctId })),
    )
    const swallow = (distinctId: string, alias: string) =>
      personEvent({ event: '$merge_dangerously', distinctId, properties: { alias } })
    runOnTables(tables, [swallow('b', 'a'), swallow('c', 'b'), swallow('a', 'c')])
    assert.equal(tables.persons.size, 1)
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => [personBehind(tables, id)?.uuid, personBehind(tables, id)?.idVersion]),
      [2, 1, 0].map((version) => [personUuid(1, 'c'), version]),
    )
  })
})
