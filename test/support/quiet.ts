import { createLogger, type Logger } from '../../src/telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'

/** A logger that says nothing and metrics of the test's own. */
export function quietTelemetry(): { logger: Logger; metrics: Metrics } {
  return { logger: createLogger({ level: 'silent' }), metrics: createMetrics() }
}
