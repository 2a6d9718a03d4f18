/** Lets so many in at once, so many wait in order, and turns the rest away. */
import { failure } from './failure.ts'

export interface Gate {
  readonly running: number
  readonly waiting: number
  /** Waits for a place; the answer gives it back. Throws TOO_MANY_SIMULTANEOUS_QUERIES when too many wait. */
  enter(signal: AbortSignal): Promise<() => void>
}

export function createGate(options: { runningMax: number; waitingMax: number }): Gate {
  const { runningMax, waitingMax } = options
  const waiting = new Set<() => void>()
  let running = 0
  const leave = () => {
    running--
    const [next] = waiting
    if (next === undefined) return
    waiting.delete(next)
    next()
  }
  const place = () => {
    running++
    let isLeft = false
    return () => {
      if (!isLeft) leave()
      isLeft = true
    }
  }
  return {
    get running() {
      return running
    },
    get waiting() {
      return waiting.size
    },
    async enter(signal) {
      if (running < runningMax) return place()
      if (waiting.size >= waitingMax)
        throw failure(
          'TOO_MANY_SIMULTANEOUS_QUERIES',
          `Too many simultaneous queries. Running: ${running}, waiting: ${waiting.size}.`,
        )
      const turn = Promise.withResolvers<() => void>()
      const go = () => turn.resolve(place())
      const giveUp = () => {
        waiting.delete(go)
        turn.reject(failure('QUERY_WAS_CANCELLED', 'The client left before the query began.'))
      }
      waiting.add(go)
      signal.addEventListener('abort', giveUp, { once: true })
      try {
        return await turn.promise
      } finally {
        signal.removeEventListener('abort', giveUp)
      }
    },
  }
}
