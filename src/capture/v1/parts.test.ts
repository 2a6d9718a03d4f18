import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { correctTimestamp, isIllegalId, judgeEvent } from './batch/event.ts'
import { readOptions } from './batch/options.ts'
import { parseRfc3339 } from './batch/rfc3339.ts'
import { decompress } from './decompress.ts'
import { readSdk } from './request-context.ts'

const fields = { event: 'e', distinct_id: 'd', timestamp: '2026-03-19T14:29:58.123Z' }

const judged: readonly [string, Record<string, unknown>, string, string | undefined][] = [
  ['a plain event', {}, '{}', undefined],
  ['a name of 200 bytes', { event: 'é'.repeat(100) }, '{}', undefined],
  ['no name', { event: undefined }, '{}', 'missing_event_name'],
  ['an empty name', { event: '' }, '{}', 'missing_event_name'],
  ['a number as name', { event: 3 }, '{}', 'missing_event_name'],
  ['a name of 201 bytes', { event: `${'é'.repeat(100)}x` }, '{}', 'event_name_too_long'],
  ['no distinct id', { distinct_id: undefined }, '{}', 'missing_distinct_id'],
  ['a blank distinct id', { distinct_id: ' \t ' }, '{}', 'missing_distinct_id'],
  ['a distinct id of 201 bytes', { distinct_id: 'x'.repeat(201) }, '{}', 'distinct_id_too_large'],
  ['a padded distinct id of 200 bytes', { distinct_id: ` ${'x'.repeat(200)} ` }, '{}', undefined],
  ['a date as time', { timestamp: '2026-03-19' }, '{}', 'invalid_event_timestamp'],
  ['a number as time', { timestamp: 1 }, '{}', 'invalid_event_timestamp'],
  ['no time', { timestamp: undefined }, '{}', 'invalid_event_timestamp'],
  ['properties that are an array', {}, '[]', 'malformed_event_properties'],
  ['properties that are null', {}, 'null', 'malformed_event_properties'],
  ['options that are text', { options: 'x' }, '{}', 'invalid_options'],
  ['an option that is no flag', { options: { cookieless_mode: 'maybe' } }, '{}', 'invalid_options'],
  ['unknown options', { options: { other: [] } }, '{}', undefined],
  ['null options', { options: null }, '{}', undefined],
  ['a session id that is a number', { session_id: 1 }, '{}', 'invalid_session_id'],
  ['a window id that is an object', { window_id: {} }, '{}', 'invalid_window_id'],
  ['null session and window ids', { session_id: null, window_id: null }, '{}', undefined],
  ['a performance event', { event: '$performance_event' }, '{}', 'dropped_performance_event'],
]
for (const [name, changes, properties, expected] of judged)
  test(`${name}: ${expected ?? 'accepted'}`, () => {
    const result = judgeEvent({ fields: { ...fields, ...changes }, properties, nesting: 1 })
    assert.equal('dropped' in result ? result.dropped : undefined, expected)
  })

test('properties nested deeper than others can parse are malformed', () => {
  assert.deepEqual(judgeEvent({ fields, properties: '{}', nesting: 128 }), {
    dropped: 'malformed_event_properties',
  })
  assert.ok('event' in judgeEvent({ fields, properties: '{}', nesting: 127 }))
})

test('options are read generously', () => {
  assert.deepEqual(
    readOptions({
      cookieless_mode: ' TRUE ',
      disable_skew_correction: 0,
      process_person_profile: '0',
      product_tour_id: 12,
    }),
    {
      cookielessMode: true,
      disableSkewCorrection: false,
      processPersonProfile: false,
      productTourId: '12',
    },
  )
  assert.deepEqual(readOptions({ cookieless_mode: null }), {})
  assert.equal(readOptions({ product_tour_id: 1.5 }), undefined)
  assert.equal(readOptions([]), undefined)
})

test('illegal ids are known in any case', () => {
  for (const id of [
    '0',
    'Anonymous',
    '[object Object]',
    'NaN',
    '00000000-0000-0000-0000-000000000000',
    'not_authenticated',
  ])
    assert.ok(isIllegalId(id), id)
  assert.ok(!isIllegalId('user-1'))
})

test('the skew of the client clock is taken out, and the far future becomes now', () => {
  const nowMs = 1_790_000_000_000
  const event = (timestampMs: number, options = {}) => ({ timestampMs, options })
  assert.equal(
    correctTimestamp(event(nowMs - 1000), { requestTimestampMs: nowMs + 5000, nowMs }),
    nowMs - 6000,
  )
  assert.equal(
    correctTimestamp(event(nowMs + 23 * 3_600_000), { requestTimestampMs: nowMs, nowMs }),
    nowMs + 23 * 3_600_000,
  )
  assert.equal(
    correctTimestamp(event(nowMs + 23 * 3_600_000 + 1), { requestTimestampMs: nowMs, nowMs }),
    nowMs,
  )
  const skipped = event(nowMs + 99 * 3_600_000, { disableSkewCorrection: true })
  assert.equal(correctTimestamp(skipped, { requestTimestampMs: nowMs + 5000, nowMs }), nowMs + 99 * 3_600_000)
})

test('RFC 3339 times are read as Date reads them, and nothing else is', () => {
  const dates = fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  })
  fc.assert(fc.property(dates, (date) => assert.equal(parseRfc3339(date.toISOString()), date.getTime())))
  assert.equal(parseRfc3339('2026-03-19T14:29:58.123456+02:30'), Date.parse('2026-03-19T14:29:58.123+02:30'))
  assert.equal(parseRfc3339('2024-02-29t00:00:00z'), Date.parse('2024-02-29T00:00:00Z'))
  for (const wrong of [
    '',
    '2026-03-19',
    '2026-03-19T14:29:58',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '1700000000',
    '2026-01-01T00:00:00+0000',
    'x2026-01-01T00:00:00Z',
  ])
    assert.equal(parseRfc3339(wrong), undefined, wrong)
})

test('the SDK is parted at the last slash', () => {
  assert.deepEqual(readSdk('a/b/1.2'), { lib: 'a/b', version: '1.2' })
  for (const wrong of ['', 'a', '/1', 'a/', ' / ', `a/${'9'.repeat(200)}`])
    assert.equal(readSdk(wrong), undefined)
})

test('every encoding is undone, with a limit on what comes out', async () => {
  const payload = Buffer.from('{"a":1}'.repeat(100))
  const encoded = [
    ['gzip', gzipSync(payload)],
    ['deflate', deflateSync(payload)],
    ['deflate', deflateRawSync(payload)],
    ['br', brotliCompressSync(payload)],
    ['zstd', zstdCompressSync(payload)],
    [undefined, payload],
  ] as const
  for (const [encoding, body] of encoded) {
    assert.deepEqual(await decompress(body, encoding, payload.length), payload)
    await assert.rejects(
      decompress(body, encoding, payload.length - 1),
      { tag: 'payload_too_large' },
      encoding,
    )
    if (encoding !== undefined)
      await assert.rejects(decompress(Buffer.from('no'), encoding, 1000), { tag: 'request_decoding_error' })
  }
})
