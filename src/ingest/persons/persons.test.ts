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
import { personUuid } from './person-uuid.ts'

const firstMs = Date.UTC(2026, 0, 2, 3, 4, 5)

describe('an event with person processing', () => {
  test('makes a person of an unknown id', () => {
    const tables = emptyTables()
    const event = personEvent({
      distinctId: 'a',
      properties: { $set: { plan: 'free' }, $set_once: { from: 'ad' } },
    })
    const { outcomes, records } = runOnTables(tables, [event])
    const properties = { plan: 'free', from: 'ad', $creator_event_uuid: event.uuid }
    assert.deepEqual(outcomes, [
      {
        personId: personUuid(1, 'a'),
        personCreatedAtMs: event.timestampMs,
        personProperties: properties,
        mode: 'full',
        warnings: [],
      },
    ])
    const messages = records.map((record): unknown => JSON.parse(String(record.value)))
    assert.deepEqual(messages, [
      {
        id: personUuid(1, 'a'),
        created_at: '2026-01-02 03:04:05',
        properties: JSON.stringify({ from: 'ad', plan: 'free', $creator_event_uuid: event.uuid }),
        team_id: 1,
        is_identified: 0,
        is_deleted: 0,
        version: 0,
        last_seen_at: '2026-01-02 03:00:00',
      },
      { distinct_id: 'a', person_id: personUuid(1, 'a'), team_id: 1, version: 0, is_deleted: 0 },
    ])
    assert.deepEqual(
      records.map((record) => record.topic),
      ['clickhouse_person', 'clickhouse_person_distinct_id'],
    )
  })

  test('shows the person as it was at that event, not as later events of the batch made it', () => {
    const steps = [1, 2, 3].map((step) => personEvent({ distinctId: 'a', properties: { $set: { step } } }))
    const { outcomes } = runOnTables(emptyTables(), steps)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.personProperties.step),
      [1, 2, 3],
    )
  })

  test('is one write and one version per batch, however many events', () => {
    const tables = emptyTables()
    runOnTables(tables, [personEvent({ distinctId: 'a' })])
    const steps = [1, 2, 3].map((step) => personEvent({ distinctId: 'a', properties: { $set: { step } } }))
    const { records } = runOnTables(tables, steps)
    assert.equal(records.length, 1)
    assert.equal(personBehind(tables, 'a')?.version, 1)
  })

  test('that changes nothing writes nothing', () => {
    const tables = emptyTables()
    const event = { distinctId: 'a', properties: { $set: { plan: 'free', list: [{ a: 1 }] } } }
    runOnTables(tables, [personEvent(event)])
    assert.deepEqual(runOnTables(tables, [personEvent(event)]).records, [])
  })
})

describe('noisy properties', () => {
  const visit = (set: Record<string, unknown>, event = '$pageview') =>
    personEvent({ distinctId: 'a', event, properties: { $set: set } })

  test('alone do not write a person again, but the event shows them', () => {
    const tables = emptyTables()
    runOnTables(tables, [visit({ $current_url: '/1', $browser: 'Chrome' })])
    const { outcomes, records } = runOnTables(tables, [visit({ $current_url: '/2', $browser: 'Chrome' })])
    assert.equal(outcomes[0]?.personProperties.$current_url, '/2')
    assert.deepEqual(records, [])
    assert.equal(personBehind(tables, 'a')?.properties.$current_url, '/1')
  })

  test('are written when they are new, beside another change, and by events about the person', () => {
    for (const [second, event] of [
      [{ $current_url: '/2', $os: 'Linux' }, '$pageview'],
      [{ $current_url: '/2', plan: 'paid' }, '$pageview'],
      [{ $current_url: '/2' }, '$set'],
    ] as const) {
      const tables = emptyTables()
      runOnTables(tables, [visit({ $current_url: '/1' })])
      runOnTables(tables, [visit(second, event)])
      assert.equal(personBehind(tables, 'a')?.properties.$current_url, '/2')
    }
  })
})

