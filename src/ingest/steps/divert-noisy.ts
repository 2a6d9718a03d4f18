import { LRUCache } from 'lru-cache'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { OverflowConfig } from '../config.ts'
import { type DecodedEvent, personKey } from '../incoming-event.ts'
import { endEvent, type Step, type Work } from '../work.ts'

/**
 * Exit: divert to the overflow topic. One person who sends far more than anybody else would hold up all the
 * others of a partition. His events go to a lane of their own, and stay there until a while after the last
 * one, so that they are not processed out of order on two lanes in turn.
 *
 * Off by default, like PostHog's. Every key has a bucket of tokens in this process; which keys are diverted
 * is known to all processes by the cache, under PostHog's names. A cache that cannot be reached diverts
 * nobody else: better slow than lost.
 */
const keyPrefix = '@posthog/stateful-overflow/events:'

type Bucket = { tokens: number; filledAtMs: number }
type Lane = {
  config: OverflowConfig
  cache: Cache
  logger: Logger
  buckets: LRUCache<string, Bucket>
  /** Whether a key is diverted, and when the cache said so. */
  known: LRUCache<string, { isDiverted: boolean; readAtMs: number }>
  nowMs: () => number
}
type Ports = { cache: Cache; clock: Clock; logger: Logger }

export function createDivertNoisyStep(ports: Ports, config: OverflowConfig): Step {
  const lane: Lane = {
    config,
    cache: ports.cache,
    logger: ports.logger,
    buckets: new LRUCache({ max: config.keysMax }),
    known: new LRUCache({ max: config.keysMax }),
    nowMs: () => ports.clock.monotonic(),
  }
  return {
    name: 'divert_noisy',
    async run(work) {
      const { topic } = work.batch
      if (!config.isEnabled) return
      if (topic === topics.captured) await divertNoisy(lane, work)
      else if (topic === topics.overflow) await failOpen(lane, () => prolong(lane, work))
    },
  }
}

async function divertNoisy(lane: Lane, work: Work): Promise<void> {
  const byKey = Map.groupBy(work.decoded, personKey)
  await learnDiverted(lane, [...byKey.keys()])
  const noisy: string[] = []
  for (const [key, events] of byKey) {
    const isKnown = lane.known.get(key)?.isDiverted === true
    if (!isKnown && takeTokens(lane, key, events)) continue
    if (!isKnown) noisy.push(key)
    for (const event of events)
      endEvent(work, event, {
        kind: 'divert',
        topic: topics.overflow,
        reason: 'noisy_key',
        keepKey: lane.config.isKeyKept,
      })
  }
  const readAtMs = lane.nowMs()
  for (const key of noisy) lane.known.set(key, { isDiverted: true, readAtMs })
  const { stickyMs: ttlMs } = lane.config
  await failOpen(lane, async () => {
    for (const key of noisy) await lane.cache.set(keyPrefix + key, '1', { ttlMs })
  })
}

async function learnDiverted(lane: Lane, keys: readonly string[]): Promise<void> {
  const nowMs = lane.nowMs()
  const asked = keys.filter((key) => {
    const known = lane.known.get(key)
    return known === undefined || nowMs - known.readAtMs >= lane.config.localTtlMs
  })
  if (asked.length === 0) return
  await failOpen(lane, async () => {
    const flags = await lane.cache.getMany(asked.map((key) => keyPrefix + key))
    for (const [at, key] of asked.entries())
      lane.known.set(key, { isDiverted: flags[at] !== undefined, readAtMs: nowMs })
  })
}

/** The overflow lane keeps its keys for as long as they go on sending. */
async function prolong(lane: Lane, work: Work): Promise<void> {
  const keys = new Set(work.decoded.map(personKey))
  for (const key of keys) await lane.cache.expire(keyPrefix + key, lane.config.stickyMs)
}

/** Takes a token for each event; false when there are not enough. Time is that of the records on the log. */
function takeTokens(lane: Lane, key: string, events: readonly DecodedEvent[]): boolean {
  const atMs = events[0]?.record.timestampMs ?? 0
  const { burstMax, perSecond } = lane.config
  const bucket = lane.buckets.get(key) ?? { tokens: burstMax, filledAtMs: atMs }
  const refill = (Math.max(0, atMs - bucket.filledAtMs) / 1000) * perSecond
  const tokens = Math.min(burstMax, bucket.tokens + refill)
  const isEnough = tokens >= events.length
  lane.buckets.set(key, {
    tokens: isEnough ? tokens - events.length : tokens,
    filledAtMs: Math.max(atMs, bucket.filledAtMs),
  })
  return isEnough
}

async function failOpen(lane: Lane, ask: () => Promise<void>): Promise<void> {
  try {
    await ask()
  } catch (error) {
    if (!isRowmillError(error, 'CACHE_UNAVAILABLE')) throw error
    lane.logger.warn({ error }, 'the cache cannot say which keys are diverted')
  }
}
