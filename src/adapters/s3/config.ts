import { z } from 'zod'
import { Secret } from '../../std/secret.ts'

const MiB = 1024 * 1024

const secret = () =>
  z
    .string()
    .min(1)
    .transform((text) => new Secret(text))

const milliseconds = (defaultMs: number, description: string) =>
  z.number().int().min(1).max(3_600_000).default(defaultMs).meta({ description })

const url = () => z.string().refine(isEndpoint, 'must be http://host:port or https://host, without a path')

export const bucketName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is the name of a bucket: 3 to 63 of a-z 0-9 . -')

/** Blobs on S3, or on what speaks like it (MinIO, Ceph, Garage, R2, …). */
export const s3Config = z.strictObject({
  bucket: bucketName.optional().meta({
    description: 'A bucket to use instead of the folder of blobs.',
    env: 'OBJECT_STORAGE_BUCKET',
  }),
  endpoint: url()
    .optional()
    .meta({
      description: 'Where S3 is, if it is not the one of AWS: http://minio:9000.',
      env: ['OBJECT_STORAGE_ENDPOINT', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    }),
  publicEndpoint: url().optional().meta({
    description: 'Where clients reach that S3, for the addresses that are given to them.',
    env: 'OBJECT_STORAGE_PUBLIC_ENDPOINT',
  }),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'is a region such as eu-central-1')
    .default('us-east-1')
    .meta({ description: 'The region of the bucket.', env: ['OBJECT_STORAGE_REGION', 'AWS_REGION'] }),
  accessKeyId: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'The id of the access key. Without one, the credentials of the machine are used (role, profile, web identity).',
      env: ['OBJECT_STORAGE_ACCESS_KEY_ID', 'AWS_ACCESS_KEY_ID'],
    }),
  secretAccessKey: secret()
    .optional()
    .meta({
      description: 'The secret of the access key.',
      env: ['OBJECT_STORAGE_SECRET_ACCESS_KEY', 'AWS_SECRET_ACCESS_KEY'],
      secret: true,
    }),
  sessionToken: secret().optional().meta({
    description: 'The token of an access key that is valid for a while.',
    env: 'AWS_SESSION_TOKEN',
    secret: true,
  }),
  isPathStyle: z.boolean().optional().meta({
    description:
      'Name the bucket in the path and not in the host name. Without it: yes where an endpoint is set.',
    env: 'OBJECT_STORAGE_FORCE_PATH_STYLE',
  }),
  keyPrefix: z
    .string()
    .regex(/^([A-Za-z0-9._=-]+\/)*$/, 'is empty, or names joined by / that end in /')
    .max(200)
    .default('')
    .meta({ description: 'What the keys of all objects begin with.', env: 'OBJECT_STORAGE_PREFIX' }),
  tlsCaFile: z
    .string()
    .min(1)
    .optional()
    .meta({
      description: 'PEM file of the authority that has signed the certificate of S3.',
      env: ['OBJECT_STORAGE_CA_FILE', 'AWS_CA_BUNDLE'],
    }),
  connectTimeoutMs: milliseconds(5000, 'How long one attempt to connect may take, in ms.'),
  requestTimeoutMs: milliseconds(30_000, 'How long one request may be without an answer, in ms.'),
  operationTimeoutMs: milliseconds(
    120_000,
    'How long reading, writing or deleting an object may take with all attempts, in ms.',
  ),
  attemptsMax: z.number().int().min(1).max(20).default(4).meta({
    description: 'How often a request is made before it fails, with waits that double, by chance.',
  }),
  requestsMax: z.number().int().min(1).max(1000).default(32).meta({
    description: 'Requests to S3 at the same time; further ones wait.',
  }),
  waitingMax: z.number().int().min(1).default(1000).meta({
    description: 'Requests that may wait for their turn; more fail at once.',
  }),
  multipartBytesMin: z
    .number()
    .int()
    .min(5 * MiB)
    .max(5000 * MiB)
    .default(16 * MiB)
    .meta({ description: 'Objects of this size and more are uploaded in parts.' }),
  partBytes: z
    .number()
    .int()
    .min(5 * MiB)
    .max(5000 * MiB)
    .default(8 * MiB)
    .meta({ description: 'Bytes of a part.' }),
  partsInFlightMax: z
    .number()
    .int()
    .min(1)
    .default(4)
    .meta({ description: 'Parts of an object that are uploaded at the same time.' }),
})

export type S3Config = z.infer<typeof s3Config>

function isEndpoint(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false
  const { pathname, search, hash, username } = new URL(text)
  return pathname === '/' && search === '' && hash === '' && username === ''
}

/** What contradicts itself, as sentences that say what to set; none where all is well. */
export function s3Contradictions(config: S3Config): string[] {
  const found: [boolean, string][] = [
    [
      config.bucket === undefined && config.publicEndpoint !== undefined,
      's3.publicEndpoint (OBJECT_STORAGE_PUBLIC_ENDPOINT) is set, but s3.bucket is not; set s3.bucket (OBJECT_STORAGE_BUCKET), or unset it.',
    ],
    [
      config.accessKeyId !== undefined && config.secretAccessKey === undefined,
      's3.accessKeyId is set, but s3.secretAccessKey (OBJECT_STORAGE_SECRET_ACCESS_KEY) is not; set both, or none to use the credentials of the machine.',
    ],
    [
      config.accessKeyId === undefined && config.secretAccessKey !== undefined,
      's3.secretAccessKey is set, but s3.accessKeyId (OBJECT_STORAGE_ACCESS_KEY_ID) is not; set both, or none to use the credentials of the machine.',
    ],
    [
      config.multipartBytesMin < config.partBytes,
      `s3.multipartBytesMin (${config.multipartBytesMin}) is below s3.partBytes (${config.partBytes}); raise the first or lower the second.`,
    ],
    [
      config.tlsCaFile !== undefined && config.endpoint?.startsWith('http://') === true,
      's3.tlsCaFile is set, but s3.endpoint begins with http://, which is without TLS; let it begin with https://.',
    ],
    [
      config.operationTimeoutMs < config.requestTimeoutMs,
      `s3.operationTimeoutMs (${config.operationTimeoutMs}) is below s3.requestTimeoutMs (${config.requestTimeoutMs}); raise it.`,
    ],
  ]
  return found.flatMap(([isWrong, sentence]) => (isWrong ? [sentence] : []))
}
