import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { isRowmillError, RowmillError } from '../../errors/rowmill-error.ts'
import { exerciseCache } from '../../ports/cache.contract.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Database } from '../../ports/database.ts'
import { type EmbeddedCacheConfig, embeddedCacheConfig } from './cache/config.ts'
import { openEmbeddedCache } from './cache.ts'

async function setup(config: Partial<EmbeddedCacheConfig> = {}, wrap = (database: Database) => database) {
  await using stack = new AsyncDisposableStack()
  const { database } = stack.use(await openTestDatabase())
  const clock = createManualClock()
  const telemetry = quietTelemetry()
  const open = () =>
    openEmbeddedCache({ database: wrap(database), clock, ...telemetry }, embeddedCacheConfig.parse(config))
  const cache = stack.use(await open())
  const owned = stack.move()
  return {
    cache,
    database,
    clock,
    metrics: telemetry.metrics,
    pass: (ms: number) => clock.advance(ms),
    reopen: async (): Promise<Cache> => owned.use(await open()),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const isUnavailable = (error: unknown) => isRowmillError(error, 'CACHE_UNAVAILABLE')

exerciseCache('embedded cache', setup)

test('the keys that were not used for longest go first, kept ones never', async () => {
  await using harness = await setup({ keysMax: 5 })
  const { cache, metrics } = harness
  await cache.set('kept', '1', { keep: true })
  for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, '1')
  await cache.get('a')
  await cache.setAdd('set', ['x'])
  assert.deepEqual(await cache.getMany(['kept', 'a', 'b', 'c', 'd']), ['1', '1', undefined, undefined, '1'])
  assert.equal(await metrics.value('cache_evictions_total'), 2)
})

test('a cache full of kept keys refuses, and loses nothing', async () => {
  await using harness = await setup({ keysMax: 3 })
  const { cache } = harness
  await cache.setAdd('kept', ['a', 'b'], { keep: true })
  await assert.rejects(cache.set('more', '1'), isUnavailable)
  await assert.rejects(cache.setAdd('kept', ['c']), isUnavailable)
  assert.deepEqual(await cache.setMembers('kept'), ['a', 'b'])
  await cache.setRemove('kept', ['a'])
  await cache.set('more', '1')
})

test('expired keys are swept away, kept ones from the table too', async () => {
  await using harness = await setup({ sweepIntervalMs: 100 })
  const { cache, clock, database, metrics } = harness
  await cache.set('a', '1', { ttlMs: 50 })
  await cache.set('b', '1', { ttlMs: 50, keep: true })
  await cache.set('c', '1', { keep: true })
  await waitFor(async () => {
    await clock.advance(100)
    return (await metrics.value('cache_keys')) === 1
  })
  await waitFor(async () => (await database.query('select key from rowmill_cache')).length === 1)
})

test('a kept write that cannot be made durable fails and is not seen', async () => {
  let isDown = false
  const flaky = (database: Database): Database => ({
    ...database,
    execute: async (text, values) => {
      if (isDown) throw new RowmillError('DATABASE_UNAVAILABLE', 'Down for a while.')
      return await database.execute(text, values)
    },
  })
  await using harness = await setup({}, flaky)
  const { cache, reopen } = harness
  await cache.setAdd('s', ['a'], { keep: true })
  isDown = true
  const attempts = [
    cache.setAdd('s', ['b']),
    cache.set('new', '1', { keep: true, ifAbsent: true }),
    cache.set('new', '2', { ifAbsent: true }),
    cache.increment('n', 1, { keep: true }),
  ]
  for (const attempt of await Promise.allSettled(attempts))
    assert(attempt.status === 'rejected' && isUnavailable(attempt.reason))
  await cache.set('passing', '1')
  assert.deepEqual(await cache.getMany(['new', 'n', 'passing']), [undefined, undefined, '1'])
  assert.deepEqual(await cache.setMembers('s'), ['a'])
  isDown = false
  assert.equal(await cache.set('new', '3', { keep: true, ifAbsent: true }), true)
  assert.deepEqual(await (await reopen()).getMany(['new', 'n']), ['3', undefined])
})

test('many kept writes at once become few statements', async () => {
  let statements = 0
  const counting = (database: Database): Database => ({
    ...database,
    execute: async (text, values) => {
      statements += 1
      return await database.execute(text, values)
    },
  })
  await using harness = await setup({}, counting)
  const { cache, reopen } = harness
  const before = statements
  await Promise.all(Array.from({ length: 500 }, (_, n) => cache.set(`key ${n}`, String(n), { keep: true })))
  assert(statements - before <= 3, `${statements - before} statements`)
  assert.equal(await (await reopen()).get('key 499'), '499')
})

test('a subscriber that lags misses the oldest', async () => {
  await using harness = await setup({ messagesMax: 2 })
  const { cache } = harness
  const abort = new AbortController()
  const subscription = cache.subscribe('news', { signal: abort.signal })
  for (const message of ['a', 'b', 'c']) await cache.publish('news', message)
  const seen: string[] = []
  for await (const message of subscription) {
    seen.push(message)
    if (message === 'c') abort.abort()
  }
  assert.deepEqual(seen, ['b', 'c'])
})
