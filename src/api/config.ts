import { z } from 'zod'

/** The API role's settings. */
export const apiConfigSchema = z.strictObject({
  bodyBytesMax: z
    .number()
    .int()
    .min(1024)
    .default(1_048_576)
    .meta({ description: 'Largest body of an API request, in bytes.' }),
  keyCacheMs: z.number().int().min(0).default(10_000).meta({
    description: 'How long a verified API key is remembered, in ms: a revoked key works at most this long.',
  }),
  pageSizeMax: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .meta({ description: 'Most rows in one page of a list.' }),
  queryTimeMaxMs: z
    .number()
    .int()
    .min(100)
    .default(60_000)
    .meta({ description: 'Longest time a query may run, in ms.' }),
  queryMemoryBytesMax: z
    .number()
    .int()
    .min(1_000_000)
    .default(1_000_000_000)
    .meta({ description: 'Most memory a query may use in the warehouse, in bytes.' }),
  queriesMax: z
    .number()
    .int()
    .min(1)
    .default(8)
    .meta({ description: 'Queries that run at once; further ones are answered 429.' }),
  tailLinesPerSecondMax: z.number().int().min(1).default(2_000).meta({
    description: 'Lines per second that a live tail shows; beyond it, it says how many it left out.',
  }),
  deletionPollMs: z
    .number()
    .int()
    .min(10)
    .default(2_000)
    .meta({ description: 'How often open deletions are looked at, in ms.' }),
  deletionAttemptsMax: z
    .number()
    .int()
    .min(1)
    .default(20)
    .meta({ description: 'How often a failing deletion is tried before it is left with its error.' }),
})

export type ApiConfig = z.output<typeof apiConfigSchema>
