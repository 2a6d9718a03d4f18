/** What the tests of capture share: a small cache, and a captured event. */

import type { CapturedEvent } from '../../src/capture/captured-event.ts'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import type { Cache } from '../../src/ports/cache.ts'

export type SmallCache = Cache & { texts: Map<string, string>; isDown: boolean }

/** Holds texts and sorted sets; everything else is refused. */
export function smallCache(): SmallCache {
  const texts = new Map<string, string>()
  const sorted = new Map<string, Map<string, number>>()
  const refuse = () => Promise.reject(new Error('The small cache does not do that.'))
  const cache: SmallCache = {
    texts,
    isDown: false,
    get: async (key) => {
      up()
      return texts.get(key)
    },
    getMany: async (keys) => {
      up()
      return keys.map((key) => texts.get(key))
    },
    set: async (key, value) => {
      texts.set(key, value)
      return true
    },
    delete: async (...keys) => keys.filter((key) => texts.delete(key)).length,
    increment: async (key, by = 1) => {
      up()
      const value = Number(texts.get(key) ?? 0) + by
      texts.set(key, String(value))
      return value
    },
    sortedAdd: async (key, members) => {
      const set = sorted.get(key) ?? new Map<string, number>()
      sorted.set(key, set)
      for (const { member, score } of members) set.set(member, score)
      return members.length
    },
    sortedRange: async (key, from, to) => {
      up()
      const members = [...(sorted.get(key) ?? [])].map(([member, score]) => ({ member, score }))
      return members.filter(({ score }) => from <= score && score <= to)
    },
    expire: refuse,
    setAdd: refuse,
    setRemove: refuse,
    setMembers: refuse,
    setSize: refuse,
    sortedRemove: refuse,
    lock: refuse,
    publish: refuse,
    async *subscribe() {},
    async [Symbol.asyncDispose]() {},
  }
  function up(): void {
    if (cache.isDown) throw new RowmillError('CACHE_UNAVAILABLE', 'The cache is down.')
  }
  return cache
}

export function capturedEvent(changes: Partial<CapturedEvent> = {}): CapturedEvent {
  return {
    uuid: '0198c0de-0000-7000-8000-000000000001',
    distinctId: 'user-1',
    event: '$pageview',
    token: 'phc_a',
    ip: '10.0.0.1',
    nowMs: 1_790_000_000_000,
    sentAt: undefined,
    timestampMs: 1_790_000_000_000,
    data: '{"properties":{}}',
    sessionId: null,
    kind: 'analytics',
    isCookieless: false,
    isHistorical: false,
    isPersonProcessingOff: false,
    isHeatmapSplit: false,
    ...changes,
  }
}
