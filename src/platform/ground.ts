import { destination } from 'pino'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { createSystemRandom } from '../adapters/embedded/random.ts'
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { programVersion } from './version.ts'

/** What everything else stands on: time, chance, logs, measurements. */
export type Ground = { clock: Clock; random: Random; logger: Logger; metrics: Metrics }

export function createGround(config: { logLevel: string }, options: { isToStderr?: boolean } = {}): Ground {
  const stream = options.isToStderr === true ? { destination: destination({ fd: 2, sync: true }) } : {}
  return {
    clock: createSystemClock(),
    random: createSystemRandom(),
    logger: createLogger({ level: config.logLevel, ...stream }),
    metrics: createMetrics(options.isToStderr === true ? {} : { version: programVersion() }),
  }
}
