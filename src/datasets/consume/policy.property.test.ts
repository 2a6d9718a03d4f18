import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { batchFrom } from '../../../test/support/storage.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { DeadLetterPolicy } from '../storage/storage.ts'
import { createPolicyState } from './policy.ts'

const reasons = ['invalid_message', 'row_refused'] as const
const fate = fc.constantFrom<(typeof reasons)[number] | undefined>(undefined, undefined, ...reasons)
const policies = fc.record({
  maxByReason: fc.dictionary(fc.constantFrom(...reasons), fc.nat(6)),
  ratio: fc.option(
    fc.record({ max: fc.constantFrom(0.1, 0.34, 0.5, 1), window: fc.integer({ min: 1, max: 9 }) }),
    {
      nil: undefined,
    },
  ),
  consecutiveMax: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
})

test('a batch is refused exactly when one of its messages breaks a limit, however the batches are cut', () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.array(fate, { maxLength: 6 }), { maxLength: 12 }),
      (deadLetters, batches) => {
        const state = createPolicyState({ name: 's', deadLetters })
        let accepted: (string | undefined)[] = []
        for (const fates of batches) {
          const seen = [...accepted, ...fates]
          const isBroken = fates.some((_, index) =>
            breaks(deadLetters, seen.slice(0, accepted.length + index + 1)),
          )
          const judge = () => state.judge(batchFrom(0, []), fates.map(outcomeOf))
          if (isBroken) {
            assert.throws(judge, (error) => isRowmillError(error, 'DEAD_LETTER_LIMIT'))
            assert.throws(judge, (error) => isRowmillError(error, 'DEAD_LETTER_LIMIT'))
          } else {
            judge()
            judge()()
            accepted = seen
          }
        }
      },
    ),
  )
})

/** Whether the last of these messages is one too many. */
function breaks(policy: DeadLetterPolicy, seen: readonly (string | undefined)[]): boolean {
  const last = seen.at(-1)
  if (last === undefined) return false
  const reasonMax = policy.maxByReason[last] ?? Number.POSITIVE_INFINITY
  if (seen.filter((one) => one === last).length > reasonMax) return true
  const { ratio, consecutiveMax = Number.POSITIVE_INFINITY } = policy
  const lastGood = seen.lastIndexOf(undefined)
  if (seen.length - 1 - lastGood > consecutiveMax) return true
  if (ratio === undefined || seen.length < ratio.window) return false
  const inWindow = seen.slice(-ratio.window).filter((one) => one !== undefined).length
  return inWindow > ratio.max * ratio.window
}

function outcomeOf(reason: (typeof reasons)[number] | undefined): Outcome {
  return reason === undefined ? { kind: 'next', records: [] } : { kind: 'dead-letter', reason, error: '' }
}
