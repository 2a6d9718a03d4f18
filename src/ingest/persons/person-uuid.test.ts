import assert from 'node:assert/strict'
import { test } from 'node:test'
import { personUuid } from './person-uuid.ts'

test('a person has the version 5 uuid of its team and distinct id', () => {
  assert.equal(personUuid(1, 'somebody'), '8311c3ed-5ff5-507e-898e-d0148de0ac94')
  assert.equal(personUuid(42, 'ünï çødé'), '64d3918b-378e-5463-8bb9-1750e603976e')
})

test('another team or another id is another person', () => {
  assert.notEqual(personUuid(1, 'somebody'), personUuid(2, 'somebody'))
  assert.notEqual(personUuid(1, 'somebody'), personUuid(1, 'Somebody'))
})
