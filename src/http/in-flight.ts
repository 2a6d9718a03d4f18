/**
 * What the server holds at once: requests, and bytes of their bodies. Both have a bound; what would exceed
 * it is refused at once rather than queued, because a queue of bodies is what the bound is there to prevent.
 */
import type { Metrics } from '../telemetry/metrics.ts'

export type InFlight = {
  /** Bytes that a request may take; false if there is no room. One request always fits into an empty server. */
  takeBytes(bytes: number): boolean
  freeBytes(bytes: number): void
  enter(): void
  leave(): void
  readonly requests: number
  readonly bytes: number
  /** Resolves when no request is in flight. */
  idle(): Promise<void>
  /** Sets the gauges of the two queues. */
  report(): void
}

export function createInFlight(
  metrics: Metrics,
  bounds: { inFlightBytesMax: number; requestsInFlightMax: number },
): InFlight {
  let requests = 0
  let bytes = 0
  let waiters: (() => void)[] = []
  metrics.set('queue_bound', bounds.inFlightBytesMax, { queue: 'http_bytes' })
  metrics.set('queue_bound', bounds.requestsInFlightMax, { queue: 'http_requests' })
  return {
    takeBytes(more) {
      if (bytes > 0 && bytes + more > bounds.inFlightBytesMax) return false
      bytes += more
      return true
    },
    freeBytes(less) {
      bytes -= less
    },
    enter() {
      requests++
    },
    leave() {
      requests--
      if (requests > 0 || waiters.length === 0) return
      const woken = waiters
      waiters = []
      for (const wake of woken) wake()
    },
    get requests() {
      return requests
    },
    get bytes() {
      return bytes
    },
    idle: () =>
      requests === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiters.push(resolve)
          }),
    report() {
      metrics.set('queue_depth', bytes, { queue: 'http_bytes' })
      metrics.set('queue_depth', requests, { queue: 'http_requests' })
    },
  }
}
