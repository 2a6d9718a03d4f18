import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { compareEvents } from './compare-events.ts'

test('tells what is new, gone and another by its path', () => {
  const before = { event: 'a', properties: { old: 1, 'a b': 2, list: [1, { x: 1 }], same: { y: null } } }
  const after = {
    event: 'b',
    properties: { 'a b': '2', list: [1, { x: 2 }, 3], same: { y: null }, fresh: {} },
  }
  assert.deepEqual(compareEvents(before, after), [
    { kind: 'changed', path: 'event', before: 'a', after: 'b' },
    { kind: 'removed', path: 'properties.old', before: 1 },
    { kind: 'changed', path: 'properties["a b"]', before: 2, after: '2' },
    { kind: 'changed', path: 'properties.list[1].x', before: 1, after: 2 },
    { kind: 'added', path: 'properties.list[2]', after: 3 },
    { kind: 'added', path: 'properties.fresh', after: {} },
  ])
  assert.deepEqual(compareEvents({ a: [1] }, { a: { 0: 1 } }), [
    { kind: 'changed', path: 'a', before: [1], after: { 0: 1 } },
  ])
})

test('finds no change in what is equal, and one in what is not', () => {
  const json = fc.jsonValue().map((value): unknown => JSON.parse(JSON.stringify(value)))
  fc.assert(
    fc.property(json, json, (one, other) => {
      assert.deepEqual(compareEvents(one, structuredClone(one)), [])
      assert.equal(compareEvents(one, other).length === 0, isDeepStrictEqual(one, other))
    }),
  )
})
