/**
 * When to stop instead of setting more messages aside. A few bad messages are theirs; many say that the
 * producer, the processor or the table has changed, and then a person should look before the rest follows.
 *
 * The state belongs to a partition while it is held. A batch is judged as a whole and counted only when it is
 * settled, so a batch that is tried again is judged by the same state.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { LogBatch } from '../../ports/log.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { DeadLetterPolicy } from '../storage/storage.ts'

export interface PolicyState {
  /** Throws `DEAD_LETTER_LIMIT` if the outcomes go beyond the policy; else answers what counts them. */
  judge(batch: LogBatch, outcomes: readonly Outcome[]): () => void
}

type Counts = {
  byReason: Map<string, number>
  consecutive: number
  /** A mark per message, newest over oldest; and how many of them stand for a dead letter. */
  window: Uint8Array
  seen: number
  inWindow: number
}

export function createPolicyState(storage: { name: string; deadLetters: DeadLetterPolicy }): PolicyState {
  const policy = storage.deadLetters
  let counts: Counts = {
    byReason: new Map(),
    consecutive: 0,
    window: new Uint8Array(policy.ratio?.window ?? 0),
    seen: 0,
    inWindow: 0,
  }
  return {
    judge(batch, outcomes) {
      const next = { ...counts, byReason: new Map(counts.byReason), window: counts.window.slice() }
      for (const outcome of outcomes) {
        const broken = count(policy, next, outcome.kind === 'dead-letter' ? outcome.reason : undefined)
        if (broken !== undefined) throw limitReached(storage.name, batch, broken)
      }
      return () => {
        counts = next
      }
    },
  }
}

/** Counts one message; says which limit it breaks. */
function count(policy: DeadLetterPolicy, counts: Counts, reason: string | undefined): string | undefined {
  const { ratio, consecutiveMax, maxByReason } = policy
  const mark = reason === undefined ? 0 : 1
  if (ratio !== undefined) {
    const at = counts.seen % ratio.window
    counts.inWindow += mark - (counts.window[at] ?? 0)
    counts.window[at] = mark
  }
  counts.seen++
  counts.consecutive = reason === undefined ? 0 : counts.consecutive + 1
  if (reason === undefined) return undefined
  const soFar = (counts.byReason.get(reason) ?? 0) + 1
  counts.byReason.set(reason, soFar)
  const reasonMax = maxByReason[reason]
  if (reasonMax !== undefined && soFar > reasonMax)
    return `${soFar} messages failed by ${reason}, max_by_reason allows ${reasonMax}`
  if (consecutiveMax !== undefined && counts.consecutive > consecutiveMax)
    return `${counts.consecutive} messages in a row failed, consecutive_max allows ${consecutiveMax}`
  if (ratio !== undefined && counts.seen >= ratio.window && counts.inWindow > ratio.max * ratio.window)
    return `${counts.inWindow} of the last ${ratio.window} messages failed, ratio allows a share of ${ratio.max}`
  return undefined
}

function limitReached(storage: string, batch: LogBatch, broken: string): RowmillError {
  const { topic, partition, from, until } = batch
  return new RowmillError(
    'DEAD_LETTER_LIMIT',
    `The storage ${storage} stopped at ${topic}/${partition}: ${broken}. Nothing of the offsets ${from} to ${until} is settled. Mend what writes the topic or the processor, or raise dead_letters in the storage's YAML, then start again. "rowmill dlq list --storage ${storage}" shows what was set aside before.`,
    { details: { storage, topic, partition, from, until } },
  )
}
