import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { EventData } from '../captured-event.ts'
import { EscapedWriter } from '../quick/escape.ts'
import {
  mayHoldGatewayProperties,
  setGatewayProperties,
  stripGatewayProperties,
} from './gateway-properties.ts'

const names = fc.oneof(
  fc.string(),
  fc.constantFrom(
    '$ai_gateway',
    '$ai_gateway_verified',
    '$ai_gateway_x',
    '$ai_gatewa',
    '$ai_model',
    '__proto__',
  ),
)
const properties = fc.dictionary(names, fc.jsonValue(), { maxKeys: 8 })

/** JSON whose names may be hidden behind escapes, as a parser reads them all the same. */
function write(fields: Record<string, unknown>, isHidden: boolean): string {
  const members = Object.entries(fields).map(([name, value]) => {
    const quoted = isHidden
      ? `"${[...name].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
      : JSON.stringify(name)
    return `${quoted}: ${JSON.stringify(value)}`
  })
  return `{"event":"$ai_span", "properties" : {${members.join(' , ')}},"uuid":"u"}`
}

function escaped(text: string): EventData {
  const bytes = Buffer.from(text)
  const out = new EscapedWriter(bytes.length * 2 + 16)
  out.copy(bytes, 0, bytes.length)
  return { bytes: out.bytes, from: 0, until: out.at }
}

const isOurs = (name: string) => name.startsWith('$ai_gateway')

test('exactly the properties of the gateway are taken away, however their names are written', () => {
  fc.assert(
    fc.property(properties, fc.boolean(), fc.boolean(), (given, isHidden, isEscaped) => {
      const ascii = Object.fromEntries(
        Object.entries(given).filter(([name]) => !isHidden || /^[\x20-\x7e]*$/.test(name)),
      )
      const text = write(ascii, isHidden)
      const data = isEscaped ? escaped(text) : text
      const ours = Object.keys(JSON.parse(text).properties).filter(isOurs)
      if (ours.length > 0) assert.ok(mayHoldGatewayProperties(data))
      const stripped = stripGatewayProperties(data)
      assert.deepEqual([...stripped.removed].sort(), ours.sort())
      const expected = JSON.parse(text)
      for (const name of ours) delete expected.properties[name]
      assert.deepEqual(JSON.parse(stripped.data), expected)
    }),
  )
})

test('marks are set once, at the end, and leave the other properties as they are', () => {
  fc.assert(
    fc.property(properties, (given) => {
      const marks = { $ai_gateway_verified: true, $ai_gateway_request_id: 'r"1' }
      const { data } = setGatewayProperties(write(given, false), marks)
      const expected = JSON.parse(write(given, false))
      assert.deepEqual(JSON.parse(data), { ...expected, properties: { ...expected.properties, ...marks } })
      assert.equal(data.split('"$ai_gateway_verified":').length, 2)
    }),
  )
})

test('an event without properties gets them for its marks', () => {
  const { data } = setGatewayProperties('{"event":"$ai_span"}', { $ai_gateway_verified: true })
  assert.equal(data, '{"event":"$ai_span","properties":{"$ai_gateway_verified":true}}')
  assert.equal(stripGatewayProperties('{"properties":[1]}').data, '{"properties":[1]}')
})

test('numbers keep their digits', () => {
  const text = '{"properties":{"a":12345678901234567890.10,"$ai_gateway_x":1}}'
  assert.equal(stripGatewayProperties(text).data, '{"properties":{"a":12345678901234567890.10}}')
})
