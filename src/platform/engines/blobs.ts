import { join, resolve } from 'node:path'
import { openEmbeddedBlobs } from '../../adapters/embedded/blobs.ts'
import type { Blobs } from '../../ports/blobs.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'
import { placesOf } from '../needs.ts'
import { openPatiently } from '../start/patience.ts'

/** An object store where `s3.bucket` is set, else a folder in the data folder. */
export async function openBlobs(
  ground: Ground,
  config: Config,
  { signal }: { signal?: AbortSignal } = {},
): Promise<Blobs> {
  if (placesOf(config).blobs === 'embedded')
    return await openEmbeddedBlobs({
      directory: join(resolve(config.dataDir), 'blobs'),
      random: ground.random,
    })
  const { startWaitMs } = config
  const { openS3Blobs } = await import('../../adapters/s3/blobs.ts')
  return await openPatiently(ground, () => openS3Blobs(ground, config.s3), {
    engine: 'the object store',
    startWaitMs,
    signal,
  })
}
