/**
 * Admission decides what becomes of decoded events before they reach the log, in the order of PostHog's
 * capture:
 *
 *   quota → token dropper → restrictions → AI size and byte budget → historical → rate limit → overflow → address
 *
 * It answers at once, from state in memory that is refreshed from the cache in the background. Where that
 * state cannot be had, everything passes. An event that is dropped has a reason; an event that passes has an
 * address. A dropped event spends nothing of the limits after it.
 */
import assert from 'node:assert/strict'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { CapturedEvent } from '../captured-event.ts'
import type { AdmissionConfig } from './config.ts'
import { createDecision, type Decision } from './decision.ts'
import { type AdmissionParts, createParts } from './parts.ts'
import { startRefresh } from './refresher.ts'
import type { Admission, Admitted } from './types.ts'

export type AdmissionDeps = { cache: Cache; clock: Clock; random: Random; metrics: Metrics; logger: Logger }

/** How often full token buckets are forgotten; the exact time differs so that processes do not fall in step. */
const sweepIntervalMs = 60_000
const sweepJitterMs = 10_000

const noneLimited: ReadonlySet<CapturedEvent> = new Set()

export async function openAdmission(
  deps: AdmissionDeps,
  config: AdmissionConfig,
  options: { signal: AbortSignal },
): Promise<Admission> {
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const parts = createParts(deps, config)
  const ended: Promise<void>[] = []
  for (const refresh of refreshes(config, parts)) {
    const running = await startRefresh(deps, { ...refresh, signal })
    ended.push(running.ended)
  }
  ended.push(runSweep(deps, parts, signal))
  const decide = createDecision({ parts, config, clock: deps.clock, metrics: deps.metrics })
  return {
    admit: (events, pipeline) =>
      admit(decide, events, pipeline === 'session_recordings' ? 'recordings' : 'events'),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(ended)
    },
  }
}

function refreshes(config: AdmissionConfig, parts: AdmissionParts) {
  const quotas = {
    source: 'quotas' as const,
    intervalMs: config.quotaRefreshMs,
    read: async () => {
      await parts.quotas.refresh()
      await parts.suspended.refresh()
      await parts.replayOverflow.refresh()
    },
  }
  const restrictions = {
    source: 'restrictions' as const,
    intervalMs: config.restrictions.refreshIntervalSeconds * 1000,
    read: parts.restrictions.refresh,
  }
  const counts = {
    source: 'rate_limits' as const,
    intervalMs: config.rateLimit.syncSeconds * 1000,
    read: async () => {
      await parts.events.sync()
      await parts.aiBytes.sync()
    },
  }
  const thresholds = {
    source: 'thresholds' as const,
    intervalMs: config.rateLimit.customThresholdRefreshSeconds * 1000,
    read: parts.thresholds.refresh,
  }
  const { rateLimit } = config
  return [
    quotas,
    ...(config.restrictions.isEnabled ? [restrictions] : []),
    ...(rateLimit.isEnabled || parts.aiBudgets.isAny ? [counts] : []),
    ...(rateLimit.isEnabled && rateLimit.customThresholdKey !== '' ? [thresholds] : []),
  ]
}

async function runSweep(deps: AdmissionDeps, parts: AdmissionParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await deps.clock.sleep(sweepIntervalMs + deps.random.next() * sweepJitterMs, { signal })
    deps.metrics.set('partition_limits_key_count', parts.overflow.sweep() + parts.aiOverflow.sweep())
  }
}

function admit(
  decide: Decision,
  events: readonly CapturedEvent[],
  resource: 'events' | 'recordings',
): Admitted {
  const admitted: Pick<Admitted, 'accepted' | 'dropped'> = { accepted: [], dropped: [] }
  let limited: Set<CapturedEvent> | undefined
  let quotaLimited: Set<string> | undefined
  for (const event of events) {
    const verdict = decide(event, resource)
    if (verdict.kind === 'drop') {
      admitted.dropped.push({
        event,
        reason: verdict.reason,
        ...(verdict.details === undefined ? {} : { details: verdict.details }),
      })
      if (verdict.resource !== undefined) {
        quotaLimited ??= new Set()
        quotaLimited.add(verdict.resource)
      }
      continue
    }
    admitted.accepted.push(verdict.routed)
    if (!verdict.isLimited) continue
    limited ??= new Set()
    limited.add(event)
  }
  assert.equal(admitted.accepted.length + admitted.dropped.length, events.length)
  return { ...admitted, limited: limited ?? noneLimited, quotaLimited: [...(quotaLimited ?? [])] }
}
