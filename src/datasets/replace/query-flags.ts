/**
 * Tells readers which projects have replaced rows that the table has not merged yet: read with `FINAL`, or
 * leave these groups out. The keys are Snuba's, so that its readers on the same Redis find them.
 */
import type { Cache } from '../../ports/cache.ts'
import type { ReplacerConfig } from './config.ts'
import type { Replacement } from './replacement.ts'

export type FlagOptions = {
  /** Names the state: the storage. */
  state: string
  nowMs: number
  config: Pick<ReplacerConfig, 'flagTtlMs' | 'excludedGroupsMax'>
}

export async function raiseFlag(
  cache: Cache,
  { type, projectId, flag }: Replacement,
  options: FlagOptions,
): Promise<void> {
  if (flag === undefined) return
  const { state, nowMs, config } = options
  const ttl = { ttlMs: config.flagTtlMs, keep: true }
  if (flag.kind === 'needs-final') {
    const key = `project_needs_final:${state}:${projectId}`
    await cache.set(key, String(nowMs / 1000), ttl)
    await cache.set(`${key}-type`, type, ttl)
    return
  }
  const key = `project_exclude_groups:${state}:${projectId}`
  // One more than readers use tells them that the list is not whole.
  const kept = 2 * config.excludedGroupsMax + 1
  await addNewest(cache, key, { members: flag.groupIds.slice(0, kept).map(String), kept, options })
  await addNewest(cache, `${key}-type`, { members: [type], kept, options })
}

type Addition = { members: readonly string[]; kept: number; options: FlagOptions }

async function addNewest(cache: Cache, key: string, { members, kept, options }: Addition): Promise<void> {
  const { nowMs, config } = options
  const scored = members.map((member) => ({ member, score: nowMs / 1000 }))
  await cache.sortedAdd(key, scored, { ttlMs: config.flagTtlMs, keep: true })
  const all = await cache.sortedRange(key, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
  const oldest = (nowMs - config.flagTtlMs) / 1000
  const gone = all.filter(({ score }, index) => score < oldest || index < all.length - kept)
  if (gone.length > 0)
    await cache.sortedRemove(
      key,
      gone.map(({ member }) => member),
    )
}
