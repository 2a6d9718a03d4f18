/**
 * How the stages of a process are, for whoever asks whether it is ready: whether each has joined its group, how many
 * partitions it holds, and for how long its oldest batch has been in hand.
 */
import type { Clock } from '../ports/clock.ts'

export type StageState = {
  group: string
  /** Since when it runs, by the monotonic clock. */
  sinceMs: number
  /** It has held a partition. One that has none while others hold them all never has. */
  hasJoined: boolean
  partitions: number
  /** How long the oldest batch is in hand, in ms; 0 when there is none. */
  oldestBatchMs: number
}

export interface StageWatch {
  begin(group: string): Disposable
  lease(group: string): Disposable
  batch(group: string): Disposable
  states(): StageState[]
}

type Standing = { sinceMs: number; hasJoined: boolean; partitions: number; batches: Map<symbol, number> }

export function createStageWatch(clock: Pick<Clock, 'monotonic'>): StageWatch {
  const standings = new Map<string, Standing>()
  return {
    begin(group) {
      const begun = { sinceMs: clock.monotonic(), hasJoined: false, partitions: 0, batches: new Map() }
      standings.set(group, begun)
      return { [Symbol.dispose]: () => void (standings.get(group) === begun && standings.delete(group)) }
    },
    lease(group) {
      const standing = standings.get(group)
      if (standing === undefined) return nothing
      standing.hasJoined = true
      standing.partitions++
      return { [Symbol.dispose]: () => void standing.partitions-- }
    },
    batch(group) {
      const standing = standings.get(group)
      const batch = Symbol(group)
      standing?.batches.set(batch, clock.monotonic())
      return { [Symbol.dispose]: () => void standing?.batches.delete(batch) }
    },
    states() {
      const nowMs = clock.monotonic()
      return [...standings].map(([group, { batches, sinceMs, hasJoined, partitions }]) => ({
        group,
        sinceMs,
        hasJoined,
        partitions,
        oldestBatchMs: batches.size === 0 ? 0 : nowMs - Math.min(...batches.values()),
      }))
    },
  }
}

const nothing: Disposable = { [Symbol.dispose]: () => {} }
