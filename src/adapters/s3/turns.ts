/**
 * A bound on what happens at the same time: `max` calls run, `waitingMax` wait, and more are refused at once. A call
 * whose signal aborts while it waits fails with the signal's reason and never runs.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'

export interface Turns {
  take<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createTurns({ max, waitingMax }: { max: number; waitingMax: number }): Turns {
  const waiting = new Set<() => void>()
  let running = 0
  const end = (): void => {
    const [next] = waiting
    // The place goes to the next one without being free in between.
    if (next === undefined) running--
    else next()
  }
  const wait = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        waiting.delete(begin)
        signal.removeEventListener('abort', abandon)
      }
      const begin = (): void => {
        leave()
        resolve()
      }
      const abandon = (): void => {
        leave()
        reject(signal.reason)
      }
      waiting.add(begin)
      signal.addEventListener('abort', abandon, { once: true })
    })
  return {
    async take(call, signal) {
      signal.throwIfAborted()
      if (running < max) running++
      else {
        if (waiting.size >= waitingMax)
          throw new RowmillError(
            'BLOBS_UNAVAILABLE',
            `${waitingMax} requests wait for the blob store already (s3.waitingMax).`,
          )
        await wait(signal)
      }
      try {
        return await call()
      } finally {
        end()
      }
    },
  }
}
