/**
 * From settings to connections. A start first asks each node, over a connection of its own, what it is: what the
 * config contradicts ends the start with a sentence, what is only away is waited for. From then on the library
 * connects again by itself, after waits that double, with chance; what is asked meanwhile fails at once,
 * because a queue would have no bound.
 */
import { readFileSync } from 'node:fs'
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import { retryDelay } from '../../std/retry.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { type RedisConfig, redisContradictions } from './config.ts'
import { absenceOf, misconfigurationOf } from './failures.ts'

export type RedisContext = { clock: Clock; random: Random; metrics: Metrics; logger: Logger }
export type RedisClient = Redis | Cluster
export type RedisNode = { host: string; port: number }

export type RedisConnections = {
  client: RedisClient
  /** A connection to one node that is not opened yet and does not connect again by itself. */
  createSingle(node: RedisNode): Redis
  /** The nodes that are known now; never empty. */
  nodes(): RedisNode[]
}

/** Fails with `CONFIG_INVALID` for what can never work, and with `CACHE_UNAVAILABLE` when nobody answers in time. */
export async function connectRedis(context: RedisContext, config: RedisConfig): Promise<RedisConnections> {
  const contradictions = redisContradictions(config)
  if (contradictions.length > 0) throw new RowmillError('CONFIG_INVALID', contradictions.join(' '))
  if (config.url === undefined)
    throw new RowmillError(
      'CONFIG_INVALID',
      'The cache is to be on Redis, but redis.url (REDIS_URL) is not set.',
    )
  // Loaded here, so that a start without Redis does not pay for it.
  const { Redis, Cluster } = await import('ioredis')
  const { nodes, options } = optionsOf(config)
  const createSingle = (node: RedisNode) =>
    new Redis({ ...options, ...node, lazyConnect: true, retryStrategy: null, enableOfflineQueue: false })
  await waitUntilThere(context, config, { nodes, createSingle })
  const delay = (times: number) =>
    retryDelay(
      { attemptsMax: times, delayMs: config.reconnectDelayMs, delayMaxMs: config.reconnectDelayMaxMs },
      times,
      context.random.next(),
    )
  const [first] = nodes
  const client = config.isCluster
    ? new Cluster(nodes, clusterOptions(config, options, delay))
    : new Redis({ ...options, ...first, retryStrategy: delay, enableOfflineQueue: false })
  reportChanges(client, context)
  await untilReady(client, config.connectTimeoutMs, context.clock)
  return { client, createSingle, nodes: () => (config.isCluster ? knownNodes(client, nodes) : nodes) }
}

type ConnectionOptions = ReturnType<typeof optionsOf>['options']

function optionsOf(config: RedisConfig) {
  const url = new URL(config.url?.reveal() ?? '')
  const text = (part: string) => (part === '' ? undefined : decodeURIComponent(part))
  const username = text(url.username) ?? config.username
  const password = text(url.password) ?? config.password?.reveal()
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const options = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    db: Number(url.pathname.replace('/', '')),
    ...(url.protocol === 'rediss:' ? { tls: tlsOf(config) } : {}),
    // The older protocol, which every server and proxy speaks and whose answers have one shape.
    protocol: 2,
    connectTimeout: config.connectTimeoutMs,
    commandTimeout: config.responseTimeoutMs,
    // A connection on which nothing comes back is given up, so that a host that hangs is not held on to.
    socketTimeout: config.responseTimeoutMs * 2,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // An INFO of the library's own may be forbidden, and LOADING is an answer like others.
    enableReadyCheck: false,
    // After a failover behind one name, the old connection leads to a replica.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions
  const nodes: RedisNode[] = [{ host, port: Number(url.port === '' ? 6379 : url.port) }]
  for (const node of config.clusterHosts) {
    const at = node.lastIndexOf(':')
    nodes.push({ host: node.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(node.slice(at + 1)) })
  }
  return { nodes, options }
}

function tlsOf(config: RedisConfig): NonNullable<RedisOptions['tls']> {
  const read = (setting: 'tlsCaFile' | 'tlsCertFile' | 'tlsKeyFile'): Buffer | undefined => {
    const path = config[setting]
    if (path === undefined) return undefined
    try {
      return readFileSync(path)
    } catch (cause) {
      throw new RowmillError('CONFIG_INVALID', `redis.${setting} names ${path}, which could not be read.`, {
        cause,
      })
    }
  }
  const [ca, cert, key] = [read('tlsCaFile'), read('tlsCertFile'), read('tlsKeyFile')]
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: config.isCertificateChecked,
  }
}

function clusterOptions(
  config: RedisConfig,
  { db: _, ...options }: ConnectionOptions,
  delay: (times: number) => number,
) {
  return {
    redisOptions: options,
    enableOfflineQueue: false,
    clusterRetryStrategy: delay,
    // Names stay names, so that certificates can be checked against them.
    dnsLookup: (address: string, answer: (error: null, address: string) => void) => answer(null, address),
    slotsRefreshTimeout: config.connectTimeoutMs,
  } satisfies ClusterOptions
}

type Starting = { nodes: readonly RedisNode[]; createSingle(node: RedisNode): Redis }

