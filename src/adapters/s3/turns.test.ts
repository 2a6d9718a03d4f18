import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurns } from './turns.ts'

const never = new AbortController().signal

test('no more than allowed run at once, in the order of their coming', async () => {
  const turns = createTurns({ max: 2, waitingMax: 100 })
  const order: number[] = []
  let running = 0
  let most = 0
  const call = async (number: number): Promise<void> => {
    order.push(number)
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    if (number % 5 === 0) throw new Error('failed')
  }
  await Promise.allSettled(Array.from({ length: 40 }, (_, number) => turns.take(() => call(number), never)))
  assert.equal(most, 2)
  assert.deepEqual(
    order,
    Array.from({ length: 40 }, (_, number) => number),
  )
})

test('one that is given up while it waits never runs, and takes no turn', async () => {
  const turns = createTurns({ max: 1, waitingMax: 1 })
  const held = Promise.withResolvers<void>()
  const first = turns.take(() => held.promise, never)
  const abort = new AbortController()
  const second = turns.take(() => assert.fail('It ran.'), abort.signal)
  await assert.rejects(
    turns.take(async () => {}, never),
    { code: 'BLOBS_UNAVAILABLE' },
  )
  abort.abort(new Error('given up'))
  await assert.rejects(second, /given up/)
  const third = turns.take(async () => 'third', never)
  held.resolve()
  await first
  assert.equal(await third, 'third')
  assert.equal(await turns.take(async () => 'fourth', never), 'fourth')
})
