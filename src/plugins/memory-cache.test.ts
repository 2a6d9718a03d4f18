import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { MemoryCache } from './memory-cache.ts'

function setup() {
  const clock = createManualClock()
  const cache = new MemoryCache(clock)
  return { clock, run: (operation: string, ...values: unknown[]) => cache.run(operation, values) }
}

test('keeps values of JSON, counts, and forgets in time', async () => {
  const { clock, run } = setup()
  run('set', 'a', { x: 1 })
  run('set', 'b', 'brief', 10)
  run('set', 'raw', 'a text', null, { jsonSerialize: false })
  assert.deepEqual([run('get', 'a'), run('get', 'b'), run('get', 'lost')], [{ x: 1 }, 'brief', undefined])
  assert.equal(run('get', 'a', { jsonSerialize: false }), '{"x":1}')
  assert.equal(run('get', 'raw'), 'a text')
  assert.deepEqual([run('incr', 'n'), run('incr', 'n')], [1, 2])
  assert.deepEqual([run('expire', 'n', 5), run('expire', 'lost', 5)], [true, false])
  await clock.advance(5000)
  assert.equal(run('incr', 'n'), 1)
  await clock.advance(5000)
  assert.equal(run('get', 'b'), undefined)
})

test('keeps lists as Redis does', () => {
  const { run } = setup()
  assert.equal(run('lpush', 'l', ['a', 'b', 'a']), 3)
  assert.equal(run('lpush', 'l', ['c', 'a']), 5)
  assert.deepEqual(run('lrange', 'l', 0, -1), ['a', 'c', 'a', 'b', 'a'])
  assert.deepEqual(run('lrange', 'l', 1, 2), ['c', 'a'])
  assert.deepEqual(run('lrange', 'l', -2, -1), ['b', 'a'])
  assert.equal(run('lrem', 'l', -1, 'a'), 1)
  assert.deepEqual(run('lrange', 'l', 0, -1), ['a', 'c', 'a', 'b'])
  assert.equal(run('lrem', 'l', 1, 'a'), 1)
  assert.deepEqual(run('lrange', 'l', 0, -1), ['c', 'a', 'b'])
  assert.deepEqual([run('lpop', 'l', null), run('llen', 'l'), run('llen', 'lost')], [['c'], 2, 0])
  run('lpush', 'l', ['b'])
  assert.equal(run('lrem', 'l', 0, 'b'), 2)
  assert.deepEqual(run('lpop', 'l', 9), ['a'])
})

test('says what it cannot do', () => {
  const { run } = setup()
  run('lpush', 'l', ['a'])
  run('set', 'text', 'x')
  for (const [wrong, sentence] of [
    [() => run('get', 1), /key of the cache is a text/],
    [() => run('get', 'l'), /l is a list/],
    [() => run('llen', 'text'), /text is no list/],
    [() => run('incr', 'text'), /no whole number/],
    [() => run('lpush', 'l', Array.from({ length: 1001 })), /at most 1000/],
    [() => run('lrange', 'l', 0, 'x'), /x is no whole number/],
    [() => run('flush', 'l'), /cannot flush/],
  ] as const)
    assert.throws(wrong, sentence)
})
