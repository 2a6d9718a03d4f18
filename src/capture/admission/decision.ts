/** What becomes of one event: see `admission.ts` for the order of the steps. */
import type { DropReason } from '../../event/drop.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { type CapturedEvent, dataLength, type RoutedEvent } from '../captured-event.ts'
import { type AddressClaims, addressOf, eventKey } from './address.ts'
import type { AdmissionConfig } from './config.ts'
import type { AdmissionParts } from './parts.ts'
import { exceededQuota, graceResource } from './quota.ts'
import type { AppliedRestrictions, RestrictionPipeline } from './restrictions.ts'

export type Verdict =
  | {
      kind: 'drop'
      reason: DropReason
      details?: Record<string, unknown>
      /** The resource that is over its quota. */
      resource?: string
    }
  | { kind: 'accept'; routed: RoutedEvent; isLimited: boolean }

export type Decision = (event: CapturedEvent, resource: 'events' | 'recordings') => Verdict

type Scope = { parts: AdmissionParts; config: AdmissionConfig; clock: Clock; metrics: Metrics }

/** A flat allowance for what a message holds besides the event's JSON, as in PostHog's capture. */
const envelopeBytes = 512
const dayMs = 86_400_000
const noHeaders: Readonly<Record<string, string>> = {}

export function createDecision(scope: Scope): Decision {
  const { parts, config } = scope
  return (event, resource) => {
    const quota = exceededQuota(event, resource, parts.quotas)
    if (quota !== undefined)
      return { kind: 'drop', reason: 'billing_limit_exceeded', details: { resource: quota }, resource: quota }
    if (parts.isDropped(event.token, event.distinctId)) return { kind: 'drop', reason: 'token_dropper' }
    const applied = config.restrictions.isEnabled ? restrict(scope, event) : undefined
    if (applied?.drops === true) return { kind: 'drop', reason: 'event_restriction' }
    const overBudget = event.kind === 'ai' ? aiBudget(scope, event) : undefined
    if (overBudget !== undefined) return overBudget
    if (!parts.suspended.isEmpty) countGrace(scope, event, resource)
    return accept(scope, event, applied)
  }
}

function countGrace({ parts, metrics }: Scope, event: CapturedEvent, global: 'events' | 'recordings'): void {
  const resource = graceResource(event, global, parts.suspended)
  if (resource !== undefined)
    metrics.count('capture_events_admitted_during_billing_grace_period_total', 1, { resource })
}

/** Heatmaps and warnings are never restricted. */
function pipelineOf(kind: CapturedEvent['kind']): RestrictionPipeline | undefined {
  if (kind === 'analytics' || kind === 'ai') return kind
  if (kind === 'exception') return 'errortracking'
  return kind === 'replay' ? 'session_recordings' : undefined
}

function restrict({ parts, metrics }: Scope, event: CapturedEvent): AppliedRestrictions | undefined {
  const pipeline = pipelineOf(event.kind)
  const applied = pipeline === undefined ? undefined : parts.restrictions.match(event, pipeline)
  if (applied === undefined || pipeline === undefined) return undefined
  const count = (type: string) =>
    metrics.count('capture_event_restrictions_applied', 1, { restriction_type: type, pipeline })
  if (applied.drops) count('drop_event')
  if (applied.forcesOverflow) count('force_overflow')
  if (applied.redirectsToDeadLetters) count('redirect_to_dlq')
  if (applied.skipsPersonProcessing) count('skip_person_processing')
  if (applied.topic !== undefined) count('redirect_to_topic')
  return applied
}

/** An event that is too large spends nothing of the budget. */
function aiBudget({ parts, config }: Scope, event: CapturedEvent): Verdict | undefined {
  const bytes = dataLength(event.data)
  if (config.aiEventBytesMax > 0 && bytes > config.aiEventBytesMax)
    return { kind: 'drop', reason: 'ai_event_too_big', details: { bytes, bytesMax: config.aiEventBytesMax } }
  if (parts.aiBudgets.bytesPerSecondOf(event.token) === 0) return undefined
  const isOver = parts.aiBytes.charge(event.token, bytes + envelopeBytes)
  return isOver ? { kind: 'drop', reason: 'ai_byte_limit' } : undefined
}

