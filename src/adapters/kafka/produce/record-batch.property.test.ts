import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c, Reader, type RecordsBatch, readRecordsBatches } from '@platformatic/kafka'
import fc from 'fast-check'
import { decodePartition } from '../consume/decode.ts'
import { packBatch, packedBytesOf, packHeaders, stampBatch } from './record-batch.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const record = fc.record({
  key: fc.option(bytes),
  value: bytes,
  headers: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.option(fc.string({ unit: 'grapheme' }))),
  timestampMs: fc.integer({ min: 0, max: 4e12 }),
})
const records = fc.array(record, { minLength: 1, maxLength: 20 })
const identity = fc.record({
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  epoch: fc.integer({ min: 0, max: 32_767 }),
  sequence: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  isTransactional: fc.boolean(),
})
const packing = fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd')

function read(batch: Buffer): RecordsBatch {
  const [only, ...others] = readRecordsBatches(Reader.from(batch))
  assert(only !== undefined && others.length === 0)
  return only
}

test('a batch that was packed is read back as it was, under the identity it was stamped with last', () => {
  fc.assert(
    fc.property(records, packing, identity, identity, (given, compression, first, last) => {
      const packable = given.map((each) => ({ ...each, headers: packHeaders(each.headers) }))
      const batch = packBatch(packable, compression)
      stampBatch(batch, first)
      stampBatch(batch, last)
      const found = read(batch)
      assert.equal(found.producerId, last.producerId)
      assert.equal(found.producerEpoch, last.epoch)
      assert.equal(found.firstSequence, last.sequence)
      assert.equal((found.attributes & 16) !== 0, last.isTransactional)
      assert.equal(found.crc, crc32c(batch.subarray(21)) >>> 0)
      assert.equal(found.length, batch.length - 12)
      const answer = {
        ...{ partitionIndex: 3, errorCode: 0, highWatermark: 0n, lastStableOffset: 0n, logStartOffset: 0n },
        ...{ abortedTransactions: null, preferredReadReplica: -1, records: [found] },
      }
      const decoded = decodePartition(answer, { topic: 't', from: 0 })
      assert.equal(decoded.nextOffset, given.length)
      assert.deepEqual(
        decoded.records.map(({ key, value, headers, timestampMs, offset }) => ({
          ...{ key, value, headers: { ...headers }, timestampMs, offset },
        })),
        given.map((each, offset) => ({ ...each, headers: { ...each.headers }, offset })),
      )
    }),
    { numRuns: 200 },
  )
})

test('a record is never larger than it was reckoned', () => {
  fc.assert(
    fc.property(records, (given) => {
      const packable = given.map((each) => ({ ...each, headers: packHeaders(each.headers) }))
      const reckoned = packable.reduce((sum, each) => sum + packedBytesOf(each), 0)
      assert(packBatch(packable, 'none').length - 61 <= reckoned)
    }),
  )
})
