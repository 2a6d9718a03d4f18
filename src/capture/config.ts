import { z } from 'zod'
import { Secret } from '../std/secret.ts'
import { fallbackConfigSchema } from './fallback/config.ts'
import { captureModeSchema } from './mode/config.ts'
import { sinkConfigShape } from './sinks/config.ts'
import { warningsConfigSchema } from './warnings/config.ts'

/** Settings of the v0 routes; admission, v1, replay and AI have their own. */
export const captureConfigSchema = z.strictObject({
  mode: captureModeSchema,
  ...sinkConfigShape,
  payloadBytesMax: z.number().int().min(1024).default(20_971_520).meta({
    description: 'Largest request of events in bytes, as it is sent and after unpacking; beyond it 413.',
  }),
  messageBytesMax: z.number().int().min(1024).default(1_000_000).meta({
    description: 'Largest message that one event may make on the log, in bytes; beyond it 413.',
    env: 'KAFKA_PRODUCER_MESSAGE_MAX_BYTES',
  }),
  trustProxy: z.enum(['never', 'loopback', 'always']).default('loopback').meta({
    description:
      'Whose X-Forwarded-For and X-Real-IP headers are believed: nobody, peers on this machine, or everybody.',
  }),
  retryAfterS: z.number().int().min(1).default(1).meta({
    description: 'What Retry-After says when the log cannot take events, in seconds.',
  }),
  gatewaySigningSecret: z
    .string()
    .min(1)
    .transform((text) => new Secret(text))
    .optional()
    .meta({
      description: "What PostHog's AI gateway signs its events with. Unset: no signature is believed.",
      env: 'AI_GATEWAY_SIGNING_SECRET',
      secret: true,
    }),
  fallback: fallbackConfigSchema.prefault({}),
  warnings: warningsConfigSchema.prefault({}),
})
export type CaptureConfig = z.infer<typeof captureConfigSchema>
