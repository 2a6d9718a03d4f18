/**
 * What every Cache must do. Each case opens its own. `pass` lets time go by for the cache; `reopen` ends the
 * program that holds it, without warning, and opens it anew.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Cache } from './cache.ts'

export type CacheHarness = AsyncDisposable & {
  cache: Cache
  pass(ms: number): Promise<void>
  reopen(): Promise<Cache>
}

type Check = (what: string, body: (harness: CacheHarness) => Promise<void>) => void

export function exerciseCache(name: string, open: () => Promise<CacheHarness>): void {
  const check: Check = (what, body) =>
    test(`${name}: ${what}`, async () => {
      await using harness = await open()
      await body(harness)
    })
  exerciseTexts(check)
  exerciseSets(check)
  exerciseExpiry(check)
  exerciseKeeping(check)
  exerciseLocks(check)
  exerciseChannels(check)
}

const isWrongKind = (error: unknown) => isRowmillError(error, 'CACHE_WRONG_KIND')

function exerciseTexts(check: Check): void {
  check('texts are set, replaced, got and deleted', async ({ cache }) => {
    assert.equal(await cache.get('a'), undefined)
    assert.equal(await cache.set('a', '1'), true)
    assert.equal(await cache.set('a', ''), true)
    await cache.set('ü \u{1f600}', 'ü \u{1f600}\n')
    assert.deepEqual(await cache.getMany(['ü \u{1f600}', 'none', 'a']), ['ü \u{1f600}\n', undefined, ''])
    assert.equal(await cache.delete('a', 'none', 'ü \u{1f600}'), 2)
    assert.equal(await cache.get('a'), undefined)
  })

  check('ifAbsent writes only where there is nothing', async ({ cache }) => {
    assert.equal(await cache.set('a', 'first', { ifAbsent: true }), true)
    assert.equal(await cache.set('a', 'second', { ifAbsent: true }), false)
    assert.equal(await cache.get('a'), 'first')
  })

  check('of many that write with ifAbsent at once one wins', async ({ cache }) => {
    const writes = Array.from({ length: 20 }, (_, n) =>
      cache.set('a', String(n), { ifAbsent: true, keep: n % 2 === 0 }),
    )
    assert.equal((await Promise.all(writes)).filter(Boolean).length, 1)
  })

  check('increments add up, also at once', async ({ cache }) => {
    assert.equal(await cache.increment('n'), 1)
    assert.equal(await cache.increment('n', -3), -2)
    await Promise.all(Array.from({ length: 50 }, () => cache.increment('n', 2)))
    assert.equal(await cache.get('n'), '98')
    await cache.set('n', '41')
    assert.equal(await cache.increment('n'), 42)
  })

  check('what is no integer cannot be incremented', async ({ cache }) => {
    await cache.set('n', '1.5')
    await assert.rejects(cache.increment('n'), isWrongKind)
    await cache.set('n', '')
    await assert.rejects(cache.increment('n'), isWrongKind)
  })

  check('it may be closed twice, and is unavailable then', async ({ cache }) => {
    await cache[Symbol.asyncDispose]()
    await cache[Symbol.asyncDispose]()
    await assert.rejects(cache.get('a'), (error) => isRowmillError(error, 'CACHE_UNAVAILABLE'))
  })
}

function exerciseSets(check: Check): void {
  check('sets hold each member once', async ({ cache }) => {
    assert.equal(await cache.setAdd('s', ['a', 'b', 'a']), 2)
    assert.equal(await cache.setAdd('s', ['b', 'c']), 1)
    assert.equal(await cache.setAdd('s', []), 0)
    assert.equal(await cache.setSize('s'), 3)
    assert.deepEqual((await cache.setMembers('s')).sort(), ['a', 'b', 'c'])
    assert.equal(await cache.setRemove('s', ['a', 'x', 'a']), 1)
    assert.equal(await cache.setSize('s'), 2)
  })

  check('a set without members does not exist', async ({ cache }) => {
    await cache.setAdd('s', ['a'])
    await cache.setRemove('s', ['a'])
    await cache.setAdd('s', [])
    assert.equal(await cache.delete('s'), 0)
    assert.deepEqual(await cache.setMembers('s'), [])
    assert.equal(await cache.setRemove('s', ['a']), 0)
  })

  check('sorted sets answer ranges by score and then by member', async ({ cache }) => {
    const scored = (member: string, score: number) => ({ member, score })
    assert.equal(
      await cache.sortedAdd('z', [scored('b', 1), scored('a', 1), scored('c', -2.5), scored('d', 9)]),
      4,
    )
    assert.equal(await cache.sortedAdd('z', [scored('d', 2), scored('e', 3)]), 1)
    assert.deepEqual(await cache.sortedRange('z', -10, 2), [
      scored('c', -2.5),
      scored('a', 1),
      scored('b', 1),
      scored('d', 2),
    ])
    assert.deepEqual(await cache.sortedRange('z', 1, 1), [scored('a', 1), scored('b', 1)])
    assert.deepEqual(await cache.sortedRange('z', 4, 1), [])
    assert.equal(await cache.sortedRemove('z', ['a', 'x']), 1)
    assert.equal(await cache.sortedRemove('z', ['b', 'c', 'd', 'e']), 4)
    assert.equal(await cache.delete('z'), 0)
  })

  check('a key holds one kind of value', async ({ cache }) => {
    await cache.set('text', 'x')
    await cache.setAdd('set', ['x'])
    await cache.sortedAdd('sorted', [{ member: 'x', score: 1 }])
    for (const attempt of [
      () => cache.setAdd('text', ['y']),
      () => cache.setMembers('text'),
      () => cache.sortedRange('set', 0, 1),
      () => cache.sortedAdd('set', [{ member: 'y', score: 1 }]),
      () => cache.get('set'),
      () => cache.increment('sorted'),
      () => cache.setRemove('sorted', ['x']),
    ])
      await assert.rejects(attempt, isWrongKind)
    assert.equal(await cache.get('text'), 'x')
    assert.equal(await cache.delete('text', 'set', 'sorted'), 3)
  })
}

function exerciseExpiry(check: Check): void {
  check('a key whose time has passed does not exist', async ({ cache, pass }) => {
    await cache.set('a', '1', { ttlMs: 1000 })
    await cache.setAdd('s', ['x'], { ttlMs: 1000 })
    await cache.set('stays', '1')
    await pass(2000)
    assert.deepEqual(await cache.getMany(['a', 'stays']), [undefined, '1'])
    assert.equal(await cache.setSize('s'), 0)
    assert.equal(await cache.delete('a'), 0)
    assert.equal(await cache.set('a', '2', { ifAbsent: true }), true)
    assert.equal(await cache.increment('s'), 1)
  })

  check('a later write keeps the expiry of a counter or set, and set ends it', async ({ cache, pass }) => {
    await cache.increment('n', 1, { ttlMs: 1000 })
    await cache.increment('n')
    await cache.setAdd('s', ['a'], { ttlMs: 1000 })
    await cache.setAdd('s', ['b'])
    await cache.set('t', '1', { ttlMs: 1000 })
    await cache.set('t', '2')
    await pass(2000)
    assert.equal(await cache.increment('n'), 1)
    assert.equal(await cache.setSize('s'), 0)
    assert.equal(await cache.get('t'), '2')
  })

  check('expire sets a time, a later one prolongs it, one of zero deletes', async ({ cache, pass }) => {
    await cache.set('a', '1')
    await cache.set('b', '1', { ttlMs: 1000 })
    await cache.set('c', '1')
    assert.equal(await cache.expire('a', 1000), true)
    assert.equal(await cache.expire('b', 60_000), true)
    assert.equal(await cache.expire('c', 0), true)
    assert.equal(await cache.expire('none', 1000), false)
    await pass(2000)
    assert.deepEqual(await cache.getMany(['a', 'b', 'c']), [undefined, '1', undefined])
  })
}

function exerciseKeeping(check: Check): void {
  check('what was written to be kept outlives the program', async ({ cache, reopen }) => {
    const odd = 'key \0 \ud800 ü'
    await cache.set(odd, 'value \0 \ud800', { keep: true })
    await cache.increment('n', 5, { keep: true })
    await cache.increment('n', 5)
    await cache.setAdd('s', ['a', 'b'], { keep: true })
    await cache.setRemove('s', ['b'])
    await cache.sortedAdd('z', [{ member: 'm', score: 1.5 }], { keep: true })
    await cache.set('gone', '1', { keep: true })
    await cache.delete('gone')
    await cache.set('long', '1', { keep: true, ttlMs: 3_600_000 })
    const again = await reopen()
    assert.deepEqual(await again.getMany([odd, 'n', 'gone', 'long']), [
      'value \0 \ud800',
      '10',
      undefined,
      '1',
    ])
    assert.deepEqual(await again.setMembers('s'), ['a'])
    assert.deepEqual(await again.sortedRange('z', 0, 2), [{ member: 'm', score: 1.5 }])
  })

  check('what expired while the program was away is not there', async ({ cache, pass, reopen }) => {
    await cache.set('a', '1', { keep: true, ttlMs: 1000 })
    await pass(2000)
    assert.equal(await (await reopen()).get('a'), undefined)
  })
}

function exerciseLocks(check: Check): void {
  check('a lock has one holder, until it is let go or its time has passed', async ({ cache, pass }) => {
    const first = await cache.lock('job', 1000)
    assert(first !== undefined)
    assert.equal(await cache.lock('job', 1000), undefined)
    assert.notEqual(await cache.lock('other job', 1000), undefined)
    await first[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    const second = await cache.lock('job', 1000)
    assert(second !== undefined)
    await pass(2000)
    const third = await cache.lock('job', 60_000)
    assert(third !== undefined)
    assert.equal(await second.extend(1000), false)
    await second[Symbol.asyncDispose]()
    assert.equal(await cache.lock('job', 1000), undefined)
  })

  check('a lock can be extended while it is held', async ({ cache, pass }) => {
    const lock = await cache.lock('job', 1000)
    assert.equal(await lock?.extend(60_000), true)
    await pass(2000)
    assert.equal(await cache.lock('job', 1000), undefined)
    await lock?.[Symbol.asyncDispose]()
    assert.equal(await lock?.extend(1000), false)
  })
}

function exerciseChannels(check: Check): void {
  check('a subscriber gets the messages of its channel in order, until it is aborted', async ({ cache }) => {
    const abort = new AbortController()
    const seen: string[] = []
    const subscription = cache.subscribe('news', { signal: abort.signal })
    const reading = (async () => {
      for await (const message of subscription) {
        seen.push(message)
        if (message === 'last') abort.abort()
      }
    })()
    await cache.publish('other', 'not this')
    for (const message of ['a', 'b', 'last', 'after']) await cache.publish('news', message)
    await reading
    assert.deepEqual(seen, ['a', 'b', 'last'])
  })

  check('every subscriber gets every message', async ({ cache }) => {
    const abort = new AbortController()
    const first = async () => {
      for await (const message of cache.subscribe('news', { signal: abort.signal })) return message
      return undefined
    }
    const reading = [first(), first()]
    await cache.publish('news', 'hello')
    assert.deepEqual(await Promise.all(reading), ['hello', 'hello'])
    abort.abort()
  })
}
