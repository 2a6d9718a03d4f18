/** Settings of the log on Kafka. Each bound of its memory, its queues and its patience is here. */
import { z } from 'zod'
import { Secret } from '../../std/secret.ts'

const KiB = 1024
const MiB = 1024 * KiB

const host = /^(\[[0-9a-fA-F:]+\]|[^\s:,/]+)(:\d{1,5})?$/

const secret = () =>
  z
    .string()
    .min(1)
    .transform((text) => new Secret(text))

const certificate = (what: string) =>
  z
    .string()
    .refine(isPemInBase64, `must be ${what} in PEM, packed as base64`)
    .transform((text) => new Secret(text))

const milliseconds = (least: number, usual: number) => z.number().int().min(least).default(usual)
const bytes = (usual: number) => z.number().int().positive().default(usual)

export const kafkaConfig = z.strictObject({
  hosts: z
    .string()
    .refine(isListOfHosts, 'must be one or more host:port, separated by commas')
    .optional()
    .meta({
      description: 'Brokers of the Kafka to use as the log, host:port, separated by commas.',
      env: 'KAFKA_HOSTS',
    }),
  topicPrefix: z
    .string()
    .regex(/^[\w.-]{0,100}$/, 'has only letters, digits, ., _ and -')
    .default('')
    .meta({ description: 'Stands before the name of every topic and group on Kafka.', env: 'KAFKA_PREFIX' }),
  clientId: z
    .string()
    .min(1)
    .max(200)
    .default('rowmill')
    .meta({ description: 'Name that the brokers log for our connections.', env: 'KAFKA_CLIENT_ID' }),
  instanceId: z
    .string()
    .regex(/^[\w.-]{1,200}$/, 'has 1 to 200 letters, digits, ., _ and -')
    .optional()
    .meta({
      description:
        'A name of this process alone that outlives its restarts. With it a restart within sessionTimeoutMs moves no partitions, and what a crash left open is closed at once.',
    }),
  securityProtocol: z.enum(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']).optional().meta({
    description: 'How to speak to the brokers. Follows from the other settings when it is not set.',
    env: 'KAFKA_SECURITY_PROTOCOL',
  }),
  isTls: z
    .boolean()
    .default(false)
    .meta({ description: 'Speak TLS to the brokers; the same as an SSL protocol.', env: 'KAFKA_TLS' }),
  trustedCert: certificate('a certificate').optional().meta({
    description: 'Certificate of the authority that signed those of the brokers: PEM, packed as base64.',
    env: 'KAFKA_TRUSTED_CERT_B64',
    secret: true,
  }),
  clientCert: certificate('a certificate').optional().meta({
    description: 'Certificate that we show to the brokers: PEM, packed as base64.',
    env: 'KAFKA_CLIENT_CERT_B64',
    secret: true,
  }),
  clientCertKey: certificate('a key').optional().meta({
    description: 'Key of that certificate: PEM, packed as base64.',
    env: 'KAFKA_CLIENT_CERT_KEY_B64',
    secret: true,
  }),
  isHostnameChecked: z.boolean().default(true).meta({
    description: 'Whether the certificate of a broker must name its host. Off for brokers known by address.',
  }),
  saslMechanism: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(['plain', 'scram-sha-256', 'scram-sha-512']))
    .optional()
    .meta({
      description: 'How we log in: plain, scram-sha-256 or scram-sha-512.',
      env: 'KAFKA_SASL_MECHANISM',
    }),
  saslUser: z.string().min(1).optional().meta({ description: 'User to log in as.', env: 'KAFKA_SASL_USER' }),
  saslPassword: secret()
    .optional()
    .meta({ description: 'Password of that user.', env: 'KAFKA_SASL_PASSWORD', secret: true }),
  replicationFactor: z
    .number()
    .int()
    .min(-1)
    .max(32_767)
    .refine((count) => count !== 0, 'is at least 1, or -1 for the default of the brokers')
    .default(-1)
    .meta({ description: 'Copies of each partition of a topic that we create; -1: as the brokers have it.' }),
  compression: z
    .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    .default('none')
    .meta({ description: 'How batches are packed.', env: 'KAFKA_COMPRESSION_CODEC' }),
  lingerMs: milliseconds(0, 2).meta({
    description: 'How long an append waits for others to share its request.',
    env: 'KAFKA_PRODUCER_LINGER_MS',
  }),
  appendTimeoutMs: milliseconds(100, 20_000).meta({
    description: 'How long an append, or a commit, is tried before it fails.',
    env: 'KAFKA_MESSAGE_TIMEOUT_MS',
  }),
  appendQueueBytesMax: bytes(256 * MiB).meta({
    description: 'Bytes of appends that may wait for the brokers. Further appends are refused.',
  }),
  recordBytesMax: bytes(1_048_000).meta({
    description:
      'Largest record in bytes: key, value and headers together. Topics that we create accept it; an existing topic must.',
  }),
  batchBytesMax: bytes(900_000).meta({
    description: 'Bytes of records that are sent to a partition as one batch; one larger record is a batch.',
    env: 'KAFKA_MAX_MESSAGE_BATCH_SIZE',
  }),
  requestBytesMax: bytes(8 * MiB).meta({ description: 'Bytes of batches in one request to a broker.' }),
  requestsInFlightMax: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(5)
    .meta({ description: 'Requests of appends that one broker has to answer at a time.' }),
  fetchBytesMax: bytes(1 * MiB).meta({
    description: 'Bytes that a partition gives in one answer, unless its next batch is larger.',
  }),
  fetchWaitMs: milliseconds(10, 500).meta({
    description: 'How long a broker may hold a request for records that are not there yet.',
  }),
  prefetchBytesMax: bytes(4 * MiB).meta({
    description: 'Bytes read ahead of a partition; nothing more is asked for until they are worked on.',
  }),
  sessionTimeoutMs: milliseconds(1000, 30_000).meta({
    description: 'A consumer that the brokers have not heard of for this long loses its partitions.',
  }),
  heartbeatIntervalMs: milliseconds(100, 1000).meta({
    description: 'How often a consumer says that it lives. At most a third of sessionTimeoutMs.',
  }),
  rebalanceTimeoutMs: milliseconds(1000, 60_000).meta({
    description: 'How long the holder of a partition that moves to another consumer may take to finish.',
  }),
  transactionsMax: z.number().int().min(1).max(64).default(2).meta({
    description: 'Transactions of this process that are open at a time; commits beyond that share one.',
  }),
  transactionTimeoutMs: milliseconds(1000, 10_000).meta({
    description: 'The brokers give up a transaction that takes longer. Until then a crash delays readers.',
  }),
  connectTimeoutMs: milliseconds(100, 5000).meta({ description: 'How long a connection may take to open.' }),
  requestTimeoutMs: milliseconds(100, 10_000).meta({
    description: 'How long one request may take. Its connection is closed then, and the request made again.',
  }),
  operationTimeoutMs: milliseconds(100, 15_000).meta({
    description: 'How long everything but appends and commits is tried before it fails.',
  }),
  metadataMaxAgeMs: milliseconds(100, 30_000).meta({
    description: 'How long what is known of topics and their partitions is believed.',
    env: 'KAFKA_METADATA_MAX_AGE_MS',
  }),
  retryDelayMs: milliseconds(1, 20).meta({
    description: 'First wait before a request is made again; it doubles from there.',
  }),
  retryDelayMaxMs: milliseconds(1, 1000).meta({
    description: 'Longest wait before a request is made again.',
  }),
})

