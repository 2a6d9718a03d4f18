import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonFloat, parseLossless, parseLosslessText, stringifyLossless } from './lossless-json.ts'

test('integers beyond 2^53 keep every digit', () => {
  assert.deepEqual(parseLosslessText('{"a":140754042156678405338596152016658486649,"b":9007199254740993}'), {
    a: 140754042156678405338596152016658486649n,
    b: 9007199254740993n,
  })
})

test('a float with an integer value is told from the integer and printed with its fraction', () => {
  const value = parseLosslessText('[1,1.0,1e3,1.5,-0,10.00]')
  assert.deepEqual(value, [
    1,
    new JsonFloat(1),
    new JsonFloat(1000),
    1.5,
    new JsonFloat(-0),
    new JsonFloat(10),
  ])
  assert.equal(stringifyLossless(value), '[1,1.0,1000.0,1.5,-0.0,10.0]')
})

test('a number alone is read without loss too', () => {
  assert.deepEqual(parseLosslessText('1.0'), new JsonFloat(1))
  assert.equal(parseLosslessText('18446744073709551615'), 18446744073709551615n)
})

for (const [text, why] of [
  ['{"a":"\\ud800"}', /surrogate/],
  ['[1e400]', /out of range/],
  [`${'['.repeat(128)}${']'.repeat(128)}`, /nested/],
  ['{"a":1e3,}', /Expected a string/],
  ['[1e3 2]', /comma/],
  ['[1e3] x', /Expected the end/],
  ['{"a" 1e3}', /SyntaxError|colon|JSON/],
] as const)
  test(`${text.slice(0, 20)} is refused with what is wrong`, () => {
    assert.throws(
      () => parseLosslessText(text),
      (error: unknown) => error instanceof SyntaxError && why.test(error.message),
    )
  })

test('127 levels are read and the 128th is refused, whatever stands between the brackets', () => {
  const nest = (levels: number, open: string, close: string) =>
    `${open.repeat(levels)}0${close.repeat(levels)}`
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
    ['{"a]\\"}\\\\":1,"b":', '}'],
    ['["]}",', ',"["]'],
    [' [ "\\\\", ', ' ]'],
  ] as const) {
    parseLosslessText(nest(127, open, close))
    assert.throws(() => parseLosslessText(nest(128, open, close)), /nested deeper than 127/)
  }
  parseLosslessText(`[${'{"a":[1]},'.repeat(300)}0]`)
})

test('bytes that are no UTF-8 are refused', () => {
  assert.throws(() => parseLossless(Buffer.from([0x22, 0xff, 0x22])), /UTF-8/)
})

test('a key called __proto__ is only a key', () => {
  const value = parseLosslessText('{"__proto__":{"x":1e3}}')
  assert.deepEqual(Object.keys(value as object), ['__proto__'])
  assert.equal(({} as { x?: unknown }).x, undefined)
})

test('what JSON.stringify writes is read as JSON.parse reads it, and written back the same', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (text) => {
      const plain = (value: unknown): unknown =>
        JSON.parse(JSON.stringify(value, (_, part) => (part instanceof JsonFloat ? part.value : part)))
      const lossless = parseLosslessText(` ${text}`)
      if (!/\d{16}/.test(text)) assert.deepEqual(plain(lossless), plain(JSON.parse(text)))
      assert.deepEqual(parseLosslessText(stringifyLossless(lossless)), lossless)
    }),
  )
})
