/**
 * A token bucket per event key: it fills at `perSecondMax` up to `burstMax`, and an event takes one. A key
 * without a token overflows. Forced keys always do: a whole event key, or a bare token for all its keys.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../ports/clock.ts'
import type { AdmissionConfig } from './config.ts'

export type OverflowVerdict = 'within' | 'limited' | 'forced'

export interface OverflowLimiter {
  /** Takes one from the key's bucket. `token` is the key's first part. */
  take(key: string, token: string): OverflowVerdict
  /** Forgets full buckets; answers how many keys are left. */
  sweep(): number
}

type Bucket = { tokens: number; atMs: number }

export function createOverflowLimiter(
  clock: Clock,
  config: Omit<AdmissionConfig['overflow'], 'isEnabled' | 'keepsLocality'>,
): OverflowLimiter {
  const forced = new Set(config.forcedKeys.map((key) => key.trim()).filter((key) => key !== ''))
  const buckets = new LRUCache<string, Bucket>({ max: config.keysMax })
  const filled = (bucket: Bucket, nowMs: number) =>
    Math.min(config.burstMax, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * config.perSecondMax)
  return {
    take(key, token) {
      if (forced.has(key) || forced.has(token)) return 'forced'
      const nowMs = clock.monotonic()
      const bucket = buckets.get(key)
      if (bucket === undefined) {
        buckets.set(key, { tokens: config.burstMax - 1, atMs: nowMs })
        return 'within'
      }
      bucket.tokens = filled(bucket, nowMs)
      bucket.atMs = nowMs
      if (bucket.tokens < 1) return 'limited'
      bucket.tokens -= 1
      return 'within'
    },
    sweep() {
      const nowMs = clock.monotonic()
      for (const [key, bucket] of buckets.entries())
        if (filled(bucket, nowMs) >= config.burstMax) buckets.delete(key)
      return buckets.size
    },
  }
}
