import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { personEvent } from '../../../test/support/person-tables.ts'
import type { Properties } from '../entities/jsonb.ts'
import { initialProperties, shownProperties, updateProperties } from './property-update.ts'

function update(event: Properties, current: Properties, name = 'visited') {
  return updateProperties(personEvent({ distinctId: 'a', event: name, properties: event }), current)
}

describe('updating the properties of a person', () => {
  test('$set replaces, $set_once only fills, $unset removes', () => {
    const event = { $set: { a: 2, b: 1 }, $set_once: { a: 9, c: 9, d: 9 }, $unset: ['e', 'unknown'] }
    const { properties, keys } = update(event, { a: 1, c: 1, e: 1 })
    assert.deepEqual(properties, { a: 2, b: 1, c: 1, d: 9 })
    assert.deepEqual([...keys].sort(), ['a', 'b', 'd', 'e'])
  })

  test('$set_once replaces a null, and does not set one', () => {
    assert.deepEqual(update({ $set_once: { a: 1 } }, { a: null }).properties, { a: 1 })
    assert.deepEqual(update({ $set_once: { a: null } }, { a: null }).keys, [])
  })

  test('$set wins over $set_once of the same event', () => {
    assert.deepEqual(update({ $set: { a: 1 }, $set_once: { a: 2 } }, {}).properties, { a: 1 })
  })

  test('$unset takes an object for its keys', () => {
    assert.deepEqual(update({ $unset: { a: '' } }, { a: 1, b: 1 }).properties, { b: 1 })
  })

  test('nothing changed is the same object', () => {
    const current = { list: [1, { deep: true }], a: 1 }
    const same = { $set: { list: [1, { deep: true }], a: 1 }, $unset: ['x'] }
    assert.equal(update(same, current).properties, current)
  })

  test('exceptions and heatmaps change nobody', () => {
    for (const name of ['$exception', '$$heatmap'])
      assert.deepEqual(update({ $set: { a: 1 } }, {}, name).keys, [])
  })

  test('events about a person force the write', () => {
    for (const name of ['$identify', '$create_alias', '$merge_dangerously', '$set'])
      assert.equal(update({ $set: { a: 1 } }, {}, name).isForced, true)
    assert.equal(update({ $set: { a: 1 } }, {}, '$pageview').isForced, false)
  })

  test('a shown survey is noted with its time', () => {
    const { properties } = update({}, {}, 'survey shown')
    assert.deepEqual(properties, { $survey_last_seen_date: '2026-01-02T03:04:05.000Z' })
  })

  test('words that every object knows are properties like any other', () => {
    const { properties } = update({ $set_once: { constructor: 'c', toString: 't' }, $unset: ['valueOf'] }, {})
    assert.deepEqual({ ...properties }, { constructor: 'c', toString: 't' })
    const poisoned: unknown = JSON.parse('{"__proto__":{"admin":true},"a":1}')
    assert.equal(JSON.stringify(update({ $set: poisoned }, {}).properties), '{"a":1}')
  })

  test('what is no object sets nothing', () => {
    for (const bad of ['text', 7, null, ['a'], true])
      assert.deepEqual(update({ $set: bad, $set_once: bad, $unset: 'a' }, { a: 1 }).keys, [])
  })

  test('a value that PostgreSQL could not parse for its depth is left out', () => {
    let deep: unknown = 1
    for (let level = 0; level < 2_000; level++) deep = [deep]
    assert.deepEqual(update({ $set: { deep, flat: 1 } }, {}).properties, { flat: 1 })
  })
})

test('a new person knows the event that made it, and $set wins over $set_once', () => {
  const event = personEvent({ distinctId: 'a', properties: { $set: { a: 1 }, $set_once: { a: 2, b: 2 } } })
  assert.deepEqual(initialProperties(event), { a: 1, b: 2, $creator_event_uuid: event.uuid })
})

test('an event shows what it sets even if the person does not keep it', () => {
  const event = personEvent({ distinctId: 'a', properties: { $set: { a: 1 } } })
  assert.deepEqual(shownProperties(event, { b: 2 }), { a: 1, b: 2 })
  const kept = { a: 1, b: 2 }
  assert.equal(shownProperties(event, kept), kept)
})
