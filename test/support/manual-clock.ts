import type { Clock } from '../../src/ports/clock.ts'

/** A clock whose time only moves when the test says so. */
export interface ManualClock extends Clock {
  /**
   * Moves time on by `ms`, waking sleepers in the order of their ends, each at its own time. A sleeper that
   * goes to sleep again for a time within `ms` is woken again. Resolves when all woken code has had its turn.
   */
  advance(ms: number): Promise<void>
  /** Sets the wall clock without moving monotonic time: a correction of the machine's clock. */
  setWall(nowMs: number): void
  /** How many sleepers wait now; wait for it before `advance` when the code under test starts its own. */
  sleepers(): number
}

type Sleeper = { endsAtMs: number; wake: () => void }

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let monotonicMs = 0
  let wallOffsetMs = startMs
  const sleepers = new Set<Sleeper>()

  const nextSleeper = (untilMs: number): Sleeper | undefined =>
    [...sleepers]
      .filter((sleeper) => sleeper.endsAtMs <= untilMs)
      .sort((left, right) => left.endsAtMs - right.endsAtMs)[0]

  return {
    now: () => monotonicMs + wallOffsetMs,
    monotonic: () => monotonicMs,
    sleepers: () => sleepers.size,
    setWall(nowMs) {
      wallOffsetMs = nowMs - monotonicMs
    },
    sleep(ms, options = {}) {
      const { signal } = options
      if (signal?.aborted === true) return Promise.resolve()
      return new Promise((resolve) => {
        const sleeper: Sleeper = {
          endsAtMs: monotonicMs + Math.max(0, ms),
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', sleeper.wake)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      })
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms
      for (let next = nextSleeper(untilMs); next !== undefined; next = nextSleeper(untilMs)) {
        monotonicMs = Math.max(monotonicMs, next.endsAtMs)
        next.wake()
        await turn()
      }
      monotonicMs = untilMs
      await turn()
    },
  }
}

/** Lets everything run that is ready now, callbacks of finished I/O included. */
async function turn(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve))
}
