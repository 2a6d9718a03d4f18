import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBatch } from './batch.ts'
import { injectProperties } from './properties.ts'

const uuid = '0198c0de-0000-7000-8000-000000000abc'
const spaces = fc.constantFrom('', ' ', '\n\t ', '\r\n')
const jsonObject = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())

/** The JSON text of a value with blanks wherever they may stand. */
function spaced(value: unknown, blank: string): string {
  if (Array.isArray(value))
    return `[${blank}${value.map((item) => spaced(item, blank)).join(`${blank},${blank}`)}${blank}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}${blank}:${blank}${spaced(item, blank)}`,
  )
  return `{${blank}${members.join(`${blank},${blank}`)}${blank}}`
}

test('the raw properties of each event are exactly the text that stood in the body', () => {
  const events = fc.array(
    fc.record({
      properties: fc.option(jsonObject, { nil: undefined }),
      other: fc.jsonValue(),
      quoted: fc.string(),
    }),
    { minLength: 1, maxLength: 5 },
  )
  fc.assert(
    fc.property(events, spaces, (list, blank) => {
      const texts = list.map(({ properties }) =>
        properties === undefined ? undefined : spaced(properties, blank),
      )
      const items = list.map(({ other, quoted }, index) => {
        const members = [
          `"uuid":"${uuid}"`,
          `"other"${blank}:${spaced({ properties: other }, blank)}`,
          `${JSON.stringify(`x${quoted}`)}:1`,
        ]
        if (texts[index] !== undefined)
          members.splice(index % 3, 0, `"properties"${blank}:${blank}${texts[index]}`)
        return `{${members.join(`${blank},`)}}`
      })
      const body = `${blank}{"junk":{"batch":[{"properties":{"no":1}}]},"created_at":"2026-01-01T00:00:00Z",${blank}"batch":[${items.join(`${blank},${blank}`)}]${blank}}`
      const batch = parseBatch(Buffer.from(body))
      assert.deepEqual(
        batch.events.map(({ properties }) => properties),
        texts.map((text) => text ?? '{}'),
      )
    }),
  )
})

test('of equal keys the last counts, escaped keys are keys, as in JSON.parse', () => {
  const event = `{"uuid":"a","properties":{"a":1},"pro\\u0070erties":{"a":2}}`
  const body = `{"created_at":"2026-01-01T00:00:00Z","batch":[{"properties":{"lost":1}}],"b\\u0061tch":[${event},{"uuid":"b","properties":"text } ] \\\\"}]}`
  assert.deepEqual(
    parseBatch(Buffer.from(body)).events.map(({ properties }) => properties),
    ['{"a":2}', '"text } ] \\\\"'],
  )
})

test('injected properties win, and everything else stays as it was', () => {
  const text = fc.option(fc.string(), { nil: undefined })
  const injections = fc.record({
    sessionId: text,
    windowId: text,
    options: fc.record(
      {
        cookielessMode: fc.boolean(),
        disableSkewCorrection: fc.boolean(),
        processPersonProfile: fc.boolean(),
        productTourId: fc.string(),
      },
      { requiredKeys: [] },
    ),
    sdk: fc.option(fc.record({ lib: fc.string(), version: fc.string() }), { nil: undefined }),
  })
  const names = [
    '$session_id',
    '$window_id',
    '$lib',
    '$lib_version',
    '$cookieless_mode',
    '$process_person_profile',
  ] as const
  const properties = fc
    .tuple(jsonObject, fc.subarray([...names]))
    .map(([object, taken]) => ({ ...object, ...Object.fromEntries(taken.map((name) => [name, 'client'])) }))
  fc.assert(
    fc.property(properties, injections, spaces, (given, injected, blank) => {
      const raw = spaced(given, blank)
      const result: unknown = JSON.parse(injectProperties(raw, injected))
      const wanted = {
        $session_id: injected.sessionId,
        $window_id: injected.windowId,
        $cookieless_mode: injected.options.cookielessMode,
        $ignore_sent_at: injected.options.disableSkewCorrection,
        $product_tour_id: injected.options.productTourId,
        $process_person_profile: injected.options.processPersonProfile,
        $lib: injected.sdk?.lib,
        $lib_version: injected.sdk?.version,
      }
      const expected = new Map<string, unknown>(Object.entries(JSON.parse(raw)))
      for (const [key, value] of Object.entries(wanted)) if (value !== undefined) expected.set(key, value)
      assert.ok(result !== null && typeof result === 'object')
      assert.deepEqual(new Map(Object.entries(result)), expected)
    }),
  )
})

test('garbage in any place is a V1Error, never anything else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (body) => {
        try {
          parseBatch(Buffer.from(body))
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'V1Error', String(error))
        }
      },
    ),
  )
})

test('nesting of 100 000 levels is cut out like anything else', () => {
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const body = `{"created_at":"2026-01-01T00:00:00Z","batch":[{"uuid":"${uuid}","properties":${deep}}]}`
  const [event] = parseBatch(Buffer.from(body)).events
  assert.equal(event?.properties, deep)
  assert.equal(event?.nesting, 100_001)
})
