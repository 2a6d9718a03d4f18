import { RowmillError } from '../errors/rowmill-error.ts'
import { isUuid } from '../std/uuid.ts'
import type { NewJob } from './job.ts'

const textMax = { uniqueKey: 500, parentRunId: 400, distinctId: 400, personId: 400, actionId: 400 } as const
const queueLengthMax = 200
const smallMax = 32_767
const timeMaxMs = 8_640_000_000_000_000

/** Fails with `JOB_INVALID`, saying what is wrong; nothing of a bad job reaches PostgreSQL. */
export function checkJob(job: NewJob): void {
  checkQueue(job.queue)
  const refuse = (sentence: string): never => {
    throw new RowmillError('JOB_INVALID', sentence)
  }
  if (!Number.isInteger(job.teamId) || job.teamId < 0 || job.teamId > 2_147_483_647)
    refuse('The teamId of a job must be the number of a project.')
  if (job.id !== undefined && !isUuid(job.id)) refuse('The id of a job must be a UUID in lower case.')
  if (job.functionId != null && !isUuid(job.functionId))
    refuse('The functionId of a job must be a UUID in lower case.')
  checkPlace(job)
  const { attemptsMax } = job
  if (attemptsMax !== undefined && !(Number.isInteger(attemptsMax) && attemptsMax >= 1 && attemptsMax <= 100))
    refuse('The attemptsMax of a job must be 1 to 100.')
  if (job.uniqueKey === '') refuse('The uniqueKey of a job must not be empty.')
  for (const [name, lengthMax] of Object.entries(textMax)) {
    const text = job[name as keyof typeof textMax]
    if (text != null && (text.length > lengthMax || text.includes('\0')))
      refuse(`The ${name} of a job must have at most ${lengthMax} characters and no NUL.`)
  }
}

/** Where and when a job goes on. */
export function checkPlace(place: { priority?: number | undefined; scheduledMs?: number | undefined }): void {
  const { priority, scheduledMs } = place
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= smallMax))
    throw new RowmillError('JOB_INVALID', `The priority of a job must be a whole number up to ${smallMax}.`)
  if (scheduledMs !== undefined && !(Math.abs(scheduledMs) <= timeMaxMs))
    throw new RowmillError('JOB_INVALID', 'The scheduledMs of a job must be a time in ms since the epoch.')
}

export function checkQueue(queue: string): void {
  if (queue === '' || queue.length > queueLengthMax || queue.includes('\0'))
    throw new RowmillError(
      'JOB_INVALID',
      `The name of a queue must have 1 to ${queueLengthMax} characters and no NUL.`,
    )
}
