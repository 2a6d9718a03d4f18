import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '../../../test/support/seeded-random.ts'
import { exerciseRandom } from '../../ports/random.contract.ts'
import { createSystemRandom } from './random.ts'

exerciseRandom('system random', createSystemRandom)
exerciseRandom('seeded random', createSeededRandom)

test('the same seed gives the same chance', () => {
  const [left, right, other] = [createSeededRandom(7), createSeededRandom(7), createSeededRandom(8)]
  assert.equal(left.next(), right.next())
  assert.deepEqual(left.bytes(9), right.bytes(9))
  assert.notDeepEqual(left.bytes(9), other.bytes(9))
})
