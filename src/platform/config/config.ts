/** The one schema of Rowmill's settings. Each folder describes its own; what concerns several stands here. */
import { z } from 'zod'
import { warehouseConfigSchema } from '../../adapters/clickhouse/config.ts'
import { embeddedCacheConfig } from '../../adapters/embedded/cache/config.ts'
import { chdbConfigSchema } from '../../adapters/embedded/chdb/config.ts'
import { embeddedLogConfig } from '../../adapters/embedded/log/config.ts'
import { postgresConfig } from '../../adapters/embedded/postgres/config.ts'
import { databaseConfig } from '../../adapters/postgres/config.ts'
import { apiConfigSchema } from '../../api/config.ts'
import { admissionConfigSchema } from '../../capture/admission/config.ts'
import { aiConfigSchema } from '../../capture/ai/config.ts'
import { captureConfigSchema } from '../../capture/config.ts'
import { fallbackContradictions } from '../../capture/fallback/config.ts'
import { modeContradictions } from '../../capture/mode/config.ts'
import { otelConfigSchema } from '../../capture/otel/config.ts'
import { replayConfigSchema } from '../../capture/replay/config.ts'
import { sinkContradictions } from '../../capture/sinks/config.ts'
import { v1ConfigSchema } from '../../capture/v1/config.ts'
import { datasetsConfig } from '../../datasets/config.ts'
import { consumerConfig } from '../../datasets/consume/config.ts'
import { httpConfigSchema } from '../../http/config.ts'
import { ingestConfig } from '../../ingest/config.ts'
import { dedupConfigSchema } from '../../ingest/dedup/config.ts'
import { Secret } from '../../std/secret.ts'
import { streamConfig } from '../../stream/config.ts'
import { isRoleName, roleNames } from '../roles.ts'

const dayMs = 86_400_000
const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

const secret = () =>
  z
    .string()
    .min(1)
    .transform((text) => new Secret(text))

