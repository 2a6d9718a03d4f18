import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  emptyTables,
  identify,
  personBehind,
  personEvent,
  runOnTables,
} from '../../../test/support/person-tables.ts'
import { personsConfig } from './config.ts'

const config = personsConfig.parse({ propertiesBytesMax: 4_096, propertiesTrimBytes: 2_048 })
const set = (properties: Record<string, unknown>, distinctId = 'a') =>
  personEvent({ distinctId, properties: { $set: properties } })
const violation = 'person_properties_size_violation'

describe('a person whose properties grow too large', () => {
  test('keeps what it had, and a warning says so', () => {
    const tables = emptyTables()
    runOnTables(tables, [set({ plan: 'free' })], config)
    const run = runOnTables(tables, [identify('a', 'b'), set({ plan: 'x'.repeat(5_000) })], config)
    assert.deepEqual(
      run.warnings.map((warning) => warning.type),
      [violation],
    )
    assert.equal(personBehind(tables, 'a')?.properties.plan, 'free')
    assert.equal(personBehind(tables, 'a')?.isIdentified, true)
  })

  test('is not written at all if nothing else changed', () => {
    const tables = emptyTables()
    runOnTables(tables, [set({ plan: 'free' })], config)
    const run = runOnTables(tables, [set({ plan: 'x'.repeat(5_000) })], config)
    assert.deepEqual([run.records.length, run.warnings.length], [0, 1])
  })

  test('is cut down when it is new, and keeps its name', () => {
    const tables = emptyTables()
    const large = { a: 'x'.repeat(1_500), b: 'x'.repeat(1_500), c: 'x'.repeat(1_500), email: 'a@example.com' }
    const run = runOnTables(tables, [set(large)], config)
    const kept = Object.keys(personBehind(tables, 'a')?.properties ?? {}).sort()
    assert.deepEqual(kept, ['$creator_event_uuid', 'c', 'email'])
    assert.deepEqual(
      run.warnings.map((warning) => warning.type),
      [violation],
    )
  })

  test('is cut down when it comes from a merge, even by what is protected', () => {
    const tables = emptyTables()
    runOnTables(
      tables,
      [set({ name: 'x'.repeat(3_000) }, 'a'), set({ email: 'y'.repeat(3_000) }, 'b')],
      config,
    )
    runOnTables(tables, [identify('b', 'a')], config)
    const { name, email } = personBehind(tables, 'b')?.properties ?? {}
    assert.deepEqual([typeof name, typeof email], ['string', 'undefined'])
  })

  test('is cut down when it was stored under a higher limit', () => {
    const tables = emptyTables()
    runOnTables(tables, [set({ a: 'x'.repeat(5_000), b: 1 })])
    runOnTables(tables, [set({ c: 1 })], config)
    const { $creator_event_uuid: _, ...properties } = personBehind(tables, 'a')?.properties ?? {}
    assert.deepEqual(properties, { b: 1 })
  })
})
