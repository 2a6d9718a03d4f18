/** Settings of de-duplication. */
import { z } from 'zod'

export const dedupConfigSchema = z.strictObject({
  windowMs: z
    .number()
    .int()
    .positive()
    .default(24 * 60 * 60 * 1000)
    .describe('How long in ms the id of an event is remembered. A second event with it is a duplicate.'),
  idsMax: z
    .number()
    .int()
    .min(1000)
    .default(50_000_000)
    .describe('How many ids are remembered at most; beyond it the oldest are forgotten before their time.'),
  trimIntervalMs: z
    .number()
    .int()
    .positive()
    .default(60_000)
    .describe('Time in ms between two looks for ids on the log that are no longer remembered.'),
  tailIntervalMs: z
    .number()
    .int()
    .min(10)
    .default(500)
    .describe('Time in ms between two looks for ids that other processes have accepted.'),
})

export type DedupConfig = z.infer<typeof dedupConfigSchema>
