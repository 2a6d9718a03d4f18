import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mapKeyed } from './map-keyed.ts'

const never = new AbortController().signal

test('results stand in the order of the items, keys keep their order, and the bound holds', async () => {
  const items = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), turns: fc.nat(3) }))
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 5 }), async (all, concurrencyMax) => {
      const finished = new Map<string, number>()
      let running = 0
      const results = await mapKeyed(all, { key: ({ key }) => key, concurrencyMax, signal: never }, work)
      assert.deepEqual(
        results,
        all.map((_, index) => index),
      )

      async function work({ key, turns }: { key: string; turns: number }, index: number): Promise<number> {
        running++
        assert(running <= concurrencyMax)
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
        assert(index > (finished.get(key) ?? -1))
        finished.set(key, index)
        running--
        return index
      }
    }),
    { numRuns: 50 },
  )
})

test('the first failure is thrown after all calls in flight have ended, and none begins after it', async () => {
  const begun: number[] = []
  let inFlight = 0
  const call = async (item: number) => {
    begun.push(item)
    inFlight++
    await new Promise((resolve) => setImmediate(resolve))
    inFlight--
    if (item === 1) throw new Error('item 1')
    return item
  }
  const options = { key: String, concurrencyMax: 2, signal: never }
  await assert.rejects(mapKeyed([0, 1, 2, 3, 4, 5], options, call), /item 1/)
  assert.equal(inFlight, 0)
  assert(begun.length < 6)
})
