import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadMessage, putByte, writtenRow } from '../../std/arena.ts'
import { fieldEnd, fieldStart, readText } from '../../std/arena-json.ts'
import { InvalidMessage } from '../processor/invalid-message.ts'
import { CopiedColumns } from './copied-columns.ts'

const columns = new CopiedColumns(
  [
    { field: 'text', kind: 'string' },
    { field: 'renamed', kind: 'string', column: 'name' },
    { field: 'small', kind: 'u8', absent: '7', null: '8' },
    { field: 'count', kind: 'u32', absent: 'null', null: 'null' },
    { field: 'flag', kind: 'flag' },
    { field: 'id', kind: 'uuid' },
  ],
  { others: ['other'] },
)

const whole = fc.record(
  {
    text: fc.string({ unit: 'binary' }),
    renamed: fc.string(),
    small: fc.option(fc.nat(255)),
    count: fc.option(fc.nat()),
    flag: fc.boolean(),
    id: fc.uuid(),
    other: fc.string(),
    unknown: fc.jsonValue({ maxDepth: 2 }),
  },
  { requiredKeys: ['text', 'renamed', 'flag', 'id'] },
)
const space = fc.constantFrom('', '', '', ' ', '\n\t')
/** Of each member: its place among the others, the space around its tokens, whether its name has an escape. */
const looks = fc.array(fc.record({ place: fc.nat(), space, isEscaped: fc.boolean() }), {
  minLength: 8,
  maxLength: 8,
})

function put(json: string): unknown {
  const value = Buffer.from(json)
  loadMessage(value)
  putByte(0x7b)
  columns.putMessage(value)
  putByte(0x7d)
  const row = writtenRow().toString()
  assert.ok(!row.includes('\n'), 'A row is one line.')
  return JSON.parse(row.replace('{,', '{'))
}

test('the row is the same in every order of the fields, with space, and with names that have escapes', () => {
  fc.assert(
    fc.property(whole, looks, (message, look) => {
      const members = Object.entries(message)
        .map(([name, value], index) => ({ name, value, ...look[index] }))
        .toSorted((one, other) => (one.place ?? 0) - (other.place ?? 0))
        .map(({ name, value, space, isEscaped }) => {
          const code = name.charCodeAt(0).toString(16).padStart(4, '0')
          const key = isEscaped === true ? `"\\u${code}${name.slice(1)}"` : `"${name}"`
          return `${space}${key}${space}:${space}${JSON.stringify(value)}${space}`
        })
      const { text, renamed, small, count = null, flag, id, other } = message
      assert.deepEqual(put(`{${members.join(',')}}`), {
        ...{ text, name: renamed, flag: flag ? 1 : 0, id, count },
        small: small === undefined ? 7 : (small ?? 8),
      })
      const place = columns.set.names.indexOf('other')
      const start = fieldStart(columns.set.base, place)
      if (other === undefined) assert.equal(start, 0)
      else assert.equal(readText(start, fieldEnd(columns.set.base, place)), other)
    }),
    { numRuns: 500 },
  )
})

test('a field that is missing, null, twice, or of another kind is refused', () => {
  const right = { text: 'a', renamed: 'b', flag: true, id: 'f81d4fae7dec11d0a76500a0c91e6bf6' }
  assert.ok(put(JSON.stringify(right)))
  const wrong = [
    JSON.stringify({ ...right, flag: undefined }),
    JSON.stringify({ ...right, text: null }),
    JSON.stringify({ ...right, text: 1 }),
    JSON.stringify({ ...right, small: 256 }),
    JSON.stringify({ ...right, count: '1' }),
    JSON.stringify({ ...right, id: 'x' }),
    `{"text":"a",${JSON.stringify(right).slice(1)}`,
    JSON.stringify(right).slice(0, -1),
    `${JSON.stringify(right)}}`,
  ]
  for (const json of wrong) assert.throws(() => put(json), InvalidMessage, json)
  // What such a message left is not in the next row.
  assert.deepEqual(Object.keys(Object(put(JSON.stringify(right)))).length, 6)
})
