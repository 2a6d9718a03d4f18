import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCalendar, isDayAccepted } from './calendar.ts'

const zones = Intl.supportedValuesOf('timeZone')
const calendar = createCalendar()
const time = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2030, 0, 1) })

test('in every zone a time lies in its day, and that day is accepted at that moment', () => {
  fc.assert(
    fc.property(time, fc.constantFrom(...zones), (timeMs, zone) => {
      const day = calendar.dayOf(timeMs, [zone])
      const startMs = calendar.startOfDay(timeMs, [zone])
      assert.ok(startMs <= timeMs && timeMs - startMs <= 25 * 3_600_000, `${zone} ${timeMs}`)
      assert.equal(calendar.dayOf(startMs, [zone]), day)
      assert.equal(isDayAccepted(day, timeMs, 0), true)
      const other = new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(timeMs)
      assert.equal(day, other)
    }),
    { numRuns: 300 },
  )
})
