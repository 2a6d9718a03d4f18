/** What every Clock must do. `pass` lets at least `ms` of its time go by. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from './clock.ts'

export type ClockHarness = { clock: Clock; pass(ms: number): Promise<void> }

export function exerciseClock(name: string, create: () => ClockHarness): void {
  test(`${name}: time goes on, and monotonic time never goes back`, async () => {
    const { clock, pass } = create()
    const [wall, steady] = [clock.now(), clock.monotonic()]
    await pass(5)
    assert(clock.now() >= wall)
    assert(clock.monotonic() >= steady + 5)
  })

  test(`${name}: a sleep ends when its time has passed and not before`, async () => {
    const { clock, pass } = create()
    const from = clock.monotonic()
    const ended = clock.sleep(20).then(() => clock.monotonic())
    await pass(20)
    // Timers count whole milliseconds.
    assert((await ended) >= from + 19)
  })

  test(`${name}: sleeps end in the order of their ends`, async () => {
    const { clock, pass } = create()
    const order: string[] = []
    const sleeps = [
      clock.sleep(60).then(() => order.push('late')),
      clock.sleep(5).then(() => order.push('early')),
      clock.sleep(0).then(() => order.push('now')),
    ]
    await pass(60)
    await Promise.all(sleeps)
    assert.deepEqual(order, ['now', 'early', 'late'])
  })

  test(`${name}: an abort ends a sleep early, and it resolves`, async () => {
    const { clock } = create()
    const abort = new AbortController()
    const sleep = clock.sleep(3_600_000, { signal: abort.signal })
    abort.abort()
    await sleep
    await clock.sleep(3_600_000, { signal: abort.signal })
  })

  test(`${name}: a sleep of less than nothing ends at once`, async () => {
    const { clock, pass } = create()
    const sleep = clock.sleep(-5)
    await pass(0)
    await sleep
  })
}
