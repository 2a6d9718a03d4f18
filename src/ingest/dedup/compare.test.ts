import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareEvents, differingPropertiesMax } from './compare.ts'

const event = {
  uuid: '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b',
  event: '$pageview',
  distinct_id: 'someone:else',
  token: 'phc_a',
  timestamp: '2026-01-02T03:04:05Z',
  properties: { a: 1, nested: { x: [1, 2], y: null } },
}

test('the same event is the same, in whatever order and form it is written', () => {
  const again = {
    ...event,
    uuid: event.uuid.toUpperCase(),
    timestamp: '2026-01-02T04:04:05.000+01:00',
    properties: { nested: { y: null, x: [1, 2] }, a: 1 },
  }
  assert.deepEqual(compareEvents(event, again), {
    verdict: 'same_event',
    similarity: 1,
    differing: [],
    differingProperties: [],
  })
})

test('a retry with another uuid or another time is told from another event', () => {
  assert.equal(compareEvents(event, { ...event, uuid: 'another' }).verdict, 'only_uuid_differs')
  assert.equal(
    compareEvents(event, { ...event, timestamp: '2026-01-02T03:04:06Z' }).verdict,
    'only_time_differs',
  )
  assert.equal(compareEvents(event, { ...event, distinct_id: 'someone' }).verdict, 'different_event')
})

test('properties count towards the verdict', () => {
  const other = { ...event, uuid: 'another', properties: { ...event.properties, a: '1', b: undefined } }
  const compared = compareEvents(event, other)
  assert.equal(compared.verdict, 'different_event')
  assert.deepEqual(compared.differing, ['uuid'])
  assert.deepEqual(compared.differingProperties, ['a', 'b'])
  assert.ok(compared.similarity > 0.6 && compared.similarity < 0.8)
})

test('times that are none are compared as they stand', () => {
  assert.deepEqual(compareEvents({ timestamp: 'soon' }, { timestamp: 'soon' }).differing, [])
  assert.deepEqual(compareEvents({ timestamp: 'soon' }, { timestamp: 'later' }).differing, ['timestamp'])
  assert.deepEqual(compareEvents({ timestamp: 'soon' }, {}).differing, ['timestamp'])
})

test('types differ where texts agree', () => {
  assert.deepEqual(compareEvents({ distinct_id: 1 }, { distinct_id: '1' }).differing, ['distinct_id'])
})

test('the list of properties is bounded', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`p${at}`, at]))
  assert.equal(compareEvents({ properties: many }, {}).differingProperties.length, differingPropertiesMax)
})
