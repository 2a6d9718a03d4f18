import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { takeElementsChain } from './elements.ts'
import type { Properties } from './incoming-event.ts'

const word = fc.string({ unit: fc.constantFrom(...'abcxyz-_é ;:.="\\'), maxLength: 8 })
const name = fc.string({ unit: fc.constantFrom(...'abcxyz'), minLength: 1, maxLength: 6 })

/** Reads the chain back, knowing only that quotes are escaped and attributes stand at the end. */
function readAttributes(element: string): Map<string, string> {
  const pairs = element.matchAll(/([^="]+)="((?:[^"\\]|\\"|\\(?!"))*)"/g)
  return new Map(
    [...pairs].map(([, key = '', value = '']) => [key.replace(/^.*:/, ''), value.replaceAll('\\"', '"')]),
  )
}

test('an element keeps its tag, its sorted classes and its attributes', () => {
  fc.assert(
    fc.property(
      name,
      fc.array(name, { maxLength: 4 }),
      fc.dictionary(name, name),
      (tag, classes, attributes) => {
        const given = Object.fromEntries(
          Object.entries(attributes).map(([key, value]) => [`attr__${key}`, value]),
        )
        const chain = takeElementsChain({ $elements: [{ ...given, tag_name: tag, attr__class: classes }] })
        const expected = [...classes]
          .sort()
          .map((one) => `.${one}`)
          .join('')
        assert.ok(chain.startsWith(`${tag}${expected}:`), chain)
        const read = readAttributes(chain)
        for (const [key, value] of Object.entries(given))
          if (key !== 'attr__class') assert.equal(read.get(key), value)
      },
    ),
  )
})

test('whatever is sent, the chain is one well-formed text and neither property stays', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.dictionary(word, fc.jsonValue()))), (elements) => {
      const properties: Properties = { $elements: elements, other: 1 }
      assert.equal(takeElementsChain(properties).isWellFormed(), true)
      assert.deepEqual(properties, { other: 1 })
    }),
  )
})
