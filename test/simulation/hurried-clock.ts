import type { Clock } from '../../src/ports/clock.ts'
import type { Random } from '../../src/ports/random.ts'

/** A clock on which a sleep costs a few turns of the event loop, by chance: time is order, not duration. */
export function createHurriedClock(random: Random): Clock {
  let nowMs = 0
  return {
    now: () => Date.UTC(2026, 0, 1) + ++nowMs,
    monotonic: () => ++nowMs,
    async sleep(ms, options = {}) {
      const turns = 1 + Math.floor(random.next() * Math.min(ms / 20, 200))
      for (let turn = 0; turn < turns && options.signal?.aborted !== true; turn++) await nextTurn()
    },
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
