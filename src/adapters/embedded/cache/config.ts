import { z } from 'zod'

/** The cache that lives in this process. */
export const embeddedCacheConfig = z.strictObject({
  keysMax: z.number().int().min(1).default(1_000_000).meta({
    description:
      'Keys and members of sets that the embedded cache holds; beyond it the least recently used keys go.',
  }),
  messagesMax: z
    .number()
    .int()
    .min(1)
    .default(10_000)
    .meta({ description: 'Messages a subscriber may lag behind; older ones are forgotten.' }),
  sweepIntervalMs: z
    .number()
    .int()
    .min(10)
    .default(1000)
    .meta({ description: 'How often expired keys are looked for.' }),
  sweepKeysMax: z
    .number()
    .int()
    .min(1)
    .default(20_000)
    .meta({ description: 'Keys that are looked at in one sweep.' }),
})

export type EmbeddedCacheConfig = z.infer<typeof embeddedCacheConfig>
