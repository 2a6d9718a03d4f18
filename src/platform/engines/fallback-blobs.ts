import { openS3Blobs } from '../../adapters/s3/blobs.ts'
import type { Blobs } from '../../ports/blobs.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'

export type FallbackPlace = { s3: Config['s3']; capture: { fallback: Config['capture']['fallback'] } }

/**
 * Where capture's fallback keeps events: a bucket of its own where `capture.fallback.bucket` is set, else undefined,
 * for the blob store that everything uses. A bucket that cannot be reached now keeps nobody from capturing; one
 * that refuses fails with `CONFIG_INVALID`.
 */
export async function openFallbackBlobs(
  ground: Pick<Ground, 'logger'>,
  { s3, capture: { fallback } }: FallbackPlace,
): Promise<Blobs | undefined> {
  if (fallback.bucket === undefined) return undefined
  const endpoint = fallback.endpoint ?? s3.endpoint
  const { endpoint: _, publicEndpoint: __, ...shared } = s3
  return await openS3Blobs(
    ground,
    {
      ...shared,
      bucket: fallback.bucket,
      ...(endpoint === undefined ? {} : { endpoint }),
      keyPrefix: '',
      requestTimeoutMs: Math.min(shared.requestTimeoutMs, fallback.requestTimeoutMs),
      operationTimeoutMs: fallback.requestTimeoutMs,
    },
    {
      mayBeAway: true,
      names: {
        bucket: 'capture.fallback.bucket (S3_FALLBACK_BUCKET)',
        endpoint:
          fallback.endpoint === undefined
            ? 's3.endpoint (OBJECT_STORAGE_ENDPOINT)'
            : 'capture.fallback.endpoint (S3_FALLBACK_ENDPOINT)',
      },
    },
  )
}
