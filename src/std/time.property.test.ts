import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { clickhouseSeconds, clickhouseTime } from './time.ts'

const times = fc.oneof(
  fc.integer({ min: Date.parse('0000-01-01T00:00:00Z'), max: Date.parse('9999-12-31T23:59:59.999Z') }),
  fc.integer({ min: -100_000_000_000, max: 4_000_000_000_000 }),
  fc.constantFrom(-1, 0, -62_167_219_200_000, 951_782_400_000, 951_868_799_999, 253_402_300_799_999),
)

test('a time is written as Date writes it, to the millisecond', () => {
  fc.assert(
    fc.property(times, (ms) => {
      const iso = new Date(ms).toISOString()
      assert.equal(clickhouseTime(ms), `${iso.slice(0, 10)} ${iso.slice(11, 23)}000`)
      assert.equal(clickhouseSeconds(ms), `${iso.slice(0, 10)} ${iso.slice(11, 19)}`)
    }),
    { numRuns: 2000 },
  )
})

test('parts of a millisecond are cut off as Date cuts them', () => {
  assert.equal(clickhouseTime(1.9), '1970-01-01 00:00:00.001000')
  assert.equal(clickhouseTime(-0.5), '1970-01-01 00:00:00.000000')
})
