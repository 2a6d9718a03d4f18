import assert from 'node:assert/strict'
import type { LogBatch, NewRecord } from '../ports/log.ts'
import type { Outcome } from '../stream/outcome.ts'
import type { DedupId } from './dedup/dedup.ts'
import type { DecodedEvent, IncomingEvent } from './incoming-event.ts'
import type { EventWarning, Warning } from './warnings/register.ts'

/** One batch on its way through the steps. A step takes events out by ending them; the others go on in order. */
export type Work = {
  readonly batch: LogBatch
  /** By the record's place in the batch; undefined while it is under way. */
  readonly outcomes: (Outcome | undefined)[]
  /** Before their team is known. */
  decoded: readonly DecodedEvent[]
  /** Under way, in the order of their records. */
  events: readonly IncomingEvent[]
  /** The ids of events that are the first of their kind. */
  claims: readonly DedupId[]
  readonly warnings: Warning[]
  /** What the batch writes beside the events' own rows. */
  readonly records: NewRecord[]
}

/** A step may throw only what is no single event's fault: the whole batch is then tried again. */
export type Step = { name: string; run: (work: Work) => void | Promise<void> }

export function createWork(batch: LogBatch): Work {
  const outcomes = new Array<Outcome | undefined>(batch.records.length).fill(undefined)
  return { batch, outcomes, decoded: [], events: [], claims: [], warnings: [], records: [] }
}

export function endEvent(work: Work, event: { index: number }, outcome: Outcome): void {
  work.outcomes[event.index] = outcome
}

export function warn(work: Work, event: IncomingEvent, warning: EventWarning): void {
  work.warnings.push({ ...warning, teamId: event.team.id })
}

/**
 * A step that looks at one event at a time, without I/O. An exception is that event's alone: it is set aside
 * with its original bytes, and the others go on.
 */
export function eachEvent(name: string, run: (work: Work, event: IncomingEvent) => void): Step {
  return {
    name,
    run(work) {
      for (const event of work.events) {
        try {
          run(work, event)
        } catch (error) {
          endEvent(work, event, { kind: 'dead-letter', reason: 'processing_failed', error })
        }
      }
    },
  }
}

/** Leaves in the lists what has not ended. */
export function dropEnded(work: Work): void {
  const isUnderWay = (event: { index: number }) => work.outcomes[event.index] === undefined
  if (!work.decoded.every(isUnderWay)) work.decoded = work.decoded.filter(isUnderWay)
  if (!work.events.every(isUnderWay)) work.events = work.events.filter(isUnderWay)
}

/** The outcomes when every step has run: by then each record has one. */
export function outcomesOf(work: Work): Outcome[] {
  return work.outcomes.map((outcome, index) => {
    assert(outcome !== undefined, `record ${index} of a batch has left ingest without an outcome`)
    return outcome
  })
}
