/**
 * What every Log must do, in code: run by each adapter against the real thing. Each case opens its own log
 * and uses its own topics.
 */
import { test } from 'node:test'
import { exerciseAppend, exerciseReading } from './log/append.contract.ts'
import type { Check, LogHarness, LogHarnessOptions } from './log/harness.contract.ts'
import {
  exerciseForget,
  exerciseGroups,
  exerciseIntent,
  exerciseLeases,
  exerciseReset,
} from './log/leases.contract.ts'
import { exerciseRetention } from './log/retention.contract.ts'

/** Runs all cases for an adapter; `open` gives each of them an empty log. */
export function exerciseLog(name: string, open: (options: LogHarnessOptions) => Promise<LogHarness>): void {
  const check: Check = (what, body, options = {}) => {
    test(`${name}: ${what}`, async (context) => {
      await using harness = await open(options)
      const inapplicable = await body(harness)
      if (inapplicable !== undefined) context.diagnostic(`This log does not promise it: ${inapplicable}`)
    })
  }
  exerciseAppend(check)
  exerciseReading(check)
  exerciseGroups(check)
  exerciseIntent(check)
  exerciseLeases(check)
  exerciseReset(check)
  exerciseForget(check)
  exerciseRetention(check)
}
