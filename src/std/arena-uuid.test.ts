import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { beginRow, loadMessage, messageStart, writtenRow } from './arena.ts'
import { isHex, isLowerHex, putUuidDigits, putUuidOf, uuidPlace } from './arena-uuid.ts'
import { parseUuid } from './uuid.ts'

const hyphenated = fc.uuid()
const text = fc.oneof(
  hyphenated,
  hyphenated.map((uuid) => uuid.replaceAll('-', '')),
  hyphenated.map((uuid) => `{${uuid}}`),
  hyphenated.map((uuid) => `urn:uuid:${uuid}`),
  fc.string({ minLength: 32, maxLength: 45 }),
)

test('takes and writes what parseUuid takes, in either case and with a character changed', () => {
  const change = fc.constantFrom('', ...'0aAfFgGG-{}:/@`\u0019é "')
  fc.assert(
    fc.property(text, fc.boolean(), fc.nat(), change, (uuid, isUpper, place, character) => {
      const cased = isUpper ? uuid.toUpperCase() : uuid
      const at = place % cased.length
      const changed =
        character === '' ? cased : cased.slice(0, at) + character + cased.slice(at + character.length)
      const json = JSON.stringify(changed)
      const end = loadMessage(Buffer.from(json))
      const expected = parseUuid(changed)
      assert.equal(putUuidOf(messageStart, end), expected !== undefined)
      if (expected === undefined) return
      assert.equal(writtenRow().toString(), `"${expected}"`)
      beginRow()
      putUuidDigits(uuidPlace(messageStart + 1, end - 1))
      assert.equal(writtenRow().toString(), expected.replaceAll('-', ''))
    }),
    { numRuns: 2000 },
  )
})

test('tells digits from every other byte', () => {
  for (let byte = 0; byte < 256; byte++)
    for (let place = 0; place < 4; place++) {
      const four = Buffer.from('0000')
      four[place] = byte
      const character = String.fromCharCode(byte)
      const end = loadMessage(four)
      assert.equal(isHex(messageStart, end), /[0-9a-fA-F]/.test(character))
      assert.equal(isLowerHex(messageStart, end), /[0-9a-f]/.test(character))
    }
})
