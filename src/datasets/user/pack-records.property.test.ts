import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { LogRecord } from '../../ports/log.ts'
import { packRecords, transferOfRecords, unpackRecords } from './pack-records.ts'

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
const records: fc.Arbitrary<LogRecord> = fc.record(
  {
    topic: fc.constantFrom('a', 'b'),
    partition: fc.nat({ max: 2 }),
    offset: fc.maxSafeNat(),
    timestampMs: fc.nat(),
    key: fc.option(bytes),
    value: bytes,
    headers: fc.dictionary(fc.string(), fc.option(fc.string()), { maxKeys: 2, noNullPrototype: true }),
  },
  { noNullPrototype: true },
)

test('records come out of the other thread as they went in, and their memory is moved', () => {
  fc.assert(
    fc.property(fc.array(records), (sent) => {
      const packed = packRecords(sent)
      const moved = structuredClone(packed, { transfer: transferOfRecords(packed) })
      assert.deepEqual(unpackRecords(moved), sent)
      assert.equal(packed.bytes.length, 0)
    }),
  )
})
