import { z } from 'zod'

/** Endpoints that write and delete rows for other programs' tests. */
export const testingConfig = z.strictObject({
  isEnabled: z.boolean().default(false).meta({
    description:
      'Answer the routes under /tests/, which write and delete rows without a key. Only on loopback.',
  }),
  database: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,40}$/)
    .default('rowmill_tests')
    .meta({
      description: 'Database of the rows; that of a namespace is called like it with the name behind it.',
    }),
  namespacesMax: z.int().min(1).default(64).meta({
    description: 'Namespaces that are open at once; the one unused for longest is closed, its rows stay.',
  }),
  bodyBytesMax: z
    .int()
    .min(1024)
    .default(64 * 1024 * 1024)
    .meta({ description: 'Bytes of one request.' }),
  messagesMax: z.int().min(1).default(100_000).meta({ description: 'Messages in one request.' }),
  idempotencyKeysMax: z
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Answers that are kept to be given again for the same Idempotency-Key.' }),
})

export type TestingConfig = z.infer<typeof testingConfig>