function accept(scope: Scope, event: CapturedEvent, applied: AppliedRestrictions | undefined): Verdict {
  const { parts, config, metrics } = scope
  const isOld = event.kind === 'analytics' && !event.isHistorical && isRerouted(config, event)
  if (isOld) metrics.count('capture_events_rerouted_historical')
  const isHistorical = event.isHistorical || isOld
  const isSkipped = event.isPersonProcessingOff || applied?.skipsPersonProcessing === true
  // Every event is charged, also one whose person processing is off already: its volume is the key's.
  const isOver =
    config.rateLimit.isEnabled &&
    event.kind !== 'replay' &&
    parts.events.charge(`${event.token}:${event.distinctId}`, 1)
  const isLimited = isOver && !isSkipped
  if (isLimited) metrics.count('capture_events_rate_limited_total')
  const overflow = overflowOf(scope, event, {
    isHistorical,
    isOver: isLimited,
    isForced: applied?.forcesOverflow === true,
  })
  const isPersonProcessingOff = isSkipped || isLimited || overflow === 'forced'
  const isChanged =
    isHistorical !== event.isHistorical || isPersonProcessingOff !== event.isPersonProcessingOff
  const final = isChanged ? { ...event, isHistorical, isPersonProcessingOff } : event
  const claims: AddressClaims = {
    deadLetters: applied?.redirectsToDeadLetters === true,
    topic: applied?.topic,
    historical: isHistorical,
    overflow: overflow === 'forced' ? 'spread' : overflow,
  }
  const headers = claims.deadLetters ? deadLetterHeaders(scope.clock.now()) : noHeaders
  return {
    kind: 'accept',
    routed: { event: final, ...addressOf(final, claims, config.aiOverflowTopic), headers },
    isLimited,
  }
}

function isRerouted(config: AdmissionConfig, event: CapturedEvent): boolean {
  if (!config.historicalRerouting) return false
  return event.timestampMs <= event.nowMs - config.historicalThresholdDays * dayMs
}

/**
 * Only main analytics, AI (where it has an overflow topic) and replay overflow. A restriction decides before
 * any bucket is touched.
 */
function overflowOf(
  scope: Scope,
  event: CapturedEvent,
  known: { isHistorical: boolean; isOver: boolean; isForced: boolean },
): 'none' | 'keep-key' | 'spread' | 'forced' {
  const { parts, config, metrics } = scope
  if (event.kind === 'replay') {
    const isListed = event.sessionId !== null && parts.replayOverflow.has('sessions', event.sessionId)
    return isListed || known.isForced ? 'keep-key' : 'none'
  }
  const isAnalytics = event.kind === 'analytics'
  if (isAnalytics ? known.isHistorical : event.kind !== 'ai' || config.aiOverflowTopic === '') return 'none'
  const count = (reason: string) => metrics.count('capture_events_rerouted_overflow', 1, { reason })
  if (known.isForced) {
    count('event_restriction')
    return 'keep-key'
  }
  const verdict = takeBucket(scope, event)
  if (verdict === 'forced') {
    count('force_limited')
    return 'forced'
  }
  if (verdict === 'limited') {
    count('rate_limited')
    metrics.count('capture_partition_key_capacity_exceeded_total')
    return config.overflow.keepsLocality ? 'keep-key' : 'spread'
  }
  // The rate limit spreads a hot id: its person processing is off, so its key is given up with it.
  if (known.isOver && isAnalytics) {
    count('global_rate_limit')
    return 'keep-key'
  }
  return 'none'
}

function takeBucket({ parts, config }: Scope, event: CapturedEvent) {
  if (!config.overflow.isEnabled) return 'within'
  const limiter = event.kind === 'ai' ? parts.aiOverflow : parts.overflow
  return limiter.take(eventKey(event), event.token)
}

function deadLetterHeaders(nowMs: number): Readonly<Record<string, string>> {
  return {
    dlq_reason: 'event_restriction',
    dlq_step: 'capture',
    dlq_timestamp: new Date(nowMs).toISOString(),
  }
}
