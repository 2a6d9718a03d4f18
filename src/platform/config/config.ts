/** The one schema of Rowmill's settings. Each folder describes its own; what concerns several stands here. */
import { z } from 'zod'
import { warehouseConfigSchema } from '../../adapters/clickhouse/config.ts'
import { embeddedCacheConfig } from '../../adapters/embedded/cache/config.ts'
import { chdbConfigSchema } from '../../adapters/embedded/chdb/config.ts'
import { embeddedLogConfig } from '../../adapters/embedded/log/config.ts'
import { postgresConfig } from '../../adapters/embedded/postgres/config.ts'
import { kafkaConfig } from '../../adapters/kafka/config.ts'
import { databaseConfig } from '../../adapters/postgres/config.ts'
import { redisConfig } from '../../adapters/redis/config.ts'
import { s3Config } from '../../adapters/s3/config.ts'
import { apiConfigSchema } from '../../api/config.ts'
import { admissionConfigSchema } from '../../capture/admission/config.ts'
import { aiConfigSchema } from '../../capture/ai/config.ts'
import { captureConfigSchema } from '../../capture/config.ts'
import { otelConfigSchema } from '../../capture/otel/config.ts'
import { replayConfigSchema } from '../../capture/replay/config.ts'
import { v1ConfigSchema } from '../../capture/v1/config.ts'
import { datasetsConfig } from '../../datasets/config.ts'
import { consumerConfig } from '../../datasets/consume/config.ts'
import { httpConfigSchema } from '../../http/config.ts'
import { outboundConfigSchema } from '../../http/outbound/config.ts'
import { ingestConfig } from '../../ingest/config.ts'
import { dedupConfigSchema } from '../../ingest/dedup/config.ts'
import { jobsConfig } from '../../jobs/config.ts'
import { sandboxConfigSchema } from '../../sandbox/config.ts'
import { Secret } from '../../std/secret.ts'
import { streamConfig } from '../../stream/config.ts'
import { roleNames } from '../roles.ts'
import { contradictionsOf } from './contradictions.ts'

const dayMs = 86_400_000

const secret = () =>
  z
    .string()
    .min(1)
    .transform((text) => new Secret(text))

function isListOfHosts(text: string): boolean {
  return text
    .split(',')
    .map((host) => host.trim())
    .every((host) => host !== '' && URL.canParse(/^https?:\/\//.test(host) ? host : `http://${host}`))
}

const logSettings = z
  .strictObject({
    ...embeddedLogConfig.shape,
    capturedPartitions: z.number().int().min(1).max(256).default(4).meta({
      description:
        'Partitions of the topics that ingest reads. May be raised, never lowered. Topics that Kafka has already stay as they are.',
    }),
    readyPartitions: z.number().int().min(1).max(256).default(1).meta({
      description:
        'Partitions of the topics that datasets reads: more let several processes share the work, fewer make larger inserts. May be raised, never lowered. Topics that Kafka has already stay as they are.',
    }),
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
      .refine(
        isListOfHosts,
        'must be a host, host:port, an http:// or https:// URL, or several, separated by commas',
      )
      .optional()
      .meta({
        description:
          'A ClickHouse to use instead of the embedded one: a host, or a URL such as https://ch.example:8443; hosts of a cluster are separated by commas.',
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

const settings = z.strictObject({
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
  startWaitMs: z.number().int().min(0).max(3_600_000).default(30_000).meta({
    description: 'How long a start waits for engines on other machines that cannot be reached yet, in ms.',
  }),
  isPartialAllowed: z.boolean().default(false).meta({
    description:
      'Start although the roles named here cannot do their work without others that nobody runs: for tests and repairs.',
  }),
  isLogAdopted: z.boolean().default(false).meta({
    description:
      'Go on with a Kafka that has worked with another PostgreSQL, which is gone for good. For one start.',
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
  jobs: jobsConfig.prefault({}),
  sandbox: sandboxConfigSchema.prefault({}),
  outbound: outboundConfigSchema.prefault({}),
  log: logSettings,
  kafka: kafkaConfig.prefault({}),
  redis: redisConfig.prefault({}),
  s3: s3Config.prefault({}),
  database: databaseSettings,
  postgres: postgresConfig.prefault({}),
  warehouse: warehouseSettings,
  chdb: chdbConfigSchema.prefault({}),
  cache: embeddedCacheConfig.prefault({}),
})

export type Config = z.output<typeof settings>

export const configSchema = settings.check(({ value, issues }) => {
  // A setting that is wrong by itself is not what its type says: contradictions are looked for when none is.
  if (issues.length > 0) return
  for (const message of contradictionsOf(value)) issues.push({ code: 'custom', message, input: value })
})
