/** What every source of chance must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from './random.ts'

export function exerciseRandom(name: string, create: () => Random): void {
  test(`${name}: numbers lie in [0, 1) and spread over it`, () => {
    const random = create()
    const tenths = new Set<number>()
    for (let count = 0; count < 1000; count++) {
      const number = random.next()
      assert(number >= 0 && number < 1)
      tenths.add(Math.floor(number * 10))
    }
    assert.equal(tenths.size, 10)
  })

  test(`${name}: bytes have the length that was asked and do not repeat`, () => {
    const random = create()
    assert.equal(random.bytes(0).length, 0)
    assert.equal(random.bytes(33).length, 33)
    assert(!random.bytes(16).equals(random.bytes(16)))
  })
}
