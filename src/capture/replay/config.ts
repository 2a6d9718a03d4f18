import { z } from 'zod'

/** Settings of the replay route. */
export const replayConfigSchema = z.strictObject({
  payloadBytesMax: z.number().int().min(1024).default(26_214_400).meta({
    description: 'Largest replay request, in bytes, as it comes and after decompression.',
  }),
  messageBytesMax: z.number().int().min(1024).default(16_777_216).meta({
    description: 'Largest message that one replay request may make on the log, in bytes; beyond it 413.',
  }),
  envelopeCompression: z.enum(['none', 'lz4']).default('none').meta({
    description: 'How replay messages are packed on the log. The size limit is that of the unpacked message.',
    env: 'KAFKA_REPLAY_ENVELOPE_COMPRESSION',
  }),
})

export type ReplayConfig = z.output<typeof replayConfigSchema>
