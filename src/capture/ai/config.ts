import { z } from 'zod'

/** Settings of the AI routes. */
export const aiConfigSchema = z.strictObject({
  partsBytesMax: z.number().int().min(1024).default(26_214_400).meta({
    description: 'All parts of a multipart AI event together, in bytes. The request may be a tenth larger.',
    env: 'AI_MAX_SUM_OF_PARTS_BYTES',
  }),
  eventPartBytesMax: z
    .number()
    .int()
    .min(256)
    .default(32_768)
    .meta({ description: 'Largest `event` part of a multipart AI event, in bytes.' }),
  propertiesBytesMax: z
    .number()
    .int()
    .min(256)
    .default(983_040)
    .meta({ description: 'Largest `event` and `event.properties` parts together, in bytes.' }),
  messageBytesMax: z.number().int().min(1024).default(16_777_216).meta({
    description: 'Largest message that one AI event may make on the log, in bytes; beyond it 413.',
  }),
  partsMax: z.number().int().min(1).default(100).meta({ description: 'Parts in a multipart AI event.' }),
})

export type AiConfig = z.output<typeof aiConfigSchema>
