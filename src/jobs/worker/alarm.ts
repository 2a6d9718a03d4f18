import type { Clock } from '../../ports/clock.ts'

/** A sleep that others can cut short. One sleeper at a time; a ring while nobody sleeps ends the next sleep at once. */
export interface Alarm {
  ring(): void
  sleep(ms: number): Promise<void>
}

/** A reason of one's own is cheaper than the usual one. */
const rung = 'rung'

export function createAlarm(clock: Clock): Alarm {
  let sleeper: AbortController | undefined
  let isRung = false
  return {
    ring() {
      isRung = true
      sleeper?.abort(rung)
    },
    async sleep(ms) {
      if (!isRung) {
        sleeper = new AbortController()
        await clock.sleep(ms, { signal: sleeper.signal })
        sleeper = undefined
      }
      isRung = false
    },
  }
}
