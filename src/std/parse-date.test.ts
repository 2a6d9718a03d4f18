import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDate, parseRfc3339 } from './parse-date.ts'

const vectors: readonly [string, string][] = [
  ['2023-01-02T03:04:05.678Z', '2023-01-02T03:04:05.678Z'],
  ['2023-01-02T03:04:05Z', '2023-01-02T03:04:05.000Z'],
  ['2023-01-02t03:04:05z', '2023-01-02T03:04:05.000Z'],
  ['2023-01-02T03:04:05.123456789Z', '2023-01-02T03:04:05.123Z'],
  ['2023-01-02T03:04:05.9999Z', '2023-01-02T03:04:05.999Z'],
  ['2023-01-02T03:04:05+02:00', '2023-01-02T01:04:05.000Z'],
  ['2023-01-02T03:04:05-0530', '2023-01-02T08:34:05.000Z'],
  ['2025-09-17T14:05:04.805+03', '2025-09-17T11:05:04.805Z'],
  ['2025-09-17T14:05:04-05', '2025-09-17T19:05:04.000Z'],
  ['2023-01-01T12:00:00', '2023-01-01T12:00:00.000Z'],
  ['2023-01-01T12:00', '2023-01-01T12:00:00.000Z'],
  ['2023-01-01 12:00:00', '2023-01-01T12:00:00.000Z'],
  ['2023-01-01 12:00:00.25', '2023-01-01T12:00:00.250Z'],
  ['2023-01-01 12:00:00 UTC', '2023-01-01T12:00:00.000Z'],
  ['2023-01-01 12:00:00+00:00', '2023-01-01T12:00:00.000Z'],
  ['2014-04-26 05:24:37 PM', '2014-04-26T17:24:37.000Z'],
  ['2023-01-01', '2023-01-01T00:00:00.000Z'],
  ['2023/01/31', '2023-01-31T00:00:00.000Z'],
  ['01/31/2023', '2023-01-31T00:00:00.000Z'],
  ['8/1/71', '1971-08-01T00:00:00.000Z'],
  ['4/8/2014 22:05', '2014-04-08T22:05:00.000Z'],
  ['8/8/1965 12:00:00 AM', '1965-08-08T00:00:00.000Z'],
  ['Tue, 1 Jul 2003 10:52:37 +0200', '2003-07-01T08:52:37.000Z'],
  ['Wed, 02 Jun 2021 06:31:39 GMT', '2021-06-02T06:31:39.000Z'],
  ['12 Feb 2006, 19:17', '2006-02-12T19:17:00.000Z'],
  ['May 8, 2009 5:57:51 PM', '2009-05-08T17:57:51.000Z'],
  ['September 17, 2012 at 10:09:00', '2012-09-17T10:09:00.000Z'],
  ['1672574400', '2023-01-01T12:00:00.000Z'],
  ['1672574400000', '2023-01-01T12:00:00.000Z'],
  ['1672574400000000000', '2023-01-01T12:00:00.000Z'],
  ['  2023-01-01T12:00:00Z ', '2023-01-01T12:00:00.000Z'],
  ['2024-02-29T00:00:00.000Z', '2024-02-29T00:00:00.000Z'],
  ['0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.000Z'],
]

test('dates are read in every form that clients write', () => {
  for (const [text, expected] of vectors) {
    const ms = parseDate(text)
    assert.equal(ms === undefined ? undefined : new Date(ms).toISOString(), expected, text)
  }
})

test('what is no date is undefined', () => {
  for (const text of [
    '',
    'yesterday',
    'not a date',
    '2023-13-01',
    '2023-02-30T00:00:00.000Z',
    '2023-02-29',
    '2023-01-01T25:00:00Z',
    '2023-01-01T24:00:00.000Z',
    '2023-01-01T12:60:00.000Z',
    '32/1/2023',
    '1',
    '12345',
    '2023',
    'Foo 8, 2009 5:57:51 PM',
    '13:00:00 PM 2023-01-01',
    'x'.repeat(100_000),
    `${' '.repeat(100_000)}2023`,
  ])
    assert.equal(parseDate(text), undefined, text.slice(0, 40))
})

test('every instant that JavaScript writes is read back exactly', () => {
  const instant = fc.integer({ min: Date.UTC(100, 0, 1), max: Date.UTC(9999, 11, 31) })
  fc.assert(
    fc.property(instant, (ms) => {
      const text = new Date(ms).toISOString()
      assert.equal(parseDate(text), ms)
      assert.equal(parseDate(text.replace('Z', '+00:00')), ms)
      assert.equal(parseDate(text.replace('T', ' ').replace('Z', '')), ms)
      assert.equal(parseRfc3339(text), ms)
    }),
  )
})

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9TZ:+\-/. aApPmM]*$/)), (text) => {
      const ms = parseDate(text)
      assert.ok(ms === undefined || Number.isInteger(ms))
    }),
  )
})

test('the strict form wants a date, a time and a zone', () => {
  assert.equal(parseRfc3339('2023-01-01T12:00:00+02:00'), Date.UTC(2023, 0, 1, 10))
  for (const text of ['2023-01-01', '2023-01-01T12:00:00', '2023-01-01T12:00:00+02', '1672574400'])
    assert.equal(parseRfc3339(text), undefined)
})
