import { z } from 'zod'

export const personsConfig = z.strictObject({
  propertiesBytesMax: z
    .int()
    .min(1024)
    .default(655_360)
    .describe('Properties of a person or group larger than this, as JSON, are not stored.'),
  propertiesTrimBytes: z
    .int()
    .min(1024)
    .default(524_288)
    .describe('What the properties of a person that is too large are cut down to, unprotected ones first.'),
  isLastSeenKept: z
    .boolean()
    .default(true)
    .describe('Keep the hour in which a person was last seen: one write per person and hour.'),
  cacheBytesMax: z
    .int()
    .min(0)
    .default(16_777_216)
    .describe('Persons are remembered between batches up to this much text of properties. 0 remembers none.'),
  attemptsMax: z
    .int()
    .min(1)
    .max(100)
    .default(5)
    .describe(
      'How often a batch is computed side by side with other writers before it is computed under a lock.',
    ),
})

export type PersonsConfig = z.infer<typeof personsConfig>
