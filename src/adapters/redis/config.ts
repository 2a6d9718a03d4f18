import { z } from 'zod'
import { Secret } from '../../std/secret.ts'

const milliseconds = (defaultMs: number, description: string) =>
  z.number().int().min(1).max(3_600_000).default(defaultMs).meta({ description })

const file = (description: string, env: string) => z.string().min(1).optional().meta({ description, env })

const hostAndPort = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@,]+):\d{1,5}$/

/** The cache on Redis, or what speaks like it (Valkey, KeyDB, ElastiCache, …). */
export const redisConfig = z.strictObject({
  url: z
    .string()
    .refine(isRedisUrl, 'must be redis://[user:password@]host[:port][/database], or rediss:// for TLS')
    .transform((text) => new Secret(text))
    .optional()
    .meta({
      description:
        'A Redis to use instead of the cache in memory: redis://[user:password@]host:port/database, rediss:// for TLS.',
      env: 'REDIS_URL',
      secret: true,
    }),
  username: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'User of Redis, where the URL names none.', env: 'REDIS_USERNAME' }),
  password: z
    .string()
    .min(1)
    .transform((text) => new Secret(text))
    .optional()
    .meta({
      description: 'Password of Redis, where the URL holds none.',
      env: ['REDIS_PASSWORD', 'POSTHOG_REDIS_PASSWORD'],
      secret: true,
    }),
  isCluster: z
    .boolean()
    .default(false)
    .meta({ description: 'The Redis is a cluster; the URL names one of its nodes.', env: 'REDIS_CLUSTER' }),
  clusterHosts: z.array(z.string().regex(hostAndPort, 'is a list of host:port')).default([]).meta({
    description: 'Further nodes of the cluster, as host:port, for when the one of the URL is away.',
    env: 'REDIS_CLUSTER_HOSTS',
  }),
  keyPrefix: z.string().max(200).default('').meta({
    description:
      'What the names of all keys and channels begin with, for a Redis that several installations share. Other programs find nothing there then; the prefix that PostHog calls REDIS_KEY_PREFIX is capture.admission.cacheKeyPrefix.',
  }),
  tlsCaFile: file('PEM file of the authority that has signed the certificate of Redis.', 'REDIS_TLS_CA_FILE'),
  tlsCertFile: file('PEM file of a certificate to show to Redis.', 'REDIS_TLS_CERT_FILE'),
  tlsKeyFile: file('PEM file of the key of that certificate.', 'REDIS_TLS_KEY_FILE'),
  isCertificateChecked: z.boolean().default(true).meta({
    description: 'Refuse a Redis whose certificate no known authority has signed for its name.',
    env: 'REDIS_TLS_REJECT_UNAUTHORIZED',
  }),
  responseTimeoutMs: milliseconds(
    1000,
    'How long an operation may take; then it fails, and whoever asked goes on without the cache, in ms.',
  ).meta({ env: 'REDIS_RESPONSE_TIMEOUT_MS' }),
  connectTimeoutMs: milliseconds(5000, 'How long one attempt to connect may take, in ms.').meta({
    env: 'REDIS_CONNECTION_TIMEOUT_MS',
  }),
  startTimeoutMs: milliseconds(
    30_000,
    'How long a start waits for a Redis that cannot be reached yet, in ms.',
  ),
  reconnectDelayMs: milliseconds(
    50,
    'The wait before the first attempt to connect again, in ms. It doubles, with chance.',
  ),
  reconnectDelayMaxMs: milliseconds(2000, 'The longest wait between two attempts to connect again, in ms.'),
  pingIntervalMs: milliseconds(
    5000,
    'How often a connection that waits for messages is tried, so that a dead one is noticed, in ms.',
  ),
  operationsMax: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Operations that may wait for Redis at the same time; more fail at once.' }),
  messagesMax: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Messages a subscriber may lag behind; older ones are forgotten.' }),
})

export type RedisConfig = z.infer<typeof redisConfig>

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false
  const { hostname, pathname, search, hash } = new URL(text)
  return hostname !== '' && /^\/?\d{0,5}$/.test(pathname) && search === '' && hash === ''
}

/** What contradicts itself, as sentences that say what to set; none where all is well. */
export function redisContradictions(config: RedisConfig): string[] {
  const { url } = config
  if (url === undefined) {
    const others = [
      ...(config.isCluster ? ['redis.isCluster (REDIS_CLUSTER)'] : []),
      ...(config.clusterHosts.length > 0 ? ['redis.clusterHosts (REDIS_CLUSTER_HOSTS)'] : []),
      ...(config.username === undefined ? [] : ['redis.username (REDIS_USERNAME)']),
    ]
    return others.map(
      (name) => `${name} is set, but redis.url is not; set redis.url (REDIS_URL), or unset it.`,
    )
  }
  const { username, password, pathname, protocol } = new URL(url.reveal())
  const database = pathname.replace('/', '')
  const tls = [config.tlsCaFile, config.tlsCertFile, config.tlsKeyFile]
  const found: [boolean, string][] = [
    [
      username !== '' && config.username !== undefined,
      'redis.url and redis.username (REDIS_USERNAME) both name a user; keep one of them.',
    ],
    [
      password !== '' && config.password !== undefined,
      'redis.url and redis.password (REDIS_PASSWORD) both hold a password; keep one of them.',
    ],
    [
      config.isCluster && database !== '' && database !== '0',
      `redis.url names database ${database}, but a cluster has only database 0; remove the number, or unset redis.isCluster.`,
    ],
    [
      !config.isCluster && config.clusterHosts.length > 0,
      'redis.clusterHosts is set, but redis.isCluster is false; set redis.isCluster to true, or unset redis.clusterHosts.',
    ],
    [
      protocol === 'redis:' && tls.some((name) => name !== undefined),
      'A file for TLS is set, but redis.url begins with redis://, which is without TLS; let it begin with rediss://.',
    ],
    [
      (config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined),
      'redis.tlsCertFile and redis.tlsKeyFile belong together; set both, or none.',
    ],
    [
      config.reconnectDelayMaxMs < config.reconnectDelayMs,
      `redis.reconnectDelayMaxMs (${config.reconnectDelayMaxMs}) is below redis.reconnectDelayMs (${config.reconnectDelayMs}); raise it.`,
    ],
  ]
  return found.flatMap(([isWrong, sentence]) => (isWrong ? [sentence] : []))
}
