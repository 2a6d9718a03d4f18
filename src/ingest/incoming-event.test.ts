import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedNowMs, capturedRecord } from '../../test/support/captured-records.ts'
import type { LogRecord } from '../ports/log.ts'
import { decodeRecord, InvalidMessage, parseTime, personKey } from './incoming-event.ts'

test('what capture wrote around an event wins over what the client wrote inside', () => {
  const record = capturedRecord({
    distinctId: 'outer',
    data: { distinct_id: 'inner', timestamp: '1999-01-01T00:00:00Z', event: 'inner' },
    event: 'outer',
    timestampMs: capturedNowMs - 5000,
    message: { sent_at: '2026-01-15T11:59:59Z' },
  })
  const decoded = decodeRecord(record, 3)
  assert.equal(decoded.distinctId, 'outer')
  assert.equal(decoded.event, 'outer')
  assert.equal(decoded.timestampMs, capturedNowMs - 5000)
  assert.equal(decoded.capturedAtMs, capturedNowMs)
  assert.equal(decoded.index, 3)
  assert.equal(decoded.properties.$sent_at, '2026-01-15T11:59:59Z')
})

test('person instructions beside the properties are merged into them and win', () => {
  const { properties } = decodeRecord(
    capturedRecord({
      properties: { $set: { a: 1, b: 1 }, $set_once: 'nonsense' },
      data: { $set: { b: 2 }, $set_once: { c: 3 } },
    }),
    0,
  )
  assert.deepEqual(properties.$set, { a: 1, b: 2 })
  assert.deepEqual(properties.$set_once, { c: 3 })
})

test("the client's address counts unless the event says one", () => {
  assert.equal(decodeRecord(capturedRecord({ ip: '203.0.113.9' }), 0).properties.$ip, '203.0.113.9')
  const said = capturedRecord({ ip: '203.0.113.9', properties: { $ip: '192.0.2.1' } })
  assert.equal(decodeRecord(said, 0).properties.$ip, '192.0.2.1')
})

test('text is made storable and names are bounded', () => {
  const decoded = decodeRecord(
    capturedRecord({
      distinctId: 'a\0b\ud800',
      event: 'é'.repeat(300),
      uuid: '0190B9F0-0000-7000-8000-0000000000AB',
    }),
    0,
  )
  assert.equal(decoded.distinctId, 'a\uFFFDb\uFFFD')
  assert.equal(decoded.event, 'é'.repeat(200))
  assert.equal(decoded.uuid, '0190b9f0-0000-7000-8000-0000000000ab')
})

test('a record that is no captured event says which field is wrong', () => {
  const broken = (value: unknown): LogRecord => ({
    ...capturedRecord({}),
    value: Buffer.from(JSON.stringify(value)),
  })
  const expect = (record: LogRecord, message: RegExp) =>
    assert.throws(
      () => decodeRecord(record, 0),
      (error) => error instanceof InvalidMessage && message.test(error.message),
    )
  expect({ ...capturedRecord({}), value: Buffer.from('{"data"') }, /the message is not JSON/)
  expect(broken([1]), /the message is not a JSON object/)
  expect(broken({}), /data is missing/)
  expect(broken({ data: '{' }), /data is not JSON/)
  expect(capturedRecord({ message: { uuid: 'seven' } }), /uuid is not a UUID/)
  expect(capturedRecord({ message: { distinct_id: null }, data: { distinct_id: {} } }), /distinct_id/)
  expect(capturedRecord({ data: { properties: [] } }), /properties is not an object/)
})

test('times are RFC 3339 or fail, between the years 0 and 9999', () => {
  assert.equal(parseTime('2026-01-02T03:04:05.678+01:00'), Date.UTC(2026, 0, 2, 2, 4, 5, 678))
  assert.equal(parseTime('2026-01-02T03:04:05'), Date.UTC(2026, 0, 2, 3, 4, 5))
  assert.equal(parseTime('2026-01-02 03:04:05.123456Z'), Date.UTC(2026, 0, 2, 3, 4, 5, 123))
  assert.equal(parseTime('2026-01-02'), Date.UTC(2026, 0, 2))
  for (const text of [
    '',
    'yesterday',
    '2026-13-45T00:00:00Z',
    '+012026-01-01T00:00:00Z',
    '-000001-01-01T00:00:00Z',
    'Version 2026-01-02',
    5,
  ])
    assert.equal(parseTime(text), undefined, String(text))
})

test("a message without a usable time takes the header's", () => {
  const record = capturedRecord({ message: { timestamp: 'soon' }, headers: { timestamp: '1700000000000' } })
  assert.equal(decodeRecord(record, 0).timestampMs, 1_700_000_000_000)
  const none = capturedRecord({ message: { timestamp: 'soon' }, headers: { timestamp: null } })
  assert.equal(decodeRecord(none, 0).timestampMs, undefined)
})

test("the key is the record's own, or made like capture's", () => {
  assert.equal(
    personKey(decodeRecord(capturedRecord({ key: 'phc_test:203.0.113.7' }), 0)),
    'phc_test:203.0.113.7',
  )
  assert.equal(personKey(decodeRecord(capturedRecord({ key: null, distinctId: 'ann' }), 0)), 'phc_test:ann')
})

test('JSON that is nested too deep is refused before it can hurt, however it is spread', () => {
  const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`)
  const record = (depth: number) =>
    capturedRecord({ properties: { $set: { deep: nested(depth), text: ']]]]' } } })
  assert.equal(decodeRecord(record(100), 0).event, 'visited')
  assert.throws(() => decodeRecord(record(200), 0), /nested deeper than 128/)
  const text = JSON.stringify({ properties: { deep: 0 } }).replace(
    '0',
    `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
  )
  const deep = capturedRecord({ message: { data: text } })
  assert.throws(() => decodeRecord(deep, 0), /nested deeper than 128/)
  const wide = capturedRecord({ properties: { many: Array.from({ length: 500 }, () => [{}]) } })
  assert.equal(decodeRecord(wide, 0).event, 'visited')
})
