/** The state that decisions are made from. Building it does no I/O; `admission.ts` keeps it fresh. */
import { topics } from '../../event/topics.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import { createAiBudgets } from './ai-budgets.ts'
import type { AdmissionConfig } from './config.ts'
import { createLimitedSets } from './limited-sets.ts'
import { createOverflowLimiter } from './overflow-limiter.ts'
import { type QuotaResource, quotaKey, suspendedKey } from './quota.ts'
import { createRestrictions } from './restrictions.ts'
import { createSlidingWindow } from './sliding-window.ts'
import { createThresholds } from './thresholds.ts'
import { createTokenDropper } from './token-dropper.ts'

/** The AI byte budget is counted over this window. */
const byteWindowMs = 60_000

export type AdmissionParts = ReturnType<typeof createParts>

export function createParts(deps: { cache: Cache; clock: Clock }, config: AdmissionConfig) {
  const known = new Set<string>([...Object.values(topics), ...config.customTopics])
  const prefix = config.cacheKeyPrefix
  const thresholds = createThresholds(deps.cache, config.rateLimit)
  const aiBudgets = createAiBudgets(config)
  const limits = { keysMax: config.rateLimit.keysMax, syncKeysMax: config.rateLimit.syncKeysMax }
  return {
    quotas: createLimitedSets(deps, quotaKeys(prefix, quotaKey)),
    suspended: createLimitedSets(deps, quotaKeys(prefix, suspendedKey)),
    replayOverflow: createLimitedSets(deps, { sessions: `${prefix}@posthog/capture-overflow/replay` }),
    isDropped: createTokenDropper(config.dropEvents),
    restrictions: createRestrictions(deps, {
      failOpenAfterMs: config.restrictions.failOpenAfterSeconds * 1000,
      isKnownTopic: (topic) => known.has(topic),
    }),
    thresholds,
    events: createSlidingWindow(deps, {
      ...limits,
      prefix: `${prefix}@rowmill/rate-limit/events`,
      windowMs: config.rateLimit.windowSeconds * 1000,
      thresholdOf: thresholds.of,
    }),
    aiBudgets,
    aiBytes: createSlidingWindow(deps, {
      ...limits,
      prefix: `${prefix}@rowmill/rate-limit/ai-bytes`,
      windowMs: byteWindowMs,
      thresholdOf: (token) => (aiBudgets.bytesPerSecondOf(token) * byteWindowMs) / 1000,
    }),
    overflow: createOverflowLimiter(deps.clock, config.overflow),
    /** AI events have buckets of their own, so that neither lane spends the other's. */
    aiOverflow: createOverflowLimiter(deps.clock, config.overflow),
  }
}

function quotaKeys(
  prefix: string,
  keyOf: (prefix: string, resource: QuotaResource) => string,
): Record<QuotaResource, string> {
  return {
    events: keyOf(prefix, 'events'),
    exceptions: keyOf(prefix, 'exceptions'),
    recordings: keyOf(prefix, 'recordings'),
    surveys: keyOf(prefix, 'surveys'),
    llm_events: keyOf(prefix, 'llm_events'),
  }
}
