import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMergeableId, storableId, textOf } from './mergeable-id.ts'

test('ids that stem from mistakes are not merged, in any case and in quotes', () => {
  for (const id of [
    '',
    '   ',
    'anonymous',
    'GUEST',
    '"undefined"',
    "'email'",
    'uNdEfInEd',
    'Distinct_Id',
    'true',
  ])
    assert.equal(isMergeableId(id), false, id)
})

test('some of them are mistakes only as they are written', () => {
  for (const id of ['NaN', 'None', 'none', 'null', '0', '[object Object]', '"0"', "'null'"])
    assert.equal(isMergeableId(id), false, id)
  for (const id of ['nan', 'NONE', 'Null', '00', '[object object]']) assert.equal(isMergeableId(id), true, id)
})

test('what cannot be stored cannot be merged', () => {
  assert.equal(isMergeableId('a\0b'), false)
  assert.equal(isMergeableId('x'.repeat(400)), true)
  assert.equal(isMergeableId('x'.repeat(401)), false)
  assert.equal(isMergeableId('\u{1F600}'.repeat(400)), true)
  assert.equal(isMergeableId('\u{1F600}'.repeat(401)), false)
})

test('an id that PostgreSQL would refuse or change gets a form that it keeps', () => {
  assert.equal(storableId('plain'), 'plain')
  assert.equal(storableId('a\0b\uD800c'), 'a\uFFFDb\uFFFDc')
})

test('an id that is no text becomes one, whatever its parts call themselves', () => {
  const values: [unknown, string][] = [
    [7, '7'],
    [true, 'true'],
    [null, 'null'],
    [['a', 1], 'a,1'],
    [{ toString: 1, valueOf: 2 }, '[object Object]'],
    [[{ toString: 1 }], '[object Object]'],
  ]
  for (const [value, text] of values) assert.equal(textOf(value), text)
})
