import { z } from 'zod'

/** Settings of the v1 route. */
export const v1ConfigSchema = z.strictObject({
  bodyBytesMax: z.number().int().min(1024).default(10_485_760).meta({
    description: 'Largest body of a v1 request as it comes over the wire, in bytes.',
    env: 'CAPTURE_V1_MAX_COMPRESSED_BODY_BYTES',
  }),
  payloadBytesMax: z.number().int().min(1024).default(52_428_800).meta({
    description: 'Largest body of a v1 request after decompression, in bytes.',
    env: 'CAPTURE_V1_MAX_DECOMPRESSED_BODY_BYTES',
  }),
})

export type V1Config = z.output<typeof v1ConfigSchema>
