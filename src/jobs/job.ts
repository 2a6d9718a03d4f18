/**
 * The nouns of the queue.
 *
 * - A **job** waits in a **queue** (`available`), is claimed by a worker (`running`), and ends `completed`,
 *   `failed` (its handler says that trying again makes no sense) or `canceled`. A job that the queue gives up
 *   leaves the table and is a **dead letter**.
 * - An **attempt** is one run of the handler. An attempt that does not succeed leaves a **job error**.
 * - A **hold** is what a claim gives a worker: the job's id and the claim's lock id. Every change of a running
 *   job names its hold; one that is not the job's any more changes nothing.
 * - A **transition** is a change of status.
 *
 * Times are in ms since the epoch.
 */
import type { EncodedPayload } from './payload.ts'

export const jobStatuses = ['available', 'running', 'completed', 'failed', 'canceled'] as const
export type JobStatus = (typeof jobStatuses)[number]

/** What a job carries. All but `blob` are JSON values; null is the same as nothing. */
export type JobPayload = {
  /** What a handler has got so far, such as the state of a virtual machine. A handler may replace it. */
  state: unknown
  /** What is to be done. */
  parameters: unknown
  /** What belongs to the job and is not needed to do it. */
  metadata: unknown
  blob: Buffer | null
}

export type NewJob = Partial<JobPayload> & {
  /** 1 to 200 characters. */
  queue: string
  teamId: number
  /** A UUIDv7 of the creator's own; made up otherwise. A job whose id is there already is not created again. */
  id?: string | undefined
  functionId?: string | null | undefined
  /** Lower ones first; default 0. */
  priority?: number | undefined
  /** Not before this time; default at once. */
  scheduledMs?: number | undefined
  attemptsMax?: number | undefined
  /** While a job with this key waits or runs in the queue, no second one is created. 1 to 500 characters. */
  uniqueKey?: string | null | undefined
  parentRunId?: string | null | undefined
  distinctId?: string | null | undefined
  personId?: string | null | undefined
  actionId?: string | null | undefined
}

export type JobError = {
  attempt: number
  atMs: number
  /** `stalled`: the worker was not heard of any more; `timeout`: the handler took too long. */
  kind: 'error' | 'stalled' | 'timeout'
  /** Name of the error's class, or its code. */
  type: string
  message: string
  worker: string
}

type JobHead = {
  id: string
  queue: string
  teamId: number
  functionId: string | null
  priority: number
  scheduledMs: number
  createdMs: number
  attempt: number
  attemptsMax: number
  transitions: number
  /** How often a worker died with it. */
  touches: number
  parentRunId: string | null
  distinctId: string | null
  personId: string | null
  actionId: string | null
  errors: JobError[]
}

/** A job or a dead letter as it stands, without its payload. */
export type JobEntry = JobHead & {
  status: JobStatus | 'dead_letter'
  lastTransitionMs: number
  lastHeartbeatMs: number | null
  /** The worker that has it, or had it last. */
  worker: string | null
  isCancelRequested: boolean
  uniqueKey: string | null
  /** Why it is a dead letter. */
  reason: DeadLetterReason | null
}
export type DeadLetterReason = 'poison_pill' | 'attempts_used_up'

export type Job = JobEntry & JobPayload

export type JobHold = { id: string; lockId: string; shard: number }

/** A job in the hands of a worker. */
export type ClaimedJob = JobHead & JobPayload & JobHold

/** How a handler's work on a job ended. A handler that throws ends with `retry` and its error. */
export type JobOutcome =
  | { kind: 'completed' }
  /** Goes on later or in another queue, with what it carries replaced where given. Attempts count anew. */
  | ({
      kind: 'rescheduled'
      scheduledMs?: number | undefined
      queue?: string | undefined
      priority?: number | undefined
    } & Partial<JobPayload>)
  /** Failed, and is tried again after `delayMs` or the queue's own delay, until its attempts are used up. */
  | { kind: 'retry'; error: unknown; delayMs?: number | undefined }
  /** Failed for good. */
  | { kind: 'failed'; error: unknown }
  | { kind: 'canceled' }

/** An outcome as it is written. */
export type JobResult = JobHold &
  (
    | { kind: 'completed' }
    | { kind: 'dead-letter'; reason: DeadLetterReason; error: JobError }
    | {
        kind: 'changed'
        status: 'available' | 'failed' | 'canceled'
        attempt: number
        /** The worker survived it, so it is no poison pill. */
        isTouchFree: boolean
        scheduledMs?: number | undefined
        queue?: string | undefined
        priority?: number | undefined
        /** As bytes; see `payload.ts`. What is not there stays as it is. */
        payload?: Partial<EncodedPayload> | undefined
        error?: JobError | undefined
      }
  )
