import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import lzString from 'lz-string'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { decodePayload } from './decode.ts'
import { normalizeDistinctId } from './distinct-id.ts'
import { unpackLzString } from './lz-string.ts'
import { readRequest } from './request.ts'
import { locateEvents, nestingMax } from './skim.ts'

const limits = { payloadBytesMax: 1_000_000 }
const spaced = fc.constantFrom('', ' ', '\n', '\t ')
const properties = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 8 })

/** JSON text with the spaces that `JSON.stringify` never writes. */
function write(value: unknown, space: string): string {
  if (Array.isArray(value))
    return `[${space}${value.map((item) => write(item, space)).join(`${space},${space}`)}${space}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).map(
    ([key, inner]) => `${JSON.stringify(key)}${space}:${space}${write(inner, space)}`,
  )
  return `{${space}${members.join(`${space},${space}`)}${space}}`
}

test('the text found for an event is the value that parsing finds', () => {
  const one = fc.record(
    { event: fc.string(), properties, $set: properties, distinct_id: fc.jsonValue(), other: fc.jsonValue() },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      fc.array(one, { maxLength: 5 }),
      spaced,
      fc.constantFrom('array', 'batch', 'object'),
      (events, space, shape) => {
        const value =
          shape === 'batch'
            ? { a: [1], batch: events, z: { batch: [] } }
            : shape === 'array'
              ? events
              : events[0]
        if (value === undefined) return
        const text = space + write(value, space) + space
        const located =
          shape === 'batch'
            ? locateEvents(text, 'object', 'batch')
            : locateEvents(text, shape === 'array' ? 'array' : 'object')
        const wanted = shape === 'object' ? events.slice(0, 1) : events
        assert.equal(located.length, wanted.length)
        for (const [index, texts] of located.entries()) {
          const event = wanted[index] ?? {}
          const read = (found: string | undefined) => (found === undefined ? undefined : JSON.parse(found))
          // Zero has no sign in JSON.stringify, and parsing what was written is the plain way.
          const plain = JSON.parse(JSON.stringify(event))
          assert.deepEqual(read(texts.properties), plain.properties)
          assert.deepEqual(read(texts.set), plain.$set)
          assert.deepEqual(read(texts.distinctId), plain.distinct_id)
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('of members with one name the last one counts, also when a name is written with escapes', () => {
  const text = String.raw`{"properties":{"a":1},"event":"e","prop\u0065rties":{"a":2}}`
  assert.equal(locateEvents(text, 'object')[0]?.properties, '{"a":2}')
  assert.deepEqual(JSON.parse(text).properties, { a: 2 })
})

test('what is nested deeper than the limit is refused, however deep', () => {
  const nested = (depth: number) => `{"event":"e","properties":${'['.repeat(depth)}${']'.repeat(depth)}}`
  assert.equal(locateEvents(nested(nestingMax), 'object').length, 1)
  for (const depth of [nestingMax + 1, 100_000])
    assert.throws(() => locateEvents(nested(depth), 'object'), /nested deeper/)
})

test('whatever the JSON, a request is read or refused, and never fails otherwise', () => {
  const field = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('token', '', null, true, 7, '0196a5c5-7b1c-7000-8000-000000000001'),
  )
  const event = fc.dictionary(
    fc.constantFrom(
      'event',
      'token',
      'api_key',
      'distinct_id',
      'uuid',
      'properties',
      'timestamp',
      'offset',
      '$set',
      'x',
    ),
    field,
  )
  const batch = fc.dictionary(
    fc.constantFrom('api_key', 'token', 'batch', 'sent_at', 'historical_migration'),
    fc.oneof(field, fc.array(event)),
  )
  fc.assert(
    fc.property(
      fc.oneof(event, batch, fc.array(event), fc.jsonValue()),
      fc.boolean(),
      (value, acceptsEngage) => {
        try {
          const request = readRequest(JSON.stringify(value), undefined, { acceptsEngage })
          assert.ok(request.events.length > 0)
          assert.ok(request.token.length > 0)
        } catch (error) {
          assert.ok(
            isRowmillError(error, 'EVENT_INVALID') || isRowmillError(error, 'TOKEN_INVALID'),
            String(error),
          )
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('every wrapping is taken off again', async () => {
  const wraps: ((text: string) => { body: Buffer; queryText?: string; form?: boolean })[] = [
    (text) => ({ body: Buffer.from(text) }),
    (text) => ({ body: gzipSync(text) }),
    (text) => ({ body: Buffer.from(Buffer.from(text).toString('base64')) }),
    (text) => ({ body: Buffer.from(gzipSync(text).toString('base64')) }),
    (text) => ({ body: Buffer.from(lzString.compressToBase64(text)), queryText: 'compression=lz64' }),
    (text) => ({ body: Buffer.alloc(0), queryText: `data=${encodeURIComponent(text)}` }),
    (text) => ({
      body: Buffer.from(`data=${encodeURIComponent(Buffer.from(text).toString('base64'))}`),
      queryText: 'compression=base64',
      form: true,
    }),
  ]
  const value = fc.record({ event: fc.string({ unit: 'grapheme' }), properties })
  await fc.assert(
    fc.asyncProperty(value, fc.constantFrom(...wraps), async (sent, wrap) => {
      const text = JSON.stringify(sent)
      const { body, queryText = '', form } = wrap(text)
      const headers = form === true ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
      const payload = await decodePayload({ body, queryText, headers }, limits, { unwrapsTwice: true })
      assert.deepEqual(JSON.parse(payload.text), JSON.parse(text))
    }),
  )
})

test('lz-string is read as its own package reads it', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.constantFrom('ab', 'a', 'é'), { maxLength: 400 }).map((all) => all.join('')),
      ),
      (text) => {
        assert.deepEqual(unpackLzString(lzString.compressToBase64(text), 1_000_000), { ok: true, text })
      },
    ),
  )
})

test('broken lz-string ends, and what would unpack to too much is refused early', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const unpacked = unpackLzString(text, 10_000)
      assert.ok(unpacked.ok ? unpacked.text.length <= 10_000 : true)
    }),
  )
  const bomb = lzString.compressToBase64('a'.repeat(100_000))
  assert.deepEqual(unpackLzString(bomb, 1000), { ok: false, reason: 'too-large' })
})

test('a distinct id is text of at most 200 code points, or none', () => {
  assert.equal(normalizeDistinctId('  anna  '), '  anna  ')
  assert.equal(normalizeDistinctId(23), '23')
  assert.equal(normalizeDistinctId(23.4, '23.4'), '23.4')
  assert.equal(normalizeDistinctId(true), 'true')
  assert.equal(normalizeDistinctId(['a', 'b']), '["a","b"]')
  assert.equal(normalizeDistinctId({ string: 'a', number: 3 }), '{"number":3,"string":"a"}')
  assert.equal(normalizeDistinctId('a\0b'), 'a\uFFFDb')
  assert.equal(normalizeDistinctId('\u{1f600}'.repeat(250)), '\u{1f600}'.repeat(200))
  assert.equal(normalizeDistinctId('€'.repeat(150)), '€'.repeat(150))
  for (const none of [undefined, null, '', ' \t\n']) assert.equal(normalizeDistinctId(none), undefined)
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const id = normalizeDistinctId(value)
      assert.ok(id === undefined || [...id].length <= 200)
    }),
  )
})
