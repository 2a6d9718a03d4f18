import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { openRedisCache } from '../../../src/adapters/redis/cache.ts'
import { redisConfig } from '../../../src/adapters/redis/config.ts'
import { slotOf } from '../../../src/adapters/redis/slots.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import type { Cache } from '../../../src/ports/cache.ts'
import { noRedis, openRedis, openRedisCluster } from '../../support/engines/redis.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { waitFor } from '../../support/wait-for.ts'

const options = { skip: noRedis }
const isUnavailable = (error: unknown) => isRowmillError(error, 'CACHE_UNAVAILABLE')

function openCache(settings: Record<string, unknown>): Promise<Cache> {
  return openRedisCache(
    { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() },
    redisConfig.parse({ responseTimeoutMs: 3000, reconnectDelayMaxMs: 200, ...settings }),
  )
}

async function works(cache: Cache): Promise<boolean> {
  return await cache.set('again', '1')
}

test('a Redis that is killed makes operations fail, and is found again by itself', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  await using cache = await openCache({ url: redis.url })
  await cache.set('a', '1')
  for (let round = 0; round < 3; round++) {
    await redis.kill()
    await assert.rejects(cache.get('a'), isUnavailable)
    const outcomes = await Promise.allSettled(Array.from({ length: 1000 }, () => cache.get('a')))
    assert(outcomes.every((outcome) => outcome.status === 'rejected' && isUnavailable(outcome.reason)))
    await redis.start()
    await waitFor(() => works(cache))
  }
})

test('a Redis that hangs makes operations fail in time, no more than may wait', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  await using cache = await openCache({ url: redis.url, operationsMax: 10, responseTimeoutMs: 500 })
  redis.pause()
  const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => cache.increment('n')))
  const said = outcomes.map((outcome) =>
    outcome.status === 'rejected' ? String(outcome.reason) : 'answered',
  )
  assert.equal(said.filter((text) => /operations wait for Redis already/.test(text)).length, 20)
  assert(outcomes.every((outcome) => outcome.status === 'rejected' && isUnavailable(outcome.reason)))
  for (let round = 0; round < 4; round++) await assert.rejects(cache.get('n'), isUnavailable)
  redis.resume()
  await waitFor(() => works(cache))
})

test('a start waits for a Redis that comes, and tells of one that does not', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  await redis.kill()
  await assert.rejects(openCache({ url: redis.url, startTimeoutMs: 200 }), (error) => {
    assert(isRowmillError(error, 'CACHE_UNAVAILABLE'))
    assert.match(
      error.message,
      /127\.0\.0\.1:\d+ \(redis\.url, REDIS_URL\).* 200 ms: nothing listens there\.$/,
    )
    return true
  })
  const opening = openCache({ url: redis.url, startTimeoutMs: 60_000 })
  await redis.start()
  await using cache = await opening
  assert.equal(await works(cache), true)
})

test('a Redis that hangs at the start is told as such', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  redis.pause()
  await assert.rejects(
    openCache({ url: redis.url, startTimeoutMs: 200, connectTimeoutMs: 300, responseTimeoutMs: 300 }),
    (error) => isUnavailable(error) && /it does not answer\.$/.test(String(error)),
  )
  redis.resume()
})

test('a subscription outlives the death and the sleep of Redis', options, async () => {
  await using redis = await openRedis({ isOwn: true })
  await using cache = await openCache({ url: redis.url, pingIntervalMs: 100, responseTimeoutMs: 1000 })
  const stop = new AbortController()
  const seen: string[] = []
  const reading = (async () => {
    for await (const message of cache.subscribe('news', { signal: stop.signal })) seen.push(message)
  })()
  const arrives = async (message: string) =>
    await waitFor(
      async () => {
        await cache.publish('news', message)
        return seen.includes(message)
      },
      { what: message },
    )
  await arrives('first')
  await redis.kill()
  await redis.start()
  await arrives('after the kill')
  redis.pause()
  await assert.rejects(cache.publish('news', 'lost'), isUnavailable)
  await assert.rejects(cache.publish('news', 'lost'), isUnavailable)
  redis.resume()
  await arrives('after the sleep')
  stop.abort()
  await reading
})

test('what is kept outlives a Redis that writes each answer to its file', options, async () => {
  await using redis = await openRedis({ isAppendOnly: true })
  await using cache = await openCache({ url: redis.url })
  for (let number = 0; number < 50; number++) await cache.set(`salt ${number}`, 'x', { keep: true })
  await redis.kill()
  await redis.start()
  await waitFor(async () => (await cache.get('salt 49')) === 'x')
  assert.equal(
    (await cache.getMany(Array.from({ length: 50 }, (_, n) => `salt ${n}`))).indexOf(undefined),
    -1,
  )
})

