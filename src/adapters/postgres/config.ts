import { z } from 'zod'

/** How the Database adapter speaks to PostgreSQL. Where it is stands in `url`, which the platform adds. */
export const databaseConfig = z.strictObject({
  connectionsMax: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .meta({ description: 'Connections to PostgreSQL that statements and transactions share.' }),
  waitingMax: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Statements that may wait for a free connection; more are refused at once.' }),
  connectTimeoutMs: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'How long to wait for a free connection, and for PostgreSQL to accept a new one.' }),
  statementTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(60_000)
    .meta({ description: 'PostgreSQL cancels a statement that takes longer. 0 sets no limit.' }),
  idleTransactionTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(60_000)
    .meta({ description: 'PostgreSQL ends a transaction that waits longer for its next statement.' }),
  idleTimeoutMs: z
    .number()
    .int()
    .min(0)
    .default(30_000)
    .meta({ description: 'A connection that was not used for this long is closed.' }),
  notificationsMax: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .meta({ description: 'Notifications a listener may lag behind; older ones are forgotten.' }),
})

export type DatabaseConfig = z.infer<typeof databaseConfig>
