import { z } from 'zod'
import { type Job, type JobEntry, jobStatuses, type NewJob } from '../../jobs/job.ts'
import { plainText } from '../text.ts'

export const jobStatusSchema = z.enum([...jobStatuses, 'dead_letter'])

const errorSchema = z.strictObject({
  attempt: z.number().int(),
  at: z.string(),
  kind: z.enum(['error', 'stalled', 'timeout']),
  type: z.string(),
  message: z.string(),
  worker: z.string(),
})

const entryShape = {
  id: z.string(),
  status: jobStatusSchema,
  queue: z.string(),
  team_id: z.number().int(),
  function_id: z.string().nullable(),
  priority: z.number().int(),
  scheduled: z.string(),
  created: z.string(),
  last_transition: z.string(),
  last_heartbeat: z.string().nullable(),
  worker: z.string().nullable(),
  attempt: z.number().int(),
  attempts_max: z.number().int(),
  transition_count: z.number().int(),
  janitor_touch_count: z.number().int(),
  cancel_requested: z.boolean(),
  unique_key: z.string().nullable(),
  parent_run_id: z.string().nullable(),
  distinct_id: z.string().nullable(),
  person_id: z.string().nullable(),
  action_id: z.string().nullable(),
  reason: z.string().nullable(),
  errors: z.array(errorSchema),
}

export const jobEntrySchema = z.strictObject(entryShape)
export const jobSchema = z.strictObject({
  ...entryShape,
  state: z.unknown(),
  parameters: z.unknown(),
  metadata: z.unknown(),
  blob_base64: z.string().nullable(),
})

/** As cyclotron names the columns; times as ISO-8601. */
export function entryBody(job: JobEntry): z.output<typeof jobEntrySchema> {
  return {
    id: job.id,
    status: job.status,
    queue: job.queue,
    team_id: job.teamId,
    function_id: job.functionId,
    priority: job.priority,
    scheduled: isoTime(job.scheduledMs),
    created: isoTime(job.createdMs),
    last_transition: isoTime(job.lastTransitionMs),
    last_heartbeat: job.lastHeartbeatMs === null ? null : isoTime(job.lastHeartbeatMs),
    worker: job.worker,
    attempt: job.attempt,
    attempts_max: job.attemptsMax,
    transition_count: job.transitions,
    janitor_touch_count: job.touches,
    cancel_requested: job.isCancelRequested,
    unique_key: job.uniqueKey,
    parent_run_id: job.parentRunId,
    distinct_id: job.distinctId,
    person_id: job.personId,
    action_id: job.actionId,
    reason: job.reason,
    errors: job.errors.map(({ atMs, ...error }) => ({ ...error, at: isoTime(atMs) })),
  }
}

export function jobBody(job: Job): z.output<typeof jobSchema> {
  const { state, parameters, metadata, blob } = job
  const blob_base64 = blob === null ? null : blob.toString('base64')
  return { ...entryBody(job), state, parameters, metadata, blob_base64 }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

const json = z.unknown().optional()

export const newJobSchema = z.strictObject({
  queue: plainText(200, 1),
  priority: z.int().min(-32_767).max(32_767).optional(),
  scheduled: z.iso.datetime({ offset: true }).optional(),
  attempts_max: z.int().min(1).max(100).optional(),
  unique_key: plainText(500, 1).optional(),
  function_id: z.uuid().toLowerCase().optional(),
  parent_run_id: plainText(400).optional(),
  distinct_id: plainText(400).optional(),
  person_id: plainText(400).optional(),
  action_id: plainText(400).optional(),
  state: json,
  parameters: json,
  metadata: json,
  blob_base64: z.base64().optional(),
})

export function newJob(teamId: number, body: z.output<typeof newJobSchema>): NewJob {
  return {
    teamId,
    queue: body.queue,
    priority: body.priority,
    scheduledMs: body.scheduled === undefined ? undefined : Date.parse(body.scheduled),
    attemptsMax: body.attempts_max,
    uniqueKey: body.unique_key,
    functionId: body.function_id,
    parentRunId: body.parent_run_id,
    distinctId: body.distinct_id,
    personId: body.person_id,
    actionId: body.action_id,
    state: body.state,
    parameters: body.parameters,
    metadata: body.metadata,
    blob: body.blob_base64 === undefined ? null : Buffer.from(body.blob_base64, 'base64'),
  }
}
