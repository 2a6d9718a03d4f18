import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadMessage, messageStart, textOf } from './arena.ts'
import { fieldEnd, fieldStart, findMessageFields, foundLargeNumber, JsonFieldSet } from './arena-json.ts'
import { isI64, isU64, readFloat, readUnsigned } from './arena-numbers.ts'

const set = new JsonFieldSet(['a', 'b', 'long_name'])

/** The source of each field that was found. */
function find(text: string): Record<string, string> {
  findMessageFields(messageStart, loadMessage(Buffer.from(text)), set)
  const found: Record<string, string> = {}
  for (const [field, name] of set.names.entries())
    if (fieldStart(set.base, field) !== 0)
      found[name] = textOf(fieldStart(set.base, field), fieldEnd(set.base, field))
  return found
}

test('finds fields in any order and skips the others', () => {
  const text = ' { "x" : [1, {"a": 2}], "b":"t\\"x", "long_name" :\n{"a":[]} ,"a":-1.5e3 } '
  assert.deepEqual(find(text), { a: '-1.5e3', b: '"t\\"x"', long_name: '{"a":[]}' })
  assert.deepEqual(find('{}'), {})
  assert.deepEqual(find('{"\\u0061":null,"aa":1,"":2}'), { a: 'null' })
})

test('refuses what is no JSON, and says where', () => {
  for (const text of [
    '',
    '[]',
    '{"a":1',
    '{"a":1,}',
    '{"a" 1}',
    '{a:1}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":+1}',
    '{"a":tru}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"\\ud800"}',
    '{"a":"\\udc00"}',
    '{"a":[1,]}',
    '{"a":[1 2]}',
    '{"a":1}}',
    `{"a":${'['.repeat(200)}${']'.repeat(200)}}`,
  ])
    assert.throws(() => find(text), SyntaxError, text)
  assert.throws(() => find('{"a":x}'), { message: /at byte 5 of the JSON/ })
})

test('reads 127 levels and refuses the 128th', () => {
  const nest = (levels: number) => `{"x":${'[{"a":'.repeat(levels)}1${'}]'.repeat(levels)}}`
  find(nest(63))
  assert.throws(() => find(nest(63).replace('1', '[1]')), { message: /nested deeper than 127/ })
})

test('refuses a field that is there twice', () => {
  assert.throws(() => find('{"a":1,"b":2,"a":1}'), { message: 'The field a is there twice.' })
  assert.deepEqual(find('{"x":1,"x":2}'), {})
})

test('tells that a number is beyond the range of doubles', () => {
  find('{"x":[1e400]}')
  assert.equal(foundLargeNumber(), true)
  find(`{"x":[1e300,${'9'.repeat(305)}]}`)
  assert.equal(foundLargeNumber(), false)
  find(`{"x":[${'9'.repeat(400)}]}`)
  assert.equal(foundLargeNumber(), true)
})

test('agrees with JSON.parse about any object', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'long_name', 'x', 'y'), fc.jsonValue()),
      fc.constantFrom(undefined, 1, '\t'),
      (object, space) => {
        const found = find(JSON.stringify(object, undefined, space))
        for (const name of set.names)
          assert.deepEqual(
            found[name] === undefined ? undefined : JSON.parse(found[name]),
            name in object ? JSON.parse(JSON.stringify(object[name])) : undefined,
          )
      },
    ),
  )
})

test('accepts a damaged text only if JSON.parse does', () => {
  const damaged = fc
    .tuple(fc.jsonValue(), fc.nat(), fc.constantFrom('', '"', '\\', '{', ']', ',', '0', '\u0001', 'e'))
    .map(([value, place, by]) => {
      const text = JSON.stringify({ a: value })
      const at = place % text.length
      return text.slice(0, at) + by + text.slice(at + 1)
    })
  fc.assert(
    fc.property(damaged, (text) => {
      // Half pairs and the same name twice are JSON to V8.
      const isAccepted = accepts(() => find(text))
      if (isAccepted) assert.doesNotThrow(() => JSON.parse(text))
      else if (text.isWellFormed() && !text.includes('\\ud') && accepts(() => JSON.parse(text)))
        assert.throws(() => find(text), { message: /twice|an object/ })
    }),
    { numRuns: 1000 },
  )
})

function accepts(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}

test('numbers are read as exactly as V8 reads them', () => {
  const numbers = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }).map(String),
    fc.tuple(fc.nat(), fc.stringMatching(/^\d{1,25}$/)).map(([whole, digits]) => `${whole}.${digits}`),
  )
  fc.assert(
    fc.property(numbers, (text) => {
      const end = loadMessage(Buffer.from(text))
      assert.ok(Object.is(readFloat(messageStart, end), Number(text)), text)
      const integer = /^-?\d+$/.test(text) && text !== '-0' ? BigInt(text) : undefined
      assert.equal(isU64(messageStart, end), integer !== undefined && integer >= 0n && integer < 2n ** 64n)
      const isSigned = integer !== undefined && integer >= -(2n ** 63n) && integer < 2n ** 63n
      assert.equal(isI64(messageStart, end), isSigned)
      const isShort = integer !== undefined && integer >= 0n && integer <= 0xffffn
      assert.equal(readUnsigned(messageStart, end, 0xffff), isShort ? Number(text) : undefined)
    }),
    { numRuns: 2000 },
  )
})
