/**
 * Engines on other machines may come up after this process does, as when a whole fleet is started at once. A
 * start waits for them, tells what it waits for, and gives up by the engine's own error.
 */
import { isRetryable, isRowmillError } from '../../errors/rowmill-error.ts'
import { retryDelay } from '../../std/retry.ts'
import type { Ground } from '../ground.ts'

const delays = { attemptsMax: Number.POSITIVE_INFINITY, delayMs: 250, delayMaxMs: 5000 }

/** Opens, again and again for `startWaitMs` where the failure may pass. An abort ends the waiting by the last error. */
export async function openPatiently<T>(
  { clock, random, logger }: Pick<Ground, 'clock' | 'random' | 'logger'>,
  open: () => Promise<T>,
  options: { engine: string; startWaitMs: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const { engine, startWaitMs, signal } = options
  const untilMs = clock.monotonic() + startWaitMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (clock.monotonic() >= untilMs || isAborted(signal) || !isRetryable(error)) throw error
      const waitsFor = isRowmillError(error) ? error.code : undefined
      logger.warn({ engine, attempt, waitsFor, error }, 'the start waits for an engine')
      await clock.sleep(retryDelay(delays, attempt, random.next()), { signal })
      if (isAborted(signal)) throw error
    }
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
