import { retryDelay } from '../../std/retry.ts'
import { isWorthAgain } from '../again.ts'
import type { JobResult } from '../job.ts'
import type { JobWorkerContext } from '../worker.ts'
import { createAlarm } from './alarm.ts'
import type { Hands, InHand } from './hands.ts'

type Entry = { inHand: InHand; result: JobResult }

/** Collects results and writes them in batches, one batch at a time. */
export interface Settling {
  /** Results that are not written yet. */
  readonly waiting: number
  add(entry: Entry): void
  /** No more results come: `run` ends when the last one is written. */
  end(): void
  run(): Promise<void>
}

const tryAgain = { attemptsMax: Number.POSITIVE_INFINITY, delayMs: 50, delayMaxMs: 2000 }
const idleMs = 60_000

export function createSettling(
  context: JobWorkerContext & { hands: Hands; onSettled: () => void },
  { signal }: { signal: AbortSignal },
): Settling {
  const { jobs, clock, random, logger, metrics, hands, onSettled } = context
  const alarm = createAlarm(clock)
  const entries: Entry[] = []
  let waiting = 0
  let isEnding = false

  /** A database that is away is waited for, unless all is being abandoned: then the jobs stall and go to another. */
  const write = async (batch: readonly Entry[]): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        const lost = await jobs.settle(batch.map(({ result }) => result))
        metrics.count('jobs_lost_total', lost.length)
        if (lost.length > 0)
          logger.warn({ jobs: lost.length }, 'Results came after other workers had got the jobs.')
        return
      } catch (error) {
        if (!isWorthAgain(error)) throw error
        logger.warn({ error, jobs: batch.length }, 'Results of jobs could not be written.')
        if (signal.aborted) return
        await clock.sleep(retryDelay(tryAgain, attempt, random.next()), { signal })
      }
    }
  }
  return {
    get waiting() {
      return waiting
    },
    add(entry) {
      entries.push(entry)
      waiting += 1
      if (entries.length === 1) alarm.ring()
    },
    end() {
      isEnding = true
      alarm.ring()
    },
    async run() {
      for (;;) {
        if (entries.length === 0) {
          if (isEnding) return
          await alarm.sleep(idleMs)
          continue
        }
        if (!isEnding && entries.length < jobs.config.settleMax)
          await clock.sleep(jobs.config.lingerMs, { signal })
        const batch = entries.splice(0, jobs.config.settleMax)
        await write(batch)
        for (const { inHand } of batch) hands.drop(inHand)
        waiting -= batch.length
        onSettled()
      }
    },
  }
}
