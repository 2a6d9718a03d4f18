/**
 * Whether the log is worth asking. After a failure it is left alone for a while; then one request, or the drain,
 * asks it for all. What is told to the operator is the change, not each attempt.
 */
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface Gate {
  /** True also for the one who asks again after a while; the others wait for what it finds. */
  mayAsk(): boolean
  failed(error: unknown): void
  succeeded(): void
  readonly isOpen: boolean
}

type GateDeps = { clock: Clock; logger: Logger; metrics: Metrics }

export function createGate(deps: GateDeps, config: { probeIntervalMs: number }): Gate {
  const { clock, logger, metrics } = deps
  let askAtMs: number | undefined
  metrics.set('capture_primary_sink_health', 1)
  return {
    get isOpen() {
      return askAtMs === undefined
    },
    mayAsk() {
      if (askAtMs === undefined) return true
      const nowMs = clock.monotonic()
      if (nowMs < askAtMs) return false
      askAtMs = nowMs + config.probeIntervalMs
      return true
    },
    failed(error) {
      if (askAtMs === undefined) {
        logger.error({ error }, 'the log takes no events, the fallback keeps them')
        metrics.set('capture_primary_sink_health', 0)
      }
      askAtMs = clock.monotonic() + config.probeIntervalMs
    },
    succeeded() {
      if (askAtMs === undefined) return
      askAtMs = undefined
      metrics.set('capture_primary_sink_health', 1)
      logger.warn('the log takes events again')
    },
  }
}