function isHostOrUrl(text: string): boolean {
  return URL.canParse(/^https?:\/\//.test(text) ? text : `http://${text}`)
}

const logSettings = z
  .strictObject({
    ...embeddedLogConfig.shape,
    capturedPartitions: z
      .number()
      .int()
      .min(1)
      .max(256)
      .default(4)
      .meta({ description: 'Partitions of the topics that ingest reads. May be raised, never lowered.' }),
    retentionMs: z
      .number()
      .int()
      .min(60_000)
      .default(3 * dayMs)
      .meta({ description: 'How long settled records stay on the log, in ms.' }),
    deadLetterRetentionMs: z
      .number()
      .int()
      .min(60_000)
      .default(30 * dayMs)
      .meta({ description: 'How long dead letters stay on the log, in ms.' }),
  })
  .prefault({})

const databaseSettings = z
  .strictObject({
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
      .transform((text) => new Secret(text))
      .optional()
      .meta({
        description: 'A PostgreSQL 15 or newer to use instead of the embedded one.',
        env: 'DATABASE_URL',
        secret: true,
      }),
    ...databaseConfig.shape,
  })
  .prefault({})

const warehouseSettings = z
  .strictObject({
    url: z
      .string()
      .refine(isHostOrUrl, 'must be a host, host:port, or an http:// or https:// URL')
      .optional()
      .meta({
        description:
          'A ClickHouse to use instead of the embedded one: a host, or a URL such as https://ch.example:8443.',
        env: 'CLICKHOUSE_HOST',
      }),
    user: z
      .string()
      .default('default')
      .meta({ description: 'User of that ClickHouse.', env: 'CLICKHOUSE_USER' }),
    password: secret()
      .optional()
      .meta({ description: 'Password of that user.', env: 'CLICKHOUSE_PASSWORD', secret: true }),
    database: z
      .string()
      .regex(/^\w{1,64}$/, 'is 1 to 64 letters, digits or _')
      .default('rowmill')
      .meta({
        description: 'Database that holds the tables; created if missing.',
        env: 'CLICKHOUSE_DATABASE',
      }),
    isSecure: z
      .boolean()
      .default(false)
      .meta({ description: 'Speak TLS to a host that is given without a scheme.', env: 'CLICKHOUSE_SECURE' }),
    ...warehouseConfigSchema.shape,
  })
  .prefault({})

export const configSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .meta({ description: 'Address to listen on. 0.0.0.0 opens it to the network.', env: 'HOST' }),
    port: z
      .number()
      .int()
      .min(0)
      .max(65_535)
      .default(8000)
      .meta({ description: 'Port to listen on; 0 takes a free one.', env: 'PORT' }),
    dataDir: z
      .string()
      .min(1)
      .default('./data')
      .meta({ description: 'Folder in which the embedded engines keep everything.' }),
    roles: z
      .array(z.string())
      .min(1)
      .default(Object.keys(roleNames))
      .meta({ description: 'Roles that this process runs: capture, ingest, datasets, consumer, api.' }),
    logLevel: z
      .enum(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
      .default('info')
      .meta({ description: 'How much is logged.', env: 'LOG_LEVEL' }),
    shutdownMs: z.number().int().min(0).default(10_000).meta({
      description:
        'How long a stop may take before what is in hand is abandoned and read again at the next start.',
    }),
    projectToken: z
      .string()
      .regex(/^[\x21-\x7e]{1,64}$/, 'is 1 to 64 printable ASCII characters')
      .optional()
      .meta({
        description: 'Token of project 1, used when it is created at the first start.',
        env: 'ROWMILL_PROJECT_TOKEN',
      }),
    apiKey: secret().optional().meta({
      description: 'A personal API key that shall be valid from the start.',
      env: 'ROWMILL_API_KEY',
      secret: true,
    }),
    kafkaHosts: z.string().optional().meta({
      description: 'Kafka is not supported by this version; setting it is refused.',
      env: 'KAFKA_HOSTS',
    }),
    redisUrl: secret().optional().meta({
      description: 'Redis is not supported by this version; setting it is refused.',
      env: 'REDIS_URL',
      secret: true,
    }),
    http: httpConfigSchema.prefault({}),
    capture: captureConfigSchema
      .extend({
        admission: admissionConfigSchema.prefault({}),
        v1: v1ConfigSchema.prefault({}),
        replay: replayConfigSchema.prefault({}),
        ai: aiConfigSchema.prefault({}),
        otel: otelConfigSchema.prefault({}),
      })
      .prefault({}),
    stream: streamConfig.prefault({}),
    ingest: ingestConfig.extend({ dedup: dedupConfigSchema.prefault({}) }).prefault({}),
    datasets: datasetsConfig.prefault({}),
    consumer: consumerConfig.prefault({}),
    api: apiConfigSchema.prefault({}),
    log: logSettings,
    database: databaseSettings,
    postgres: postgresConfig.prefault({}),
    warehouse: warehouseSettings,
    chdb: chdbConfigSchema.prefault({}),
    cache: embeddedCacheConfig.prefault({}),
  })
  .superRefine((config, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message })
    const unknown = config.roles.filter((role) => !isRoleName(role))
    if (unknown.length > 0)
      refuse(
        `There is no role ${unknown.join(', ')}; set roles to some of ${Object.keys(roleNames).join(', ')}.`,
      )
    if (config.kafkaHosts !== undefined)
      refuse('KAFKA_HOSTS is set, but this version of Rowmill has only its embedded log; unset it.')
    if (config.redisUrl !== undefined)
      refuse(
        'REDIS_URL is set, but this version of Rowmill keeps its cache in memory and PostgreSQL; unset it.',
      )
    if (config.log.bytesMax < 4 * config.log.segmentBytes)
      refuse(
        `log.bytesMax (${config.log.bytesMax}) holds fewer than four segments of log.segmentBytes (${config.log.segmentBytes}); raise the first or lower the second.`,
      )
    // A batch's outputs are one commit: a reserve that never has room for it would leave a full log full for ever.
    if (config.log.bytesMax * config.log.reserveShare < 2 * config.stream.batchBytesMax)
      refuse(
        `log.reserveShare (${config.log.reserveShare}) of log.bytesMax (${config.log.bytesMax}) holds fewer than two batches of stream.batchBytesMax (${config.stream.batchBytesMax}); raise one of the first or lower the last.`,
      )
    if (config.consumer.testing.isEnabled && !loopback.has(config.host))
      refuse(
        `consumer.testing.isEnabled answers routes that delete rows without a key, so host must be 127.0.0.1, not ${config.host}.`,
      )
    for (const sentence of [
      ...sinkContradictions(config.capture),
      ...fallbackContradictions(config.capture.fallback),
      ...modeContradictions(config.capture),
    ])
      refuse(sentence)
    if (config.capture.messageBytesMax > config.log.recordBytesMax)
      refuse(
        `capture.messageBytesMax (${config.capture.messageBytesMax}) is more than the log accepts; set log.recordBytesMax above it.`,
      )
  })

export type Config = z.output<typeof configSchema>
