import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { cityHash128 } from './city-hash.ts'
import { createBlockDecoder, createBlockEncoder, decodeBlock, encodeBlock } from './native-blocks.ts'

test('the hash of no bytes is the published one', () => {
  assert.equal(cityHash128(Buffer.alloc(0)).toString('hex'), '2b9ac064fc9df03d291ee592c340b53c')
})

test('any bytes survive packing and unpacking, whatever the pieces they come in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 5000 }),
      fc.integer({ min: 1, max: 700 }),
      async (bytes, size) => {
        const data = Buffer.from(bytes)
        const pieces = (whole: Buffer): Buffer[] =>
          Array.from({ length: Math.ceil(whole.length / size) }, (_, at) =>
            whole.subarray(at * size, (at + 1) * size),
          )
        const packed = await buffer(Readable.from(pieces(data)).pipe(createBlockEncoder()))
        const unpacked = await buffer(Readable.from(pieces(packed)).pipe(createBlockDecoder()))
        assert(unpacked.equals(data))
      },
    ),
    { numRuns: 50 },
  )
})

test('a block with a changed byte is refused', () => {
  const block = encodeBlock(Buffer.from('some data, some data, some data'))
  assert.equal(decodeBlock(block).toString(), 'some data, some data, some data')
  for (const at of [0, 17, 30]) {
    const broken = Buffer.from(block)
    broken.writeUInt8(broken.readUInt8(at) ^ 1, at)
    assert.throws(() => decodeBlock(broken), { codeName: 'INCORRECT_DATA' })
  }
})
