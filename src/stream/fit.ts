/**
 * What to do when the log refuses a commit because a record in it is too large: an event that grew on its
 * way must not stop the partition for ever. The largest is the one, since the log's limit is on single
 * records; what became of it is replaced by the next smaller thing that says so.
 */
import type { LogBatch, NewRecord } from '../ports/log.ts'
import type { Outcome } from './outcome.ts'
import type { StageResult } from './stage.ts'

/**
 * The outcomes with that of the largest record replaced: outputs by a dead letter with the original bytes, a
 * copy of the original by a drop. `undefined` where no outcome is to blame.
 */
export function withoutLargest(batch: LogBatch, result: StageResult, error: unknown): Outcome[] | undefined {
  const bytes = result.outcomes.map((outcome, index) => {
    const original = batch.records[index]
    if (outcome.kind === 'drop' || original === undefined) return 0
    return outcome.kind === 'next' ? largestOf(outcome.records) : bytesOf(original)
  })
  const largest = bytes.reduce((most, each) => Math.max(most, each), 0)
  if (largest === 0 || largest < largestOf(result.records ?? [])) return undefined
  const outcomes = [...result.outcomes]
  const index = bytes.indexOf(largest)
  outcomes[index] =
    outcomes[index]?.kind === 'next'
      ? { kind: 'dead-letter', reason: 'output_too_large', error }
      : { kind: 'drop', reason: 'output_too_large', details: { bytes: largest } }
  return outcomes
}

function largestOf(records: readonly NewRecord[]): number {
  let largest = 0
  for (const record of records) largest = Math.max(largest, bytesOf(record))
  return largest
}

function bytesOf({ key, value, headers = {} }: Pick<NewRecord, 'key' | 'value' | 'headers'>): number {
  return value.length + Buffer.byteLength(key ?? '') + Buffer.byteLength(JSON.stringify(headers))
}
