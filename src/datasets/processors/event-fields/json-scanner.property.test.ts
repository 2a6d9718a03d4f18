import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { parseLossless } from '../../../std/lossless-json.ts'
import { InvalidMessage } from '../../processor/invalid-message.ts'
import { JsonScanner } from './json-scanner.ts'
import { readPyValue } from './python-value.ts'

const json = fc.json({ stringUnit: 'binary', maxDepth: 6 })

function isAccepted(bytes: Buffer): boolean {
  const scanner = new JsonScanner()
  scanner.open(bytes)
  try {
    scanner.skip()
    scanner.finish()
    return true
  } catch (error) {
    assert.ok(error instanceof InvalidMessage)
    return false
  }
}

function isParsed(bytes: Buffer): boolean {
  try {
    parseLossless(bytes)
    return true
  } catch {
    return false
  }
}

suite('the scanner', () => {
  test('takes all JSON', () => {
    fc.assert(fc.property(json, (text) => isAccepted(Buffer.from(text))))
  })

  test('takes and refuses the same texts as the parser after a character was changed', () => {
    const character = fc.constantFrom(...'{}[],:"\\0123-+.eEtfnu \n\u0001\u00e9')
    fc.assert(
      fc.property(json, fc.nat(), character, (text, place, changed) => {
        const at = place % (text.length + 1)
        const bytes = Buffer.from(text.slice(0, at) + changed + text.slice(at + 1))
        assert.equal(isAccepted(bytes), isParsed(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('refuses every text that is cut off within its outermost object', () => {
    fc.assert(
      fc.property(json, fc.nat(), (text, place) => {
        const whole = Buffer.from(`{"a":${text}}`)
        return !isAccepted(whole.subarray(0, place % whole.length))
      }),
    )
  })

  test('reads the values that JSON.parse reads', () => {
    fc.assert(
      fc.property(json, (text) => {
        const scanner = new JsonScanner()
        scanner.open(Buffer.from(text))
        const plain = JSON.stringify(readPyValue(scanner), (_key, value: unknown) => {
          if (value instanceof Map) return Object.fromEntries(value)
          if (typeof value === 'bigint') return Number(value)
          const isFloat = typeof value === 'object' && value !== null && 'value' in value
          return isFloat && Object.keys(value).length === 1 && typeof value.value === 'number'
            ? value.value
            : value
        })
        assert.deepEqual(withoutFloatLike(JSON.parse(plain)), withoutFloatLike(JSON.parse(text)))
      }),
    )
  })
})

/** -0 and 0 are the same here. */
function withoutFloatLike(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
