import { z } from 'zod'

/** Settings of the warnings that capture sends to projects. */
export const warningsConfigSchema = z.strictObject({
  isEnabled: z.boolean().default(false).meta({
    description: 'Tell projects, as ingestion warnings, what capture had to cut, drop or refuse.',
    env: 'CAPTURE_INGESTION_WARNINGS_ENABLED',
  }),
  intervalMs: z.number().int().min(0).default(60_000).meta({
    description: 'A token gets a warning of one type once in this time, in ms.',
  }),
  keysMax: z.number().int().min(1).default(10_000).meta({
    description: 'Tokens and types whose last warning is remembered.',
  }),
})

export type WarningsConfig = z.output<typeof warningsConfigSchema>