export type KafkaConfig = z.infer<typeof kafkaConfig>

/** What no single setting can say: each finding names a setting and what to set. */
export function kafkaContradictions(config: KafkaConfig): { key: keyof KafkaConfig; message: string }[] {
  const found: { key: keyof KafkaConfig; message: string }[] = []
  const say = (key: keyof KafkaConfig, message: string) => found.push({ key, message })
  const { securityProtocol, saslMechanism, saslUser, saslPassword, clientCert, clientCertKey } = config
  if (clientCert !== undefined && clientCertKey === undefined)
    say('clientCertKey', 'must be set, since clientCert is')
  if (clientCertKey !== undefined && clientCert === undefined)
    say('clientCert', 'must be set, since clientCertKey is')
  const speaksSasl = securityProtocol?.startsWith('SASL_') ?? saslMechanism !== undefined
  if (speaksSasl && saslMechanism === undefined)
    say('saslMechanism', `must be set for ${securityProtocol}: plain, scram-sha-256 or scram-sha-512`)
  if (speaksSasl && saslUser === undefined) say('saslUser', 'must be set to log in')
  if (speaksSasl && saslPassword === undefined) say('saslPassword', 'must be set to log in')
  if (!speaksSasl && saslMechanism !== undefined)
    say('securityProtocol', 'must be SASL_PLAINTEXT or SASL_SSL, or not set, since saslMechanism is set')
  const isPlain = securityProtocol === 'PLAINTEXT' || securityProtocol === 'SASL_PLAINTEXT'
  if (isPlain && (config.isTls || config.trustedCert !== undefined || clientCert !== undefined))
    say('securityProtocol', 'must be SSL or SASL_SSL, or not set, since settings for TLS are set')
  if (config.heartbeatIntervalMs * 3 > config.sessionTimeoutMs)
    say('heartbeatIntervalMs', `must be at most a third of sessionTimeoutMs, ${config.sessionTimeoutMs}`)
  if (config.retryDelayMaxMs < config.retryDelayMs)
    say('retryDelayMaxMs', `must be at least retryDelayMs, ${config.retryDelayMs}`)
  return found
}

function isListOfHosts(text: string): boolean {
  const parts = text.split(',').map((part) => part.trim())
  return parts.every((part) => host.test(part) && Number(/:(\d+)$/.exec(part)?.[1] ?? 9092) < 65_536)
}

function isPemInBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('utf8').includes('-----BEGIN ')
}
