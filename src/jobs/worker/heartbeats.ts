import { isWorthAgain } from '../again.ts'
import type { JobWorkerContext } from '../worker.ts'
import { type Hands, holdOf } from './hands.ts'

const ticksPerBeat = 4

/**
 * Keeps what is in hand alive, and lets go of it when that did not succeed for so long that another worker may
 * get it a heartbeat later.
 */
export async function runHeartbeats(
  context: JobWorkerContext & { hands: Hands },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { jobs, clock, logger, metrics, hands } = context
  const { heartbeatIntervalMs, stallTimeoutMs } = jobs.config
  const failures: unknown[] = []
  let beating: Promise<void> | undefined

  const beat = async (): Promise<void> => {
    const sentAt = clock.monotonic()
    const present = hands.all().filter(({ isLost }) => !isLost)
    if (present.length === 0) return
    try {
      await jobs.time.align()
      const { lost, canceled } = await jobs.heartbeat(present.map(holdOf))
      const lostLocks = new Set(lost.map(({ id, lockId }) => `${id} ${lockId}`))
      const still = new Set(hands.all())
      for (const inHand of present) {
        const isLost = lostLocks.has(`${inHand.job.id} ${inHand.job.lockId}`)
        // One whose result was written meanwhile is not lost.
        if (isLost && still.has(inHand)) hands.lose(inHand)
        else inHand.aliveAt = sentAt
      }
      for (const { id } of canceled) hands.cancel(id)
    } catch (error) {
      if (!isWorthAgain(error)) throw error
      logger.warn({ error, jobs: present.length }, 'A heartbeat of jobs did not get through.')
    }
  }
  for (let tick = 1; !signal.aborted; tick++) {
    await clock.sleep(heartbeatIntervalMs / ticksPerBeat, { signal })
    const deadAt = clock.monotonic() - (stallTimeoutMs - heartbeatIntervalMs)
    const expired = hands.all().filter(({ aliveAt, isLost }) => !isLost && aliveAt < deadAt)
    for (const inHand of expired) hands.lose(inHand)
    if (expired.length > 0) {
      metrics.count('jobs_lost_total', expired.length)
      logger.warn({ jobs: expired.length }, 'Heartbeats did not get through for too long; jobs are let go.')
    }
    if (failures.length > 0) throw failures[0]
    if (tick % ticksPerBeat === 0 && beating === undefined)
      beating = beat()
        .catch((error: unknown) => void failures.push(error))
        .finally(() => {
          beating = undefined
        })
  }
  await beating
}
