import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

/** What the log on Kafka needs of the process. */
export type KafkaContext = { clock: Clock; random: Random; metrics: Metrics; logger: Logger }
