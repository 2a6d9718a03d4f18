/** What no single setting can say of itself: each contradiction is a sentence that says what to set. */
import { warehouseContradictions } from '../../adapters/clickhouse/config.ts'
import { kafkaContradictions } from '../../adapters/kafka/config.ts'
import { databaseContradictions } from '../../adapters/postgres/config.ts'
import { redisContradictions } from '../../adapters/redis/config.ts'
import { s3Contradictions } from '../../adapters/s3/config.ts'
import { fallbackContradictions } from '../../capture/fallback/config.ts'
import { modeContradictions } from '../../capture/mode/config.ts'
import { sinkContradictions } from '../../capture/sinks/config.ts'
import { placesOf } from '../needs.ts'
import { isRoleName, roleNames } from '../roles.ts'
import { refusedCombinations } from '../start/combinations.ts'
import type { Config } from './config.ts'

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

export function contradictionsOf(config: Config): string[] {
  const unknown = config.roles.filter((role) => !isRoleName(role))
  if (unknown.length > 0)
    return [
      `There is no role ${unknown.join(', ')}; set roles to some of ${Object.keys(roleNames).join(', ')}.`,
    ]
  return [
    ...ofLog(config),
    ...ofTesting(config),
    ...sinkContradictions(config.capture),
    ...fallbackContradictions(config.capture.fallback),
    ...modeContradictions(config.capture),
    ...kafkaContradictions(config.kafka).map(({ key, message }) => `kafka.${key} ${message}.`),
    ...redisContradictions(config.redis),
    ...s3Contradictions(config.s3),
    ...databaseContradictions(config.database),
    ...warehouseContradictions(config.warehouse),
    ...refusedCombinations(config),
  ]
}

function ofLog(config: Config): string[] {
  const { log, kafka, stream, capture } = config
  if (placesOf(config).log === 'outside')
    return capture.messageBytesMax <= kafka.recordBytesMax
      ? []
      : [
          `capture.messageBytesMax (${capture.messageBytesMax}) is more than kafka.recordBytesMax (${kafka.recordBytesMax}); raise the latter, and max.message.bytes of the topics with it, or lower the former.`,
        ]
  const said: string[] = []
  if (log.bytesMax < 4 * log.segmentBytes)
    said.push(
      `log.bytesMax (${log.bytesMax}) holds fewer than four segments of log.segmentBytes (${log.segmentBytes}); raise the first or lower the second.`,
    )
  // A batch's outputs are one commit: a reserve that never has room for it would leave a full log full for ever.
  if (log.bytesMax * log.reserveShare < 2 * stream.batchBytesMax)
    said.push(
      `log.reserveShare (${log.reserveShare}) of log.bytesMax (${log.bytesMax}) holds fewer than two batches of stream.batchBytesMax (${stream.batchBytesMax}); raise one of the first or lower the last.`,
    )
  if (capture.messageBytesMax > log.recordBytesMax)
    said.push(
      `capture.messageBytesMax (${capture.messageBytesMax}) is more than the log accepts; set log.recordBytesMax above it.`,
    )
  return said
}

function ofTesting({ consumer, host }: Config): string[] {
  if (!consumer.testing.isEnabled || loopback.has(host)) return []
  return [
    `consumer.testing.isEnabled answers routes that delete rows without a key, so host must be 127.0.0.1, not ${host}.`,
  ]
}
