/** The job queue, seen and managed by people and programs. A key sees the jobs of its projects. */
import { z } from 'zod'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Jobs } from '../../jobs/jobs.ts'
import { requireUnscoped } from '../auth/scope.ts'
import { page, pageOf, pageQuery, placeIn } from '../page.ts'
import { invalidInput, notFound, Problem } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import {
  entryBody,
  jobBody,
  jobEntrySchema,
  jobSchema,
  jobStatusSchema,
  newJob,
  newJobSchema,
} from './job-bodies.ts'

const root = '/api/projects/:project_id/jobs'
const createdMax = 1000
const drainedMax = 10_000

export function createJobRoutes(jobs: Jobs, config: { pageSizeMax: number }): ApiRoute[] {
  return [listRoute(jobs, config), countsRoute(jobs), createRoute(jobs), drainRoute(jobs), ...oneRoutes(jobs)]
}

function listRoute(jobs: Jobs, config: { pageSizeMax: number }): ApiRoute {
  const { limit, cursor } = pageQuery(config.pageSizeMax)
  return defineRoute({
    method: 'GET',
    path: root,
    summary: 'Jobs of the project, newest first; dead letters with status=dead_letter',
    tag: 'jobs',
    query: z.object({
      limit,
      cursor,
      status: jobStatusSchema.optional(),
      queue: plainText(200, 1).optional(),
      function_id: z.uuid().optional(),
      distinct_id: plainText(400, 1).optional(),
      person_id: plainText(400, 1).optional(),
      action_id: plainText(400, 1).optional(),
    }),
    answers: { 200: pageOf(jobEntrySchema) },
    async run({ project, query, url }) {
      const place = placeIn(query.cursor, [z.uuid()])
      const id = place?.after[0]
      const rows = await jobs.list({
        teamIds: [project.id],
        status: query.status,
        queue: query.queue,
        functionId: query.function_id,
        distinctId: query.distinct_id,
        personId: query.person_id,
        actionId: query.action_id,
        limit: query.limit + 1,
        ...(place?.isBackward === true ? { afterId: id } : { beforeId: id }),
      })
      const frame = { query: { limit: query.limit, offset: 0 }, url, place }
      return {
        status: 200,
        body: page(rows.map(entryBody), { ...frame, keyOf: (row) => [row.id] }),
      }
    },
  })
}

function countsRoute(jobs: Jobs): ApiRoute {
  const countSchema = z.strictObject({
    queue: z.string(),
    status: jobStatusSchema,
    count: z.number(),
    oldest_scheduled: z.string().nullable(),
  })
  return defineRoute({
    method: 'GET',
    path: `${root}/counts`,
    summary: 'How many jobs of the project each queue has, by status',
    tag: 'jobs',
    answers: { 200: z.array(countSchema) },
    async run({ project }) {
      const counts = await jobs.counts({ teamIds: [project.id] })
      const body = counts.map(({ oldestMs, ...row }) => ({
        ...row,
        oldest_scheduled: oldestMs === null ? null : new Date(oldestMs).toISOString(),
      }))
      return { status: 200, body }
    },
  })
}

function createRoute(jobs: Jobs): ApiRoute {
  return defineRoute({
    method: 'POST',
    path: root,
    summary: 'Create jobs; answered when they are durable',
    tag: 'jobs',
    body: z.strictObject({ jobs: z.array(newJobSchema).min(1).max(createdMax) }),
    answers: { 201: z.strictObject({ ids: z.array(z.string().nullable()) }) },
    async run({ key, project, body }) {
      // What a handler finds in a job it believes: only who may do everything may write it.
      requireUnscoped(key, 'create jobs')
      try {
        const ids = await jobs.createMany(body.jobs.map((job) => newJob(project.id, job)))
        return { status: 201, body: { ids: ids.map((id) => id ?? null) } }
      } catch (error) {
        if (isRowmillError(error, 'JOB_INVALID')) throw invalidInput(error.message, 'jobs')
        throw error
      }
    },
  })
}

function drainRoute(jobs: Jobs): ApiRoute {
  return defineRoute({
    method: 'POST',
    path: `${root}/drain`,
    summary: 'Put dead letters back to their queues, or delete them',
    tag: 'jobs',
    body: z.strictObject({
      queue: plainText(200, 1).optional(),
      discard: z.boolean().default(false),
      limit: z.int().min(1).max(drainedMax).default(drainedMax),
    }),
    answers: { 200: z.strictObject({ drained: z.number().int() }) },
    async run({ project, body }) {
      const { queue, discard, limit } = body
      const drained = await jobs.drain({
        ...(queue === undefined ? {} : { queue }),
        teamIds: [project.id],
        limit,
        isDiscarding: discard,
      })
      return { status: 200, body: { drained } }
    },
  })
}

function oneRoutes(jobs: Jobs): ApiRoute[] {
  const idOf = ({ job_id }: Record<string, string>): string => {
    const id = z.uuid().toLowerCase().safeParse(job_id)
    if (!id.success) throw notFound()
    return id.data
  }
  const path = `${root}/:job_id`
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'One job or dead letter with everything it carries',
      tag: 'jobs',
      answers: { 200: jobSchema },
      async run(request) {
        const job = await jobs.find(idOf(request.path), { teamIds: [request.project.id] })
        if (job === undefined) throw notFound()
        return { status: 200, body: jobBody(job) }
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/retry`,
      summary: 'Run a failed or canceled job or a dead letter again, with new attempts',
      tag: 'jobs',
      answers: { 200: z.strictObject({ id: z.string(), status: z.literal('available') }) },
      async run(request) {
        const id = idOf(request.path)
        const scope = { teamIds: [request.project.id] }
        const [retried] = await jobs.retry([id], scope)
        if (retried === undefined) throw await refusal(jobs, id, scope)
        return { status: 200, body: { id, status: 'available' } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/cancel`,
      summary: 'Cancel a job; one that runs is asked to stop, and is answered as running',
      tag: 'jobs',
      answers: { 200: z.strictObject({ id: z.string(), status: z.enum(['canceled', 'running']) }) },
      async run(request) {
        const id = idOf(request.path)
        const scope = { teamIds: [request.project.id] }
        const [canceled] = await jobs.cancel([id], scope)
        if (canceled === undefined) throw await refusal(jobs, id, scope)
        return { status: 200, body: canceled }
      },
    }),
  ]
}

async function refusal(jobs: Jobs, id: string, scope: { teamIds: number[] }): Promise<Problem> {
  const job = await jobs.find(id, scope)
  if (job === undefined) return notFound()
  return new Problem(409, {
    type: 'invalid_request',
    code: 'conflict',
    detail: `That cannot be done with a job whose status is ${job.status}.`,
  })
}