describe('the hour in which a person was last seen', () => {
  test('only moves forward, and is kept back by the event or the config', () => {
    const hour = 3_600_000
    const seen = (hours: number, properties = {}) =>
      personEvent({ distinctId: 'a', timestampMs: firstMs + hours * hour, properties })
    const tables = emptyTables()
    runOnTables(tables, [seen(0)])
    runOnTables(tables, [seen(2)])
    runOnTables(tables, [seen(1)])
    runOnTables(tables, [seen(9, { $update_person_last_seen_at: false })])
    runOnTables(tables, [seen(9)], personsConfig.parse({ isLastSeenKept: false }))
    assert.equal(personBehind(tables, 'a')?.lastSeenAtMs, Date.UTC(2026, 0, 2, 5))
  })
})

describe('an event without person processing', () => {
  const off = (timestampMs: number, more = {}) =>
    personEvent({ distinctId: 'a', processing: 'off', timestampMs, ...more })

  test('of an unknown id has the computed person and leaves a note', () => {
    const tables = emptyTables()
    const { outcomes, records } = runOnTables(tables, [off(firstMs)])
    const nobody = { personId: personUuid(1, 'a'), personCreatedAtMs: 5_000, personProperties: {} }
    assert.deepEqual(outcomes, [{ ...nobody, mode: 'propertyless', warnings: [] }])
    assert.deepEqual([tables.persons.size, [...tables.personless], records.length], [0, [['1:a', false]], 0])
  })

  test('of a known person is counted to it without properties; a minute later it says that it should have some', () => {
    const tables = emptyTables()
    runOnTables(tables, [identify('b', 'a', { plan: 'paid' })])
    const later = firstMs + 60_001
    const { outcomes } = runOnTables(tables, [
      off(firstMs),
      off(later),
      off(later, { isUpgradeOptedOut: true }),
    ])
    assert.deepEqual(
      outcomes.map((outcome) => outcome.mode),
      ['propertyless', 'force_upgrade', 'propertyless'],
    )
    for (const outcome of outcomes) {
      assert.equal(outcome.personId, personUuid(1, 'b'))
      assert.deepEqual(outcome.personProperties, {})
    }
    assert.equal(tables.personless.get('1:a'), true)
  })

  test('that capture has switched off looks nobody up', () => {
    const tables = emptyTables()
    runOnTables(tables, [identify('b', 'a')])
    const { outcomes } = runOnTables(tables, [off(firstMs + 100_000, { processing: 'forced-off' })])
    assert.deepEqual([outcomes[0]?.mode, outcomes[0]?.personId], ['propertyless', personUuid(1, 'a')])
  })
})

describe('a flag call', () => {
  const call = (more = {}) => personEvent({ distinctId: 'a', event: '$feature_flag_called', ...more })

  test('alone makes no person', () => {
    const tables = emptyTables()
    assert.equal(runOnTables(tables, [call()]).outcomes[0]?.mode, 'propertyless')
    assert.equal(tables.persons.size, 0)
  })

  test('makes one when it asks for it, or belongs to groups, and counts to one that exists', () => {
    for (const more of [{ isProcessingExplicit: true }, { properties: { $groups: { company: 'x' } } }])
      assert.equal(runOnTables(emptyTables(), [call(more)]).outcomes[0]?.mode, 'full')
    const known = runOnTables(emptyTables(), [personEvent({ distinctId: 'a' }), call()])
    assert.equal(known.outcomes[1]?.mode, 'full')
  })
})

test('text that PostgreSQL refuses is stored and shown with a replacement', () => {
  const tables = emptyTables()
  const { records } = runOnTables(tables, [
    personEvent({
      distinctId: 'a\0',
      properties: { $set: { 'k\0': 'v\0', half: '\uD800', whole: '\u{1F600}' } },
    }),
  ])
  const { $creator_event_uuid: _, ...properties } = personBehind(tables, 'a\uFFFD')?.properties ?? {}
  assert.deepEqual(properties, { 'k\uFFFD': 'v\uFFFD', half: '\uFFFD', whole: '\u{1F600}' })
  assert.equal(
    records.some((record) => /\\u0000|\\ud8/i.test(String(record.value))),
    false,
  )
})

test('what cannot be stored is refused before anything changes', () => {
  const tables = emptyTables()
  assert.throws(() => runOnTables(tables, [personEvent({ distinctId: 'x'.repeat(401) })]), /400 characters/)
  for (const timestampMs of [Number.NaN, Number.POSITIVE_INFINITY, -1e15, 1e15])
    assert.throws(
      () => runOnTables(tables, [personEvent({ distinctId: 'a', timestampMs })]),
      /years 0 to 9999/,
    )
})
