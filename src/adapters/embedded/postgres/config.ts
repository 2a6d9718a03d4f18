import { z } from 'zod'

/** The PostgreSQL that Rowmill runs itself, when no `DATABASE_URL` is given. */
export const postgresConfig = z.strictObject({
  sharedBuffersMb: z
    .number()
    .int()
    .min(16)
    .default(64)
    .meta({ description: 'Memory that the embedded PostgreSQL keeps pages in.' }),
  connectionsMax: z
    .number()
    .int()
    .min(10)
    .max(1000)
    .default(100)
    .meta({ description: 'Connections that the embedded PostgreSQL accepts, from all processes together.' }),
  walSizeMbMax: z.number().int().min(64).default(512).meta({
    description: 'How large the write-ahead log of the embedded PostgreSQL may grow between checkpoints.',
  }),
  readyWithinMs: z.number().int().min(1000).default(120_000).meta({
    description: 'How long the embedded PostgreSQL may take to accept connections, recovery included.',
  }),
  stopGraceMs: z
    .number()
    .int()
    .min(0)
    .default(15_000)
    .meta({ description: 'How long the embedded PostgreSQL may take to stop before it is killed.' }),
  startsMax: z.number().int().min(1).default(10).meta({
    description:
      'Starts of the embedded PostgreSQL within startsWindowMs before Rowmill gives up, as long as none succeeded.',
  }),
  startsWindowMs: z
    .number()
    .int()
    .min(1000)
    .default(60_000)
    .meta({ description: 'The time over which startsMax counts.' }),
})

export type PostgresConfig = z.infer<typeof postgresConfig>
