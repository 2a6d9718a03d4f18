import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readMetadata, writeMetadata } from './standing.ts'

test('what was written beside an offset is read back, unless it is settled already', () => {
  fc.assert(
    fc.property(
      fc.option(fc.maxSafeNat(), { nil: undefined }),
      fc.nat(),
      fc.maxSafeNat(),
      fc.option(fc.constant('0123456789ab'), { nil: undefined }),
      (intended, resets, position, mark) => {
        const text = writeMetadata({ intended, resets, mark })
        assert(text.length <= 120)
        const isAhead = intended !== undefined && intended > position
        assert.deepEqual(readMetadata(text, position), {
          intended: isAhead ? intended : undefined,
          resets,
          mark,
        })
      },
    ),
  )
})

test('whatever others have written tells nothing and breaks nothing', () => {
  const nothing = { intended: undefined, resets: 0, mark: undefined }
  const foreign = fc.oneof(fc.string(), fc.json(), fc.constantFrom(null, undefined))
  fc.assert(fc.property(foreign, (text) => assert.deepEqual(readMetadata(text, 0), nothing)))
  const wrong = [
    '{"rowmill":1',
    '{"rowmill":1,"intended":"7"}',
    '{"rowmill":2,"intended":7}',
    '{"rowmill":1,"resets":-1}',
  ]
  for (const text of wrong) assert.deepEqual(readMetadata(text, 0), nothing)
})
