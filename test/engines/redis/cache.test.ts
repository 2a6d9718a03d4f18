import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { openRedisCache } from '../../../src/adapters/redis/cache.ts'
import { redisConfig } from '../../../src/adapters/redis/config.ts'
import { exerciseCache } from '../../../src/ports/cache.contract.ts'
import { noRedis, openRedis, openRedisCluster, type RedisOptions } from '../../support/engines/redis.ts'
import { quietTelemetry } from '../../support/quiet.ts'

/** Settings of one cache, on a server that this file has opened. */
type Server = AsyncDisposable & { settings: Record<string, unknown>; newPrefix(): string }

function exercise(name: string, server: () => Promise<Server>): void {
  exerciseCache(name, async () => {
    const { settings, newPrefix } = await server()
    const open = () =>
      openRedisCache(
        { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() },
        redisConfig.parse({ ...settings, keyPrefix, responseTimeoutMs: 20_000 }),
      )
    const keyPrefix = newPrefix()
    await using stack = new AsyncDisposableStack()
    const cache = stack.use(await open())
    const owned = stack.move()
    return {
      cache,
      // Redis keeps its own time. The contract lets twice a time to live go by; a little more than once is enough.
      pass: async (ms) => void (await sleep(0.6 * ms)),
      reopen: async () => {
        await cache[Symbol.asyncDispose]()
        return owned.use(await open())
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  })
}

/** One server for all cases of a suite, stopped after the last one. */
function once(open: () => Promise<Server>): () => Promise<Server> {
  let opened: Promise<Server> | undefined
  test.after(async () => await (await opened)?.[Symbol.asyncDispose]())
  return () => (opened ??= open())
}

let count = 0
const single = (options?: RedisOptions) =>
  once(async () => {
    const redis = await openRedis(options)
    return {
      settings: { url: redis.url, ...(redis.caFile === undefined ? {} : { tlsCaFile: redis.caFile }) },
      newPrefix: () => `${redis.keyPrefix}${count++}:`,
      [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
    }
  })
const cluster = once(async () => {
  const opened = await openRedisCluster()
  const [first = '', ...others] = opened.hosts.split(',')
  return {
    settings: { url: `redis://${first}`, isCluster: true, clusterHosts: others },
    newPrefix: () => `${opened.keyPrefix}${count++}:`,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
})

if (noRedis !== false) test('the cache on Redis', { skip: noRedis }, () => {})
else {
  exercise('Redis', single())
  exercise(
    'Redis with TLS, a user and a password',
    single({ isTls: true, user: { name: 'row', password: 'mill@:/' } }),
  )
  exercise('a cluster of Redis', cluster)
}
