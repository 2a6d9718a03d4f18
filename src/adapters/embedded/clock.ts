import type { Clock } from '../../ports/clock.ts'

/** The longest wait a Node timer can hold; longer ones are cut into pieces. */
const timerMsMax = 2 ** 31 - 1

/** The machine's clock and timers. A sleep keeps the process alive until it ends. */
export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    async sleep(ms, options = {}) {
      const { signal } = options
      let left = Math.max(0, ms)
      do {
        if (signal?.aborted === true) return
        const piece = Math.min(left, timerMsMax)
        await waitFor(piece, signal)
        left -= piece
      } while (left > 0)
    },
  }
}

function waitFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end, { once: true })
  })
}
