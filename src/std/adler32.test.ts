import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { Adler32 } from './adler32.ts'
import { loadMessage, messageStart } from './arena.ts'

/** zlib's own, which stands at the end of what it deflates. */
function expected(bytes: Uint8Array): number {
  return deflateSync(bytes).readUInt32BE(deflateSync(bytes).length - 4)
}

test('sums pieces of any length as zlib does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000, size: 'max' }), fc.nat(), (bytes, cut) => {
      const end = loadMessage(bytes)
      const middle = messageStart + (bytes.length === 0 ? 0 : cut % bytes.length)
      const sum = new Adler32()
      sum.piece(messageStart, middle)
      sum.piece(middle, end)
      assert.equal(sum.sum(), expected(bytes))
    }),
    { numRuns: 50 },
  )
})

test('adds an integer of 64 bits as eight bytes, and a text as UTF-8', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.string({ unit: 'grapheme' }),
      (value, text) => {
        const bytes = Buffer.alloc(8)
        bytes.writeBigUInt64LE(value)
        const sum = new Adler32()
        sum.text(text)
        sum.digits(messageStart, loadMessage(Buffer.from(value.toString())))
        assert.equal(sum.sum(), expected(Buffer.concat([Buffer.from(text), bytes])))
        sum.reset()
        assert.equal(sum.sum(), 1)
      },
    ),
  )
})
