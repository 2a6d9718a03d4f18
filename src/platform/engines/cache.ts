import { openEmbeddedCache } from '../../adapters/embedded/cache.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Database } from '../../ports/database.ts'
import type { Config } from '../config/config.ts'
import type { Ground } from '../ground.ts'
import { placesOf } from '../needs.ts'

/**
 * Redis where `redis.url` is set, else a cache in the memory of this process. Where the process has no relational
 * store, the latter keeps nothing that must outlive it: a write that asks for that fails.
 */
export async function openCache(
  ground: Ground,
  config: Config,
  database: Database | undefined,
): Promise<Cache> {
  if (placesOf(config).cache === 'embedded')
    return await openEmbeddedCache({ ...ground, database }, config.cache)
  const { openRedisCache } = await import('../../adapters/redis/cache.ts')
  return await openRedisCache(ground, config.redis)
}
