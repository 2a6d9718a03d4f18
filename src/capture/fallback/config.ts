import { z } from 'zod'

const MiB = 1024 * 1024
const bytes = (defaultBytes: number, description: string) =>
  z.number().int().min(1024).default(defaultBytes).meta({ description })

/** Settings of the fallback: where records wait while the log takes none. */
export const fallbackConfigSchema = z.strictObject({
  isEnabled: z.boolean().default(false).meta({
    description:
      'Keep events in the blob store while the log refuses them for now, and bring them to it later.',
    env: 'S3_FALLBACK_ENABLED',
  }),
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*(\/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*\/?$/,
      'is one or more names joined by /',
    )
    .max(200)
    .default('capture-fallback')
    .meta({ description: 'What the keys of the kept objects begin with.', env: 'S3_FALLBACK_PREFIX' }),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is the name of a bucket: 3 to 63 of a-z 0-9 . -')
    .optional()
    .meta({
      description:
        'A bucket on S3 of its own for what is kept; region and credentials are those of s3. Without it: the blob store that everything uses.',
      env: 'S3_FALLBACK_BUCKET',
    }),
  endpoint: z
    .string()
    .regex(/^https?:\/\/[^/?#@\s]+\/?$/, 'must be http://host:port or https://host, without a path')
    .optional()
    .meta({
      description: 'Where the S3 of that bucket is. Without it: s3.endpoint.',
      env: 'S3_FALLBACK_ENDPOINT',
    }),
  requestTimeoutMs: z.number().int().min(100).max(600_000).default(10_000).meta({
    description:
      'How long writing or reading one object in that bucket may take with all attempts; then the answer is 503, in ms.',
  }),
  probeIntervalMs: z.number().int().min(10).default(1_000).meta({
    description: 'How long after a failure of the log it is left alone before it is tried again, in ms.',
  }),
  lookIntervalMs: z.number().int().min(10).default(60_000).meta({
    description: 'How often kept objects are looked for that another process may have left, in ms.',
  }),
  objectBytesMax: bytes(
    4 * MiB,
    'Bytes of requests that share one object when several wait. A larger request has an object of its own.',
  ),
  putsInFlightMax: z
    .number()
    .int()
    .min(1)
    .default(4)
    .meta({ description: 'Objects that are written at the same time.' }),
  inFlightBytesMax: bytes(64 * MiB, 'Bytes that wait to be written to the blob store; beyond it 503.'),
  objectsMax: z
    .number()
    .int()
    .min(1)
    .default(100_000)
    .meta({ description: 'Objects that may wait for the log; beyond it 503.' }),
  storedBytesMax: bytes(4096 * MiB, 'Bytes of objects that may wait for the log; beyond it 503.'),
})

export type FallbackConfig = z.output<typeof fallbackConfigSchema>

/** What contradicts itself, as sentences that say what to set. */
export function fallbackContradictions({ bucket, endpoint }: FallbackConfig): string[] {
  return bucket === undefined && endpoint !== undefined
    ? [
        'capture.fallback.endpoint (S3_FALLBACK_ENDPOINT) is set, but capture.fallback.bucket is not; set capture.fallback.bucket (S3_FALLBACK_BUCKET), or unset it.',
      ]
    : []
}
