import { z } from 'zod'

/** Settings of the OTLP traces route. */
export const otelConfigSchema = z.strictObject({
  bodyBytesMax: z.number().int().min(1024).default(4_194_304).meta({
    description: 'Largest OTLP request, in bytes, as it comes and after decompression.',
  }),
  spansMax: z.number().int().min(1).default(1000).meta({
    description: 'Spans of one OTLP request that are looked at; the rest is shed.',
  }),
  aiSpansMax: z.number().int().min(1).default(100).meta({
    description: 'AI spans of one OTLP request that become events; the rest is shed.',
  }),
})

export type OtelConfig = z.output<typeof otelConfigSchema>
