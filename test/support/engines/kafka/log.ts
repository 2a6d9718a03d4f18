/** A log on a broker of the tests: every opening has a prefix of its own, and with it no topics and no groups. */
import { randomBytes } from 'node:crypto'
import { createSystemClock } from '../../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../../src/adapters/embedded/random.ts'
import { type KafkaConfig, kafkaConfig } from '../../../../src/adapters/kafka/config.ts'
import type { KafkaContext } from '../../../../src/adapters/kafka/context.ts'
import { openKafkaLog } from '../../../../src/adapters/kafka/log.ts'
import type { Log } from '../../../../src/ports/log.ts'
import { createLogger } from '../../../../src/telemetry/logger.ts'
import { createMetrics } from '../../../../src/telemetry/metrics.ts'

export function kafkaContext(level = process.env.ROWMILL_TEST_LOG ?? 'silent'): KafkaContext {
  const logger = createLogger({ level })
  return { clock: createSystemClock(), random: createSystemRandom(), metrics: createMetrics(), logger }
}

/** Settings of a test: a group notices quickly who comes and goes. */
export function kafkaSettings(hosts: string, settings: Record<string, unknown> = {}): KafkaConfig {
  return kafkaConfig.parse({
    hosts,
    topicPrefix: `t${randomBytes(6).toString('hex')}.`,
    heartbeatIntervalMs: 100,
    ...settings,
  })
}

export async function openKafkaTestLog(hosts: string, settings: Record<string, unknown> = {}) {
  const config = kafkaSettings(hosts, settings)
  const context = kafkaContext()
  let current: Log | undefined
  const reopen = async () => {
    await current?.[Symbol.asyncDispose]()
    current = await openKafkaLog(context, config)
    return current
  }
  return {
    log: await reopen(),
    fewerPartitions: 'passed over' as const,
    config,
    context,
    reopen,
    async [Symbol.asyncDispose]() {
      await current?.[Symbol.asyncDispose]()
    },
  }
}
