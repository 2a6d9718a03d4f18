import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPersonCache } from './person-cache.ts'
import type { StoredPerson } from './person-state.ts'

function person(id: string, version: number, bytes = 10): StoredPerson {
  const rest = { uuid: id, teamId: 1, createdAtMs: 0, isIdentified: false, lastSeenAtMs: undefined }
  return { ...rest, id, version, properties: {}, propertiesText: 'x'.repeat(bytes) }
}

test('a person is found in the version that the database has, and in no other', () => {
  const cache = createPersonCache(10_000)
  cache.put(person('1', 3))
  assert.equal(cache.get('1', 3)?.version, 3)
  assert.equal(cache.get('1', 4), undefined)
  assert.equal(cache.get('2', 3), undefined)
})

test('persons that were not used for long make room, and one that is larger than the cache is not kept', () => {
  const cache = createPersonCache(4_000)
  for (const id of ['1', '2', '3', '4']) cache.put(person(id, 0, 1_000))
  assert.deepEqual(
    ['1', '2', '3', '4'].map((id) => cache.get(id, 0) !== undefined),
    [false, true, true, true],
  )
  cache.put(person('5', 0, 10_000))
  assert.equal(cache.get('5', 0), undefined)
})

test('without room nothing is kept', () => {
  const cache = createPersonCache(0)
  cache.put(person('1', 0))
  assert.equal(cache.get('1', 0), undefined)
})
