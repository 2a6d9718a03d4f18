import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IdTable } from './id-table.ts'
import { IdWindow } from './window.ts'

function words(number: number): Uint32Array {
  return Uint32Array.of(number, number >>> 16, 7, number * 3)
}

test('a table is a map under adding and removing, however full it is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 })), { maxLength: 300 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      (steps, seed) => {
        const table = new IdTable(seed, 16)
        const model = new Map<number, number>()
        for (const [index, [isAdding, number]] of steps.entries()) {
          if (isAdding && !model.has(number)) {
            const offset = index * 2 ** 33 + index
            table.add(words(number), 0, { placeIndex: number, offset })
            model.set(number, offset)
          } else if (!isAdding) assert.equal(table.remove(words(number), 0), model.delete(number))
        }
        assert.equal(table.size, model.size)
        for (let number = 0; number <= 40; number++) {
          const offset = model.get(number)
          const expected = offset === undefined ? undefined : { placeIndex: number, offset }
          assert.deepEqual(table.find(words(number), 0), expected)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('an id is remembered for the window and forgotten after it', () => {
  const window = new IdWindow({ windowMs: 8000, idsMax: 1_000_000 }, 1)
  for (let now = 0; now < 40_000; now += 100) {
    window.moveTo(now)
    window.add(words(now), 0, { placeIndex: 0, offset: now })
    for (let age = 0; age <= 8000 && age <= now; age += 500)
      assert.notEqual(window.find(words(now - age), 0), undefined, `${age} ms old at ${now}`)
    if (now > 10_000) assert.equal(window.find(words(now - 10_000), 0), undefined)
  }
  assert.ok(window.size <= 95)
})

test('beyond the number of ids the oldest go first, and memory stays bounded', () => {
  const idsMax = 80_000
  const window = new IdWindow({ windowMs: 1e12, idsMax }, 1)
  let memoryMax = 0
  for (let id = 0; id < 5 * idsMax; id++) {
    if (id % 100 === 0) window.moveTo(id)
    window.add(words(id), 0, { placeIndex: 0, offset: id })
    if (id % 1000 === 0) memoryMax = Math.max(memoryMax, window.memoryBytes)
  }
  window.moveTo(1)
  assert.ok(window.size <= idsMax && window.size > idsMax * 0.8, `${window.size} ids`)
  assert.notEqual(window.find(words(4.5 * idsMax), 0), undefined)
  assert.equal(window.find(words(3 * idsMax), 0), undefined)
  assert.ok(memoryMax < idsMax * 40, `${memoryMax / idsMax} bytes an id`)
})
