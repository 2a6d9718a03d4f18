/**
 * Jobs lie in one database or in several, the shards. New jobs go round; a shard with too many waiting jobs is
 * passed over, and when all are full nothing is created. Jobs with a unique key always go to the same shard,
 * because only there the key can be compared.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import { murmur2 } from '../std/murmur2.ts'
import type { JobsConfig } from './config.ts'
import { countWaiting } from './statements/tidy.ts'

export type Shard = { index: number; database: Database }

export interface Shards {
  readonly all: readonly Shard[]
  at(index: number): Shard
  /** The only shard that jobs of this unique key may go to. */
  indexOf(uniqueKey: string): number
  /** A shard with room for `count` more jobs: this one, or whichever has its turn. Fails with `JOBS_FULL`. */
  take(count: number, only?: number): Promise<Shard>
}

type Depth = { waiting: number; sampledAt: number }

export function createShards(
  ports: { databases: readonly Database[]; clock: Clock },
  config: Pick<JobsConfig, 'shardDepthMax' | 'depthSampleMs'>,
): Shards {
  const { databases, clock } = ports
  assert(databases.length > 0, 'Jobs need a database.')
  const all = databases.map((database, index) => ({ index, database }))
  const depths = new Map<number, Depth>()
  let turn = 0

  const at = (index: number): Shard => {
    const shard = all[index]
    assert(shard !== undefined, `There is no shard ${index}.`)
    return shard
  }
  /** Counted now and then; what was created here since is added. */
  const hasRoom = async (shard: Shard, count: number): Promise<boolean> => {
    const known = depths.get(shard.index)
    const isFresh = known !== undefined && clock.monotonic() - known.sampledAt < config.depthSampleMs
    const waiting = isFresh ? known.waiting : await countWaiting(shard.database, config.shardDepthMax + 1)
    if (waiting > config.shardDepthMax) {
      depths.set(shard.index, { waiting, sampledAt: isFresh ? known.sampledAt : clock.monotonic() })
      return false
    }
    depths.set(shard.index, {
      waiting: waiting + count,
      sampledAt: isFresh ? known.sampledAt : clock.monotonic(),
    })
    return true
  }
  return {
    all,
    at,
    indexOf: (uniqueKey) => (murmur2(Buffer.from(uniqueKey)) >>> 0) % all.length,
    async take(count, only) {
      const first = only ?? turn++ % all.length
      const candidates = only === undefined ? all.length : 1
      for (let step = 0; step < candidates; step++) {
        const shard = at((first + step) % all.length)
        if (await hasRoom(shard, count)) return shard
      }
      throw new RowmillError(
        'JOBS_FULL',
        `More than jobs.shardDepthMax (${config.shardDepthMax}) jobs wait already in every database.`,
      )
    },
  }
}
