import { z } from 'zod'

/** What is done with dead letters on request. */
export const deadLettersConfig = z.strictObject({
  pollIntervalMs: z
    .int()
    .min(100)
    .default(5000)
    .meta({ description: 'How often requests to replay or drop dead letters are looked for.' }),
  requestLettersMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(500)
    .meta({ description: 'Dead letters in one request; a command that asks for more makes several.' }),
})

export type DeadLettersConfig = z.infer<typeof deadLettersConfig>
