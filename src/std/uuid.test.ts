import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createUuidSource, isUuid, parseUuid, uuidV4, uuidV5, uuidV7 } from './uuid.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

test('a v4 and a v7 UUID carry their version and variant', () => {
  fc.assert(
    fc.property(bytes(16), fc.integer({ min: -1e15, max: 1e15 }), (random, ms) => {
      assert.match(uuidV4(random), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.match(
        uuidV7(ms, random),
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      )
    }),
  )
})

test('a v7 UUID begins with its time, floored at the epoch', () => {
  const random = new Uint8Array(10)
  assert.equal(uuidV7(0x0123456789ab, random).slice(0, 13), '01234567-89ab')
  assert.equal(uuidV7(-5, random).slice(0, 13), '00000000-0000')
})

test('a v5 UUID is that of the standard', () => {
  assert.equal(
    uuidV5('www.example.com', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
    '2ed6657d-e927-568b-95e1-2665a8aea6a2',
  )
})

test('every written form of a UUID is read as the usual one', () => {
  const usual = '550e8400-e29b-41d4-a716-446655440000'
  for (const form of [
    usual,
    usual.toUpperCase(),
    usual.replaceAll('-', ''),
    `{${usual}}`,
    `urn:uuid:${usual}`,
  ])
    assert.equal(parseUuid(form), usual)
  for (const form of ['', 'no', usual.slice(1), `${usual}0`, `{${usual}`, usual.replace('5', 'g')])
    assert.equal(parseUuid(form), undefined)
})

test('a source gives other UUIDs every time, across its blocks', () => {
  let calls = 0
  const source = createUuidSource((length) => {
    calls++
    const block = Buffer.alloc(length)
    for (let at = 0; at + 4 <= length; at += 4) block.writeUInt32LE(calls * 100_000 + at, at)
    return block
  })
  const seen = new Set(Array.from({ length: 1000 }, () => source.v7(5)))
  assert.equal(seen.size, 1000)
  assert.ok([...seen].every(isUuid))
})
