import { z } from 'zod'
import type { Warehouse } from '../../ports/warehouse.ts'
import { requireUnscoped } from '../auth/scope.ts'
import { invalidInput } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import { type TraceLog, trace } from './trace.ts'

const storySchema = z.strictObject({
  uuid: z.string(),
  event: z.string(),
  distinctId: z.string(),
  ended: z.enum(['row', 'drop', 'dead-letter', 'waiting']),
  steps: z.array(
    z.strictObject({
      time: z.string().meta({ description: 'RFC 3339; empty where it is not known.' }),
      stage: z.string(),
      what: z.string(),
      facts: z.record(z.string(), z.string()),
    }),
  ),
})

/** A trace looks for the event in all projects, so a key that is limited to some cannot ask for it. */
export function createTraceRoutes(ports: { warehouse: Warehouse; log: TraceLog }): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/trace',
      summary: 'The story of one event, or of the last events of a distinct id',
      tag: 'proof',
      query: z.object({
        uuid: z.guid().optional(),
        distinct_id: plainText(1000, 1).optional(),
        limit: z.coerce.number().int().min(1).max(100).default(10),
      }),
      answers: { 200: z.strictObject({ results: z.array(storySchema) }) },
      async run({ key, query, signal }) {
        requireUnscoped(key, 'trace events')
        const { uuid, distinct_id: distinctId } = query
        if ((uuid === undefined) === (distinctId === undefined))
          throw invalidInput('Give either uuid or distinct_id.', 'uuid')
        const wanted = uuid === undefined ? { distinctId: distinctId ?? '' } : { uuid }
        const results = await trace(ports, wanted, { storiesMax: query.limit, signal })
        return { status: 200, body: { results } }
      },
    }),
  ]
}
