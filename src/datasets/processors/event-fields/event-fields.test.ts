import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { JsonFloat, parseLosslessText } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { parseEventTime } from './datetime.ts'
import { parseIpAddress } from './ip-address.ts'
import { jsonPathAt } from './json-path.ts'
import { JsonScanner } from './json-scanner.ts'
import { createKeyTable } from './key-table.ts'
import { pyUuid } from './python-fields.ts'
import { requireTime, timeText, wholeMs } from './python-time.ts'
import { pyText } from './python-value.ts'
import { sortedJson } from './unicodify.ts'

suite('addresses', () => {
  const valid = [
    ['192.0.2.1', '192.0.2.1'],
    ['::', '::'],
    ['0:0:0:1:0:0:0:0', '0:0:0:1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::1.2.3.4', '::102:304'],
  ] as const
  for (const [text, printed] of valid)
    test(`${text} is printed ${printed}`, () => assert.equal(parseIpAddress(text)?.text, printed))
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    'fe80::1%eth0',
    '1.2.3.4::',
  ])
    test(`"${text}" is none`, () => assert.equal(parseIpAddress(text), undefined))
})

suite('times', () => {
  for (const text of [
    '2024-02-29T23:59:59.999Z',
    '1970-01-01T00:00:00.000Z',
    '2000-03-01T12:00:00.001Z',
    '1900-02-28T00:00:00.000Z',
    '9999-12-31T23:59:59.000Z',
  ])
    test(`${text} is what Date says`, () => assert.equal(parseEventTime(text), Date.parse(text)))
  for (const text of [
    '2023-02-29T00:00:00Z',
    '2023-13-01T00:00:00Z',
    '2023-01-01T24:00:00Z',
    '2023-01-01T00:00:00',
    '',
  ])
    test(`"${text}" is none`, () => assert.equal(parseEventTime(text), undefined))
  test('digits beyond the ms are cut off', () =>
    assert.equal(parseEventTime('2023-01-01T00:00:00.123999Z'), 1_672_531_200_123))
  test('seconds are rounded to microseconds as Python does', () => {
    assert.equal(requireTime(new JsonFloat(0.0000005), ''), 0)
    assert.equal(requireTime(new JsonFloat(0.0000015), ''), 2)
    assert.equal(requireTime(new JsonFloat(0.0000025), ''), 2)
    assert.equal(requireTime(new JsonFloat(-0.25), ''), -250_000)
    assert.equal(wholeMs(1_001_000), 1000)
    assert.equal(timeText(-250_000), '1969-12-31 23:59:59')
  })
})

suite('texts', () => {
  test('Rust sorts keys by their bytes and keeps fractions', () => {
    const value = parseLosslessText('{"\u{1F600}":1.0,"\uffff":[1e16,18446744073709551616],"a":"\\u007f"}')
    assert.equal(sortedJson(value), '{"a":"\u007f","\uffff":[1e16,1.8446744073709552e19],"\u{1F600}":1.0}')
  })
  test('Python prints floats and JSON in its own way', () => {
    assert.equal(pyText(new JsonFloat(1e16)), '1e+16')
    assert.equal(pyText(new JsonFloat(0.00001)), '1e-05')
    assert.equal(pyText(new JsonFloat(1e15)), '1000000000000000.0')
    assert.equal(pyText(new Map([['k', ['\u00fc', null, true, 1]]])), '{"k": ["\\u00fc", null, true, 1]}')
    assert.equal(pyText(false), 'False')
  })
  test("Python's UUIDs may have hyphens anywhere", () => {
    assert.equal(pyUuid('{0123-456789abcdef-0123456789ABCDEF}'), '01234567-89ab-cdef-0123-456789abcdef')
    assert.equal(pyUuid('0123'), undefined)
  })
})

suite('what is wrong', () => {
  test('is told with its place', () => {
    const scanner = new JsonScanner()
    scanner.open(Buffer.from('[1,{"a":{"b":[true, {"c d":nul}]}}]'))
    assert.throws(
      () => scanner.skip(),
      (error) => error instanceof InvalidMessage && error.path === '[1].a.b[1].c d',
    )
  })
  test('a place in a key belongs to the object', () => {
    assert.equal(jsonPathAt(Buffer.from('{"a":{"key":1}}'), 8), 'a')
  })
  test('the end of a message is told as such', () => {
    const scanner = new JsonScanner()
    scanner.open(Buffer.from('{"a":"x'))
    assert.throws(() => scanner.skip(), { message: 'The message ends too early.' })
  })
})

test('a key table finds keys, aliases and escaped keys', () => {
  const table = createKeyTable(['one', 'two', 'on'], { eins: 'one' })
  const found = (source: string) => {
    const scanner = new JsonScanner()
    scanner.open(Buffer.from(source))
    scanner.string()
    return [table.find(scanner), scanner.keyIndex]
  }
  assert.deepEqual(found('"one"'), ['one', 0])
  assert.deepEqual(found('"eins"'), ['one', 0])
  assert.deepEqual(found('"tw\\u006f"'), ['two', 1])
  assert.deepEqual(found('"on"'), ['on', 2])
  assert.deepEqual(found('"One"'), ['', -1])
  assert.deepEqual(found('""'), ['', -1])
})
