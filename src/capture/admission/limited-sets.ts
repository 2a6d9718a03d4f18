/**
 * Sorted sets in the cache whose members are over a limit until the epoch second that is their score, as one
 * process sees them: re-read in the background, answered from memory.
 */
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'

export interface LimitedSets<Name extends string> {
  has(name: Name, member: string): boolean
  /** Whether nobody is in any of them. */
  readonly isEmpty: boolean
  refresh(): Promise<void>
}

export function createLimitedSets<Name extends string>(
  deps: { cache: Cache; clock: Clock },
  keys: Readonly<Record<Name, string>>,
): LimitedSets<Name> {
  const names = new Map<string, ReadonlyMap<string, number>>()
  let isEmpty = true
  return {
    has(name, member) {
      const until = names.get(name)?.get(member)
      return until !== undefined && until * 1000 >= deps.clock.now()
    },
    get isEmpty() {
      return isEmpty
    },
    async refresh() {
      const nowSeconds = Math.floor(deps.clock.now() / 1000)
      for (const [name, key] of Object.entries<string>(keys)) {
        const members = await deps.cache.sortedRange(key, nowSeconds, Number.POSITIVE_INFINITY)
        names.set(name, new Map(members.map(({ member, score }) => [member, score])))
      }
      isEmpty = [...names.values()].every(({ size }) => size === 0)
    },
  }
}
