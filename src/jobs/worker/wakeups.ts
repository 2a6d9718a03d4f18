import { isRowmillError } from '../../errors/rowmill-error.ts'
import { wakeChannel, wakeOf } from '../wake.ts'
import type { JobWorkerContext } from '../worker.ts'
import type { Hands } from './hands.ts'

/** Hears of created and canceled jobs until `signal` aborts. Where PostgreSQL cannot be listened to, polling does. */
export async function runWakeups(
  { jobs, logger, hands }: JobWorkerContext & { hands: Hands },
  options: { queue: string; onWake: () => void; signal: AbortSignal },
): Promise<void> {
  const { queue, onWake, signal } = options
  if (!jobs.config.isNotifying) return
  await Promise.all(
    jobs.shards.all.map(async ({ database }) => {
      try {
        for await (const payload of database.listen(wakeChannel, { signal })) {
          const wake = wakeOf(payload)
          if (wake?.kind === 'queue' && wake.queue === queue) onWake()
          if (wake?.kind === 'cancel') hands.cancel(wake.id)
        }
      } catch (error) {
        if (!isRowmillError(error)) throw error
        logger.warn({ error, queue }, 'New jobs cannot be listened for; they are found by polling.')
      }
    }),
  )
}
