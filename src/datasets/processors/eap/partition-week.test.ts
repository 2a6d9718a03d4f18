import assert from 'node:assert/strict'
import { test } from 'node:test'
import { otherWeek } from './partition-week.ts'

const at = (text: string) => Date.parse(text)
// 2023-11-13 was a Monday.
const reason = (event: string, now: string, graceMinutes = 30) =>
  otherWeek({ eventMs: at(event), nowMs: at(now), graceMinutes })

test('an item of the current week is taken at any time', () => {
  for (const now of ['2023-11-13T00:00:00Z', '2023-11-19T23:59:59Z']) {
    assert.equal(reason('2023-11-13T00:00:00Z', now), undefined)
    assert.equal(reason('2023-11-19T23:59:59Z', now), undefined)
  }
})

test('an item of the week before is taken until the grace has passed', () => {
  assert.equal(reason('2023-11-12T23:59:59Z', '2023-11-13T00:29:59Z'), undefined)
  assert.equal(reason('2023-11-12T23:59:59Z', '2023-11-13T00:30:00Z'), 'past_ts')
  assert.equal(reason('2023-11-12T23:59:59Z', '2023-11-13T00:00:00Z', 0), 'past_ts')
})

test('an item of the week after is taken from the grace before on', () => {
  assert.equal(reason('2023-11-20T00:00:00Z', '2023-11-19T23:29:59Z'), 'future_ts')
  assert.equal(reason('2023-11-20T00:00:00Z', '2023-11-19T23:30:00Z'), undefined)
})

test('weeks begin on Monday before 1970 as well', () => {
  assert.equal(reason('1969-12-29T00:00:00Z', '1970-01-01T00:00:00Z'), undefined)
  assert.equal(reason('1969-12-28T23:59:59Z', '1970-01-01T00:00:00Z'), 'past_ts')
})
