import { retryDelay } from '../../std/retry.ts'
import { checkPlace, checkQueue } from '../check-job.ts'
import type { JobsConfig } from '../config.ts'
import type { JobError, JobOutcome, JobResult } from '../job.ts'
import { jobErrorOf } from '../job-error.ts'
import { encodeChanges } from '../payload.ts'
import { holdOf, type InHand } from './hands.ts'

export type Ended = { outcome: JobOutcome } | { thrown: unknown }
export type ResultFrame = {
  config: JobsConfig
  nowMs: number
  /** In [0, 1). */
  chance: number
  worker: string
  /** The worker was told to abandon what it has in hand. */
  isAbandoning: boolean
}

/** How an attempt is written; undefined for a hold that is lost. */
export function resultOf(inHand: InHand, ended: Ended, frame: ResultFrame): JobResult | undefined {
  if (inHand.isLost) return undefined
  if ('outcome' in ended) return resultOfOutcome(inHand, ended.outcome, frame)
  if (inHand.isCanceled) return resultOfOutcome(inHand, { kind: 'canceled' }, frame)
  if (frame.isAbandoning && !inHand.isOutOfTime) return givenBack(inHand)
  return resultOfRetry(inHand, { kind: 'retry', error: ended.thrown }, frame)
}

function resultOfOutcome(inHand: InHand, outcome: JobOutcome, frame: ResultFrame): JobResult {
  const { job } = inHand
  const changed = { ...holdOf(inHand), kind: 'changed', attempt: job.attempt, isTouchFree: true } as const
  switch (outcome.kind) {
    case 'completed':
      return { ...holdOf(inHand), kind: 'completed' }
    case 'canceled':
      return { ...changed, status: 'canceled' }
    case 'failed':
      return { ...changed, status: 'failed', error: errorOf(inHand, outcome.error, frame) }
    case 'retry':
      return resultOfRetry(inHand, outcome, frame)
    case 'rescheduled':
      return resultOfRescheduling(inHand, outcome, frame)
  }
}

/** A rescheduling that cannot be written is a failed attempt, not the end of the worker. */
function resultOfRescheduling(
  inHand: InHand,
  outcome: Extract<JobOutcome, { kind: 'rescheduled' }>,
  frame: ResultFrame,
): JobResult {
  try {
    const { queue, priority, scheduledMs = frame.nowMs } = outcome
    checkPlace({ priority, scheduledMs })
    if (queue !== undefined) checkQueue(queue)
    const payload = encodeChanges(outcome, frame.config)
    return {
      ...holdOf(inHand),
      kind: 'changed',
      status: 'available',
      attempt: 0,
      isTouchFree: true,
      scheduledMs,
      queue,
      priority,
      payload,
    }
  } catch (error) {
    return resultOfRetry(inHand, { kind: 'retry', error }, frame)
  }
}

function resultOfRetry(
  inHand: InHand,
  { error, delayMs }: Extract<JobOutcome, { kind: 'retry' }>,
  frame: ResultFrame,
): JobResult {
  const { job } = inHand
  const { config, nowMs, chance } = frame
  const kept = errorOf(inHand, error, frame)
  if (job.attempt >= job.attemptsMax)
    return { ...holdOf(inHand), kind: 'dead-letter', reason: 'attempts_used_up', error: kept }
  const policy = {
    attemptsMax: job.attemptsMax,
    delayMs: config.retryDelayMs,
    delayMaxMs: config.retryDelayMaxMs,
  }
  const waitMs = delayMs ?? retryDelay(policy, job.attempt, chance)
  return {
    ...holdOf(inHand),
    kind: 'changed',
    status: 'available',
    attempt: job.attempt,
    isTouchFree: true,
    scheduledMs: nowMs + Math.max(0, Number.isFinite(waitMs) ? Math.round(waitMs) : config.retryDelayMaxMs),
    error: kept,
  }
}

/** As if the job had not been claimed. */
function givenBack(inHand: InHand): JobResult {
  const attempt = Math.max(0, inHand.job.attempt - 1)
  return { ...holdOf(inHand), kind: 'changed', status: 'available', attempt, isTouchFree: false }
}

function errorOf({ job, isOutOfTime }: InHand, error: unknown, frame: ResultFrame): JobError {
  return jobErrorOf(error, {
    attempt: job.attempt,
    atMs: frame.nowMs,
    worker: frame.worker,
    kind: isOutOfTime ? 'timeout' : 'error',
    errorBytesMax: frame.config.errorBytesMax,
  })
}
