import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { groupBySlot, slotOf } from './slots.ts'
import { decodeText, encodeText } from './text.ts'

test('every text comes back, and well-formed ones are plain UTF-8', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  )
  fc.assert(
    fc.property(anyText, (text) => {
      assert.equal(decodeText(encodeText(text)), text)
      if (text.isWellFormed()) assert.deepEqual(encodeText(text), Buffer.from(text))
    }),
  )
})

test('bytes that are no text at all are read without an error', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof decodeText(Buffer.from(bytes)) === 'string'))
})

test('slots are those of the cluster specification', () => {
  assert.equal(slotOf(Buffer.from('123456789')), 0x31c3)
  assert.equal(slotOf(Buffer.from('{user1000}.following')), slotOf(Buffer.from('{user1000}.followers')))
  assert.equal(slotOf(Buffer.from('foo{{bar}}zap')), slotOf(Buffer.from('{bar')))
  assert.notEqual(slotOf(Buffer.from('foo{}{bar}')), slotOf(Buffer.from('bar')))
  const keys = ['a', '{x}1', 'b', '{x}2', 'a'].map((key) => Buffer.from(key))
  assert.deepEqual(groupBySlot(keys), [[0, 4], [1, 3], [2]])
})
