import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NewRecord } from '../../ports/log.ts'
import { decodeObject, encodeRecords, joinObject } from './object-format.ts'

const record: fc.Arbitrary<NewRecord> = fc.record(
  {
    topic: fc.stringMatching(/^[a-z_]{1,20}$/),
    partition: fc.nat(10),
    key: fc.oneof(
      fc.constant(null),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    ),
    value: fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
    ),
    // The names of headers are the program's own; none of them is that of a prototype.
    headers: fc.dictionary(
      fc.stringMatching(/^[a-z][a-z_]{0,9}$/),
      fc.option(fc.string({ unit: 'grapheme' }), { nil: null }),
    ),
  },
  { requiredKeys: ['topic', 'key', 'value'] },
)
const plain = ({ headers, ...rest }: NewRecord) => ({
  ...rest,
  ...(headers === undefined ? {} : { headers: { ...headers } }),
})

test('an object gives back the records of all its requests, byte for byte and in order', () => {
  const requests = fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(requests, (given) => {
      const object = joinObject(given.map(encodeRecords))
      assert.deepEqual(decodeObject(object)?.map(plain), given.flat().map(plain))
    }),
  )
})

test('bytes that are no whole object are told apart', () => {
  const object = joinObject([encodeRecords([{ topic: 't', key: null, value: Buffer.from('{}') }])])
  for (let until = 0; until < object.length; until++)
    assert.equal(decodeObject(object.subarray(0, until)), undefined, `cut at ${until}`)
  fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeObject(Buffer.from(bytes)) === undefined))
})
