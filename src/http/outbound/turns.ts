/** Who may ask now. So many at once, so many wait, the rest is refused. */
import { RowmillError } from '../../errors/rowmill-error.ts'

export interface Turns {
  /** Throws `OUTBOUND_BUSY`, and the signal's reason. Disposing of a turn gives it to the next. */
  take(signal: AbortSignal): Promise<Disposable>
}

export function createTurns(bounds: { requestsMax: number; requestsWaitingMax: number }): Turns {
  const waiting = new Set<() => void>()
  let taken = 0
  const turn = (): Disposable => {
    let isOver = false
    return {
      [Symbol.dispose]() {
        if (isOver) return
        isOver = true
        const [next] = waiting
        if (next === undefined) taken--
        else next()
      },
    }
  }
  return {
    async take(signal) {
      signal.throwIfAborted()
      if (taken < bounds.requestsMax) {
        taken++
        return turn()
      }
      if (waiting.size >= bounds.requestsWaitingMax)
        throw new RowmillError(
          'OUTBOUND_BUSY',
          `${bounds.requestsWaitingMax} outbound requests wait already.`,
        )
      const { promise, resolve, reject } = Promise.withResolvers<Disposable>()
      const abort = () => {
        waiting.delete(start)
        reject(signal.reason)
      }
      const start = () => {
        waiting.delete(start)
        signal.removeEventListener('abort', abort)
        resolve(turn())
      }
      waiting.add(start)
      signal.addEventListener('abort', abort, { once: true })
      return await promise
    },
  }
}
