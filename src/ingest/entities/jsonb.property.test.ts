import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { isSameJson, toJsonb } from './jsonb.ts'

const anyJson = fc.jsonValue({ stringUnit: 'binary' })
const anyObject = fc.dictionary(fc.string({ unit: 'binary' }), anyJson)

test('two values are the same exactly if they are deeply equal', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (left, right) => {
      const plain: unknown = JSON.parse(JSON.stringify(left))
      assert.equal(isSameJson(left, plain), true)
      const expected = isDeepStrictEqual(plain, JSON.parse(JSON.stringify(right)))
      assert.equal(isSameJson(plain, right), expected)
    }),
  )
})

test('the order of keys means nothing, the order of elements does', () => {
  assert.equal(isSameJson({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }), true)
  assert.equal(isSameJson([1, 2], [2, 1]), false)
  assert.equal(isSameJson([], {}), false)
  assert.equal(isSameJson({ a: undefined }, { b: undefined }), false)
})

test('text for jsonb has neither NUL nor half a surrogate pair, and all else is kept', () => {
  fc.assert(
    fc.property(anyObject, (properties) => {
      const { text, properties: clean } = toJsonb(properties)
      assert.equal(JSON.stringify(clean), text)
      const whole = JSON.stringify(properties)
      const isTroubled = /[\0]|\p{Surrogate}/u.test(flatten(properties))
      assert.equal(text === whole, !isTroubled)
      assert.doesNotMatch(flatten(JSON.parse(text)), /[\0]|\p{Surrogate}/u)
    }),
  )
})

/** All keys and texts of a value, one after the other. */
function flatten(value: unknown): string {
  if (typeof value === 'string') return `${value} `
  if (typeof value !== 'object' || value === null) return ''
  return Object.entries(value)
    .map(([key, inner]) => `${key} ${flatten(inner)}`)
    .join('')
}
