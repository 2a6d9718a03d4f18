import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { placeBlobs, readAiForm } from './ai-event.ts'
import { isAiEvent } from './ai-lane.ts'
import { aiConfigSchema } from './config.ts'
import { type FormPart, parseMultipart, readBoundary } from './multipart.ts'
import { parsePropertyPath, setAtPath } from './property-path.ts'

const config = aiConfigSchema.parse({})

function part(name: string, content: string | object, contentType?: string): FormPart {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return { name, contentType, contentEncoding: undefined, bytes: Buffer.from(text) }
}

const event = { event: '$ai_generation', distinct_id: 'd' }
const properties = { $ai_model: 'm' }
const good = part('event', { ...event, properties })
const blob = part('event.properties.$ai_input', 'blob', 'text/plain; charset=utf-8')

test('a multipart body comes apart into the parts that it was made of', () => {
  const parts = fc.array(
    fc.record({
      name: fc.stringMatching(/^[a-z$._[\]0-9]{1,20}$/),
      bytes: fc.uint8Array({ maxLength: 200 }),
      type: fc.option(fc.constantFrom('text/plain', 'application/json'), { nil: undefined }),
      encoding: fc.option(fc.constant('gzip'), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(parts, fc.constantFrom('', 'preamble\r\n'), (list, preamble) => {
      const chunks = list.map(({ name, bytes, type, encoding }) => {
        const headers = [`Content-Disposition: form-data; name="${name}"`]
        if (type !== undefined) headers.push(`content-type:${type}`)
        if (encoding !== undefined) headers.push(`Content-Encoding: ${encoding}`)
        return Buffer.concat([
          Buffer.from(`--b-b\r\n${headers.join('\r\n')}\r\n\r\n`),
          bytes,
          Buffer.from('\r\n'),
        ])
      })
      const body = Buffer.concat([Buffer.from(preamble), ...chunks, Buffer.from('--b-b--\r\n')])
      const found = parseMultipart(body, readBoundary('multipart/form-data; boundary="b-b"'), 10)
      assert.deepEqual(
        found.map(({ name, contentType, contentEncoding, bytes }) => [
          name,
          contentType,
          contentEncoding,
          [...bytes],
        ]),
        list.map(({ name, type, encoding, bytes }) => [name, type, encoding, [...bytes]]),
      )
    }),
  )
})

test('anything that is no multipart body is refused with a MultipartError', () => {
  const bodies = fc.oneof(
    fc.string(),
    fc
      .array(
        fc.constantFrom('--b', '\r\n', '--', 'Content-Disposition: form-data; name="x"', 'x', '\r\n\r\n'),
        { maxLength: 20 },
      )
      .map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(bodies, (text) => {
      try {
        parseMultipart(Buffer.from(text), 'b', 10)
      } catch (error) {
        assert.ok(error instanceof Error && error.name === 'MultipartError', String(error))
      }
    }),
  )
  assert.throws(() => readBoundary('multipart/form-data'), { name: 'MultipartError' })
  const many = Buffer.from(`${'--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n'.repeat(3)}--b--`)
  assert.equal(parseMultipart(many, 'b', 3).length, 3)
  assert.throws(() => parseMultipart(many, 'b', 2), /more than 2 parts/)
})

const refused: readonly [string, FormPart[], 400 | 413, RegExp][] = [
  ['no part', [], 400, /first part/],
  ['a blob first', [blob, good], 400, /first part must be 'event'/],
  ['an event that is no JSON', [part('event', '{')], 400, /must be JSON/],
  ['an event that is no object', [part('event', '[]')], 400, /JSON object/],
  ['an event that is too large', [part('event', { ...event, x: 'x'.repeat(40_000) })], 413, /the event part/],
  [
    'properties that are too large',
    [part('event', event), part('event.properties', { ...properties, x: 'x'.repeat(983_040) })],
    413,
    /event and properties/,
  ],
  [
    'parts that are too large together',
    [good, { ...blob, bytes: Buffer.alloc(26_214_400) }],
    413,
    /all parts/,
  ],
  ['properties twice', [good, part('event.properties', properties)], 400, /both embedded/],
  [
    'two properties parts',
    [part('event', event), part('event.properties', properties), part('event.properties', properties)],
    400,
    /duplicate/,
  ],
  ['another name', [part('event', { ...event, event: '$pageview', properties })], 400, /\$ai_/],
  ['a number as distinct id', [part('event', { ...event, distinct_id: 1, properties })], 400, /distinct_id/],
  ['no model', [part('event', event)], 400, /\$ai_model/],
  ['an empty model', [part('event', { ...event, properties: { $ai_model: '' } })], 400, /\$ai_model/],
  ['a number as uuid', [part('event', { ...event, uuid: 1, properties })], 400, /uuid/],
  ['an unknown part', [good, part('file', 'x', 'text/plain')], 400, /unknown part 'file'/],
  ['a blob twice', [good, blob, blob], 400, /duplicate blob/],
  ['a blob without a type', [good, part('event.properties.a', 'x')], 400, /Content-Type/],
  ['a blob of another type', [good, part('event.properties.a', 'x', 'image/png')], 400, /Content-Type/],
  ['an empty blob', [good, part('event.properties.a', '', 'text/plain')], 400, /empty/],
  ['a blob with a broken path', [good, part('event.properties.a..b', 'x', 'text/plain')], 400, /no path/],
]
for (const [name, parts, status, message] of refused)
  test(`${name} is refused with ${status}`, () => {
    assert.throws(
      () => readAiForm(parts, config),
      (error: unknown) =>
        isRowmillError(error) && error.entry.status === status && message.test(error.message),
    )
  })

test('blobs become references to their ranges of bytes', () => {
  const nested = part('event.properties.messages[1].content', 'second', 'application/octet-stream')
  const form = readAiForm([part('event', event), part('event.properties', properties), blob, nested], config)
  placeBlobs(form, 'blobs://ai/phc_a/uuid')
  assert.deepEqual(form.properties, {
    $ai_model: 'm',
    $ai_input: 'blobs://ai/phc_a/uuid?range=0-3',
    messages: [null, { content: 'blobs://ai/phc_a/uuid?range=4-9' }],
  })
})

test('paths are strict, bounded, and make what is missing', () => {
  for (const wrong of [
    '',
    '[0]',
    '.a',
    'a..b',
    'a[]',
    'a[x]',
    'a[-1]',
    'a[1000]',
    'a[0',
    'a.',
    `a${'.b'.repeat(40)}`,
  ])
    assert.equal(parsePropertyPath(wrong), undefined, wrong)
  const path = parsePropertyPath('__proto__.polluted')
  assert.ok(path !== undefined)
  const target: Record<string, unknown> = {}
  setAtPath(target, path, 1)
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  assert.equal(JSON.stringify(target), '{"__proto__":{"polluted":1}}')
})

test('the AI lane takes the known names, or everything with the prefix', () => {
  assert.ok(isAiEvent('$ai_generation', 'allowlist'))
  assert.ok(!isAiEvent('$ai_mine', 'allowlist'))
  assert.ok(isAiEvent('$ai_mine', 'prefix'))
  assert.ok(!isAiEvent('$pageview', 'prefix'))
})
