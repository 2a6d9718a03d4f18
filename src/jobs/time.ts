import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'

/**
 * What time it is for the queue. Leases are compared across machines, so all of them go by the clock of the
 * first database; how far the own clock is away from it is measured now and then.
 */
export interface JobTime {
  now(): number
  /** Measures anew, unless that was done within the last minute. */
  align(): Promise<void>
}

const alignEveryMs = 60_000

/** The queue's time is the clock's own. For tests, and where one process does everything. */
export function clockTime(clock: Clock): JobTime {
  return { now: () => clock.now(), align: () => Promise.resolve() }
}

export function createDatabaseTime(ports: { clock: Clock; database: Database }): JobTime {
  const { clock, database } = ports
  let skewMs = 0
  let alignedAt = Number.NEGATIVE_INFINITY
  return {
    now: () => clock.now() + skewMs,
    async align() {
      if (clock.monotonic() - alignedAt < alignEveryMs) return
      const askedAt = clock.now()
      const rows = await database.query<{ ms: number }>(
        'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
      )
      const theirs = rows[0]?.ms
      if (theirs === undefined) return
      skewMs = Math.round(theirs - (askedAt + clock.now()) / 2)
      alignedAt = clock.monotonic()
    },
  }
}