async function waitUntilThere(context: RedisContext, config: RedisConfig, starting: Starting): Promise<void> {
  const { clock, logger, random } = context
  const isTls = config.url?.reveal().startsWith('rediss:') === true
  const policy = { attemptsMax: 1, delayMs: config.reconnectDelayMs, delayMaxMs: config.reconnectDelayMaxMs }
  const untilMs = clock.monotonic() + config.startTimeoutMs
  for (let attempt = 1; ; attempt++) {
    let failure: { error: Error; node: RedisNode } | undefined
    for (const node of starting.nodes) {
      const error = await probe(starting.createSingle(node), config, logger)
      if (error === undefined) return
      if (error instanceof RowmillError) throw error
      const sentence = misconfigurationOf(error, { host: `${node.host}:${node.port}`, isTls })
      if (sentence !== undefined) throw new RowmillError('CONFIG_INVALID', sentence, { cause: error })
      failure ??= { error, node }
    }
    if (failure !== undefined && clock.monotonic() >= untilMs) {
      const { node, error } = failure
      throw new RowmillError(
        'CACHE_UNAVAILABLE',
        `Redis at ${node.host}:${node.port} (redis.url, REDIS_URL) could not be reached for ${config.startTimeoutMs} ms: ${absenceOf(error, isTls)}.`,
        { cause: error },
      )
    }
    if (attempt === 1) logger.warn({ error: failure?.error }, 'Redis cannot be reached yet, the start waits')
    await clock.sleep(retryDelay(policy, attempt, random.next()))
  }
}

/** Why this node cannot be used, or undefined. The library tells the true reason by its event, not by its promise. */
async function probe(single: Redis, config: RedisConfig, logger: Logger): Promise<Error | undefined> {
  const errors: Error[] = []
  single.on('error', (error: Error) => errors.push(error))
  try {
    await single.connect()
    const facts = await factsOf(single)
    // A database that does not exist is told by the event only.
    return errors[0] ?? judge(facts, config, logger)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // Of a connection that is refused, the reason may come after the end.
    const telling = errors.find((told) => misconfigurationOf(told, { host: '', isTls: true }) !== undefined)
    return telling ?? errors[0] ?? error
  } finally {
    single.disconnect()
  }
}

/** What Redis tells of itself; nothing where the user may not ask. */
async function factsOf(single: Redis): Promise<ReadonlyMap<string, string>> {
  try {
    const lines = (await single.info()).split('\r\n')
    return new Map(lines.flatMap((line) => (line.includes(':') ? [pairOf(line)] : [])))
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOPERM')) throw error
    await single.ping()
    return new Map()
  }
}

function pairOf(line: string): [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1)]
}

function judge(
  facts: ReadonlyMap<string, string>,
  config: RedisConfig,
  logger: Logger,
): RowmillError | Error | undefined {
  if (facts.get('loading') === '1') return new Error('LOADING Redis is reading its data')
  const refuse = (sentence: string) => new RowmillError('CONFIG_INVALID', sentence)
  const isCluster = facts.get('cluster_enabled') === '1'
  if (isCluster && !config.isCluster)
    return refuse('redis.url names a node of a cluster; set redis.isCluster (REDIS_CLUSTER) to true.')
  if (facts.get('cluster_enabled') === '0' && config.isCluster)
    return refuse(
      'redis.isCluster (REDIS_CLUSTER) is true, but redis.url names a Redis that is no cluster; set it to false.',
    )
  if (!isCluster && facts.get('role') === 'slave')
    return refuse(
      `redis.url names a replica, which takes no writes; name its master, ${facts.get('master_host')}:${facts.get('master_port')}.`,
    )
  if (facts.get('aof_enabled') === '0')
    logger.warn(
      'Redis keeps no append-only file: salts of cookieless ids are lost when it ends; set appendonly yes',
    )
  if (facts.get('maxmemory_policy')?.startsWith('allkeys') === true)
    logger.warn(
      { policy: facts.get('maxmemory_policy') },
      'Redis may remove any key when its memory is full, also those that must be kept; set maxmemory-policy to noeviction or volatile-lru',
    )
  return undefined
}

/** Tells each change once, not each attempt. */
function reportChanges(client: RedisClient, { logger, metrics }: RedisContext): void {
  let isAway = false
  let last: Error | undefined
  client.on('error', (error: Error) => {
    last = error
  })
  client.on('close', () => {
    metrics.set('cache_connected', 0)
    if (!isAway) logger.error({ error: last }, 'the connection to Redis is lost, it is tried again')
    isAway = true
  })
  client.on('ready', () => {
    metrics.set('cache_connected', 1)
    if (isAway) logger.warn('the connection to Redis stands again')
    isAway = false
  })
}

/** Waits for the first connection; later than `timeoutMs` the operations tell. */
async function untilReady(client: RedisClient, timeoutMs: number, clock: Clock): Promise<void> {
  if (client.status === 'ready') return
  const stop = new AbortController()
  client.once('ready', () => stop.abort())
  await clock.sleep(timeoutMs, { signal: stop.signal })
}

function knownNodes(client: RedisClient, configured: RedisNode[]): RedisNode[] {
  if (!('nodes' in client)) return configured
  const known = client.nodes('master').flatMap(({ options: { host, port } }) => {
    return host === undefined || port === undefined ? [] : [{ host, port }]
  })
  return known.length === 0 ? configured : known
}