test('a lock of one program is not let go by another', options, async () => {
  await using redis = await openRedis()
  const settings = { url: redis.url, keyPrefix: redis.keyPrefix }
  await using first = await openCache(settings)
  await using second = await openCache(settings)
  const held = await first.lock('job', 60_000)
  assert(held !== undefined)
  assert.equal(await second.lock('job', 60_000), undefined)
  await redis.ask('set', `${redis.keyPrefix}@rowmill/lock/job`, 'another holder')
  assert.equal(await held.extend(1000), false)
  await held[Symbol.asyncDispose]()
  assert.equal(await redis.ask('get', `${redis.keyPrefix}@rowmill/lock/job`), 'another holder')
})

test('keys and values are those that other programs see', options, async () => {
  await using redis = await openRedis()
  const prefix = redis.keyPrefix
  await using cache = await openCache({ url: redis.url, keyPrefix: prefix, responseTimeoutMs: 20_000 })
  await redis.ask('zadd', `${prefix}@posthog/quota-limits/events`, '1800000000', 'phc_a')
  const limited = await cache.sortedRange(
    '@posthog/quota-limits/events',
    1_700_000_000,
    Number.POSITIVE_INFINITY,
  )
  assert.deepEqual(limited, [{ member: 'phc_a', score: 1_800_000_000 }])
  await cache.set('cookieless_salt:2026-01-01', 'c2FsdA==', { ifAbsent: true, ttlMs: 1000_000 })
  assert.equal(await redis.ask('get', `${prefix}cookieless_salt:2026-01-01`), 'c2FsdA==')
  assert(Number(await redis.ask('pttl', `${prefix}cookieless_salt:2026-01-01`)) > 900_000)
  const session = Buffer.from(Array.from({ length: 24 }, (_, n) => 255 - n)).toString('base64')
  await cache.set('cklss:1:abc', session)
  assert.equal(await redis.ask('strlen', `${prefix}cklss:1:abc`), '24')
  assert.deepEqual(await cache.getMany(['none', 'cklss:1:abc']), [undefined, session])
  await cache.increment('count', 5, { ttlMs: 1000_000 })
  assert.equal(await redis.ask('get', `${prefix}count`), '5')
  const many = Array.from({ length: 20_001 }, (_, n) => ({ member: `m${n}`, score: n }))
  assert.equal(await cache.sortedAdd('z', many), 20_001)
  assert.equal(
    await cache.setAdd(
      's',
      many.map(({ member }) => member),
    ),
    20_001,
  )
  assert.equal(await cache.setSize('s'), 20_001)
})

test('a sum that JavaScript cannot hold is refused and not written', options, async () => {
  await using redis = await openRedis()
  await using cache = await openCache({ url: redis.url, keyPrefix: redis.keyPrefix })
  await cache.set('n', '9007199254740990')
  assert.equal(await cache.increment('n'), 9007199254740991)
  await assert.rejects(cache.increment('n'), (error) => isRowmillError(error, 'CACHE_WRONG_KIND'))
  assert.equal(await cache.get('n'), '9007199254740991')
})

test('a cluster goes on when slots move and when a master dies', options, async () => {
  await using cluster = await openRedisCluster({ replicas: 1 })
  const [first = '', ...others] = cluster.hosts.split(',')
  await using cache = await openCache({
    url: `redis://${first}`,
    clusterHosts: others,
    isCluster: true,
    responseTimeoutMs: 5000,
    pingIntervalMs: 100,
  })
  const keys = Array.from({ length: 200 }, (_, n) => `key ${n}`)
  await Promise.all(keys.map((key) => cache.set(key, key)))
  assert.deepEqual(await cache.getMany(keys), keys)
  const [node] = cluster.nodes
  for (const key of ['key 1', 'foo{bar}baz', '{}x', '{a', 'ü'])
    assert.equal(slotOf(Buffer.from(key)), Number(await node?.ask('cluster', 'keyslot', key)))
  await cluster.moveSlotOf('key 7')
  assert.equal(await cache.get('key 7'), 'key 7')
  assert.equal(await cache.delete('key 7', 'key 8', 'none'), 2)

  const stop = new AbortController()
  const seen: string[] = []
  const reading = (async () => {
    for await (const message of cache.subscribe('news', { signal: stop.signal })) seen.push(message)
  })()
  const owner = await cluster.ownerOf('key 9')
  await owner.kill()
  await waitFor(() => cache.set('key 9', 'after'), { withinMs: 60_000, what: 'the replica to take over' })
  for (const known of cluster.nodes.filter((candidate) => candidate !== owner))
    await waitFor(
      async () => {
        await cache.publish('news', String(known.port))
        return seen.includes(String(known.port))
      },
      { withinMs: 60_000, what: 'the subscription to go on' },
    )
  assert.equal(await cache.get('key 9'), 'after')
  stop.abort()
  await reading
})
