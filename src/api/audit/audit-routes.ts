import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import { requireUnscoped } from '../auth/scope.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { audit } from './audit.ts'

const count = z.number().int()

const reportSchema = z.strictObject({
  isBalanced: z.boolean().meta({ description: 'Nothing contradicts.' }),
  isSettled: z.boolean().meta({ description: 'Nothing waited, and nothing arrived meanwhile.' }),
  captured: count,
  rows: count,
  drops: z.record(z.string(), count).meta({ description: 'Events that ended without a row, by reason.' }),
  waiting: z.array(z.strictObject({ stage: z.string(), topic: z.string(), records: count })),
  stages: z.array(
    z.strictObject({
      stage: z.string(),
      topic: z.string(),
      ...{ partition: count, batches: count, in: count, out: count, dropped: count, diverted: count },
      ...{ deadLettered: count, from: count, until: count, position: count, end: count },
    }),
  ),
  tables: z.array(
    z.strictObject({
      ...{ table: z.string(), topic: z.string(), expected: count, rows: count, deleted: count },
    }),
  ),
  problems: z.array(z.string()),
})

/** The audit looks at all projects at once, so a key that is limited to some cannot ask for it. */
export function createAuditRoutes(ports: { warehouse: Warehouse; database: Database; log: Log }): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/audit',
      summary: 'Prove that every captured event became a row or has a written reason',
      tag: 'proof',
      answers: { 200: reportSchema },
      async run({ key }) {
        requireUnscoped(key, 'audit the whole program')
        return { status: 200, body: await audit(ports, ports.log) }
      },
    }),
  ]
}
