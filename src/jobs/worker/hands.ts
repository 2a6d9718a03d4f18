import type { ClaimedJob, JobHold } from '../job.ts'

/** A job that a worker has claimed and whose result is not written yet. */
export type InHand = {
  readonly job: ClaimedJob
  readonly abort: AbortController
  /** Monotonic ms at which the hold was surely alive. */
  aliveAt: number
  /** Somebody else may have the job: what the handler answers is worth nothing. */
  isLost: boolean
  isCanceled: boolean
  isOutOfTime: boolean
}

/** Everything that a worker has in hand. */
export interface Hands {
  /** Handlers under way. */
  readonly running: number
  add(job: ClaimedJob, aliveAt: number): InHand
  /** The handler has ended; its result is still to be written. */
  ended(inHand: InHand): void
  /** The result was written, or is nobody's business any more. */
  drop(inHand: InHand): void
  all(): InHand[]
  lose(inHand: InHand): void
  cancel(id: string): void
}

export function createHands(): Hands {
  const held = new Set<InHand>()
  let running = 0
  return {
    get running() {
      return running
    },
    add(job, aliveAt) {
      const inHand: InHand = {
        job,
        abort: new AbortController(),
        aliveAt,
        isLost: false,
        isCanceled: false,
        isOutOfTime: false,
      }
      held.add(inHand)
      running += 1
      return inHand
    },
    ended() {
      running -= 1
    },
    drop(inHand) {
      held.delete(inHand)
    },
    all: () => [...held],
    lose(inHand) {
      inHand.isLost = true
      inHand.abort.abort()
    },
    cancel(id) {
      for (const inHand of held) {
        if (inHand.job.id !== id) continue
        inHand.isCanceled = true
        inHand.abort.abort()
      }
    },
  }
}

export function holdOf({ job }: InHand): JobHold {
  return { id: job.id, lockId: job.lockId, shard: job.shard }
}
