import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCalendar, isDayAccepted } from './calendar.ts'

const calendar = createCalendar()
const hourMs = 3_600_000

test('a day is that of the first zone that exists', () => {
  const timeMs = Date.UTC(2026, 2, 3, 23, 30)
  assert.equal(calendar.dayOf(timeMs, ['Asia/Tokyo', 'UTC']), '2026-03-04')
  assert.equal(calendar.dayOf(timeMs, [undefined, '', 'Mars/Olympus', 'America/New_York']), '2026-03-03')
  assert.equal(calendar.dayOf(timeMs, ['Mars/Olympus']), '2026-03-03')
})

test('a day begins at its own midnight, also when the clocks change on it', () => {
  const berlin = ['Europe/Berlin']
  assert.equal(calendar.startOfDay(Date.UTC(2026, 2, 29, 12), berlin), Date.UTC(2026, 2, 28, 23))
  assert.equal(calendar.startOfDay(Date.UTC(2026, 9, 25, 12), berlin), Date.UTC(2026, 9, 24, 22))
  assert.equal(calendar.startOfDay(Date.UTC(2026, 0, 2, 1), ['Asia/Kolkata']), Date.UTC(2026, 0, 1, 18, 30))
  for (let hour = 0; hour < 400; hour++) {
    const timeMs = Date.UTC(2026, 2, 20, hour, 17)
    const startMs = calendar.startOfDay(timeMs, berlin)
    assert.ok(startMs <= timeMs && timeMs - startMs < 25 * hourMs)
    assert.equal(calendar.dayOf(startMs, berlin), calendar.dayOf(timeMs, berlin))
    assert.notEqual(calendar.dayOf(startMs - 1, berlin), calendar.dayOf(timeMs, berlin))
  }
})

test('a day is accepted from its first hour anywhere to its last, and as much longer as is allowed', () => {
  const startMs = Date.UTC(2026, 4, 5)
  const accepted = (nowMs: number, lagMs = 0) => isDayAccepted('2026-05-05', nowMs, lagMs)
  assert.equal(accepted(startMs - 14 * hourMs - 1), false)
  assert.equal(accepted(startMs - 14 * hourMs), true)
  assert.equal(accepted(startMs + 36 * hourMs - 1), true)
  assert.equal(accepted(startMs + 36 * hourMs), false)
  assert.equal(accepted(startMs + 36 * hourMs, hourMs), true)
})
