import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs/minimal.js'
import { minimise } from './minimise.ts'
import { mutateBinary } from './mutate-binary.ts'
import { createSeededRandom } from './seeded-random.ts'

/** `1: varint, 2: text, 3: { 1: fixed64, 2: text }` twice. */
function message(): Buffer {
  const inner = protobuf.Writer.create().uint32(9).fixed64(7).uint32(18).string('inner').finish()
  const writer = protobuf.Writer.create().uint32(8).uint64(300).uint32(18).string('outer')
  return Buffer.from(writer.uint32(26).bytes(inner).uint32(26).bytes(inner).finish())
}

function canBeRead(bytes: Buffer): boolean {
  const reader = protobuf.Reader.create(bytes)
  try {
    while (reader.pos < reader.len) reader.skipType(reader.uint32() & 7)
    return true
  } catch {
    return false
  }
}

test('most changed messages can still be read, all are the same for the same seed', () => {
  const made = (seed: number) => {
    const random = createSeededRandom(seed)
    return Array.from({ length: 500 }, () => mutateBinary(message(), random))
  }
  assert.deepEqual(made(1), made(1))
  const readable = made(1).filter(canBeRead).length
  assert.ok(readable > 350 && readable < 500, `${readable} of 500 can be read`)
  assert.ok(new Set(made(1).map((bytes) => bytes.toString('hex'))).size > 200)
})

test('a message is made smaller field by field, inner ones too', () => {
  const holds = (bytes: Buffer) => canBeRead(bytes) && bytes.includes('inner')
  const inner = protobuf.Writer.create().uint32(18).string('inner').finish()
  const smallest = protobuf.Writer.create().uint32(26).bytes(inner).finish()
  assert.deepEqual(minimise(message(), { holds, triesMax: 60 }), Buffer.from(smallest))
})

test('bytes that are no message are changed too, down to none', () => {
  const random = createSeededRandom(2)
  for (let round = 0; round < 500; round++) mutateBinary(random.bytes(round % 40), random)
})
