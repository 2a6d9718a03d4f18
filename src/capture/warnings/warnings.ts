/**
 * What capture tells a project about its own events: ids that it cut, events that it dropped or refused. As in
 * PostHog's capture a warning is a `$$client_ingestion_warning` event whose distinct id is the token; ingest makes
 * a row of `ingestion_warnings` of it. Off by default.
 *
 * A warning beside accepted events goes into their append. One about a refused request has an append of its own,
 * which never changes the answer: a warning that cannot be written is counted and lost. Whoever sends nothing
 * but nonsense gets one warning of a type per interval, so that refusals do not fill the log.
 */
import { LRUCache } from 'lru-cache'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import { createUuidSource } from '../../std/uuid.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RoutedEvent } from '../captured-event.ts'
import type { Sink } from '../sink.ts'
import type { WarningsConfig } from './config.ts'

export const captureWarningTypes = [
  'message_size_too_large',
  'missing_event_name',
  'event_name_too_long',
  'missing_distinct_id',
  'distinct_id_too_large',
  'distinct_id_truncated',
  'invalid_event_timestamp',
  'malformed_event_properties',
  'invalid_options',
  'empty_batch',
  'invalid_batch',
  'missing_event_uuid',
  'invalid_event_uuid',
  'duplicate_event_uuid',
] as const
export type CaptureWarningType = (typeof captureWarningTypes)[number]

export type CaptureWarning = {
  type: CaptureWarningType
  /** How many events it is about. */
  count: number
  /** Ids and sizes, never properties. */
  details?: Readonly<Record<string, unknown>>
}
/** Where a warning comes from. */
export type WarnedRequest = {
  token: string
  /** The route. */
  path: string
  sdk?: { lib: string; version: string } | undefined
}

export interface CaptureWarnings {
  readonly isEnabled: boolean
  /** The events of those warnings that are due; none while warnings are off. */
  route(warnings: readonly CaptureWarning[], request: WarnedRequest): RoutedEvent[]
  /** Writes them. Never fails for what the log refuses. */
  send(warnings: readonly CaptureWarning[], request: WarnedRequest): Promise<void>
}

export function isCaptureWarningType(text: unknown): text is CaptureWarningType {
  return captureWarningTypes.some((type) => type === text)
}

type WarningDeps = { clock: Clock; random: Random; metrics: Metrics; sink: Sink }

export function createWarnings(deps: WarningDeps, config: WarningsConfig): CaptureWarnings {
  const { clock, metrics, sink } = deps
  const uuids = createUuidSource((length) => deps.random.bytes(length))
  const sentAt = new LRUCache<string, number>({ max: config.keysMax })
  const isDue = (key: string, nowMs: number) => {
    const lastMs = sentAt.get(key)
    if (lastMs !== undefined && nowMs - lastMs < config.intervalMs) return false
    sentAt.set(key, nowMs)
    return true
  }
  const route: CaptureWarnings['route'] = (warnings, request) => {
    if (!config.isEnabled) return []
    const nowMs = clock.now()
    return warnings
      .filter(({ type }) => isDue(`${request.token}:${type}`, nowMs))
      .map((warning) => warningEvent(warning, request, { nowMs, uuid: uuids.v7(nowMs) }))
  }
  return {
    isEnabled: config.isEnabled,
    route,
    async send(warnings, request) {
      const routed = route(warnings, request)
      if (routed.length === 0) return
      try {
        await sink.publish(routed, [])
      } catch (error) {
        if (!isRowmillError(error)) throw error
        metrics.count('capture_warnings_lost_total', routed.length)
      }
    },
  }
}

function warningEvent(
  { type, count, details }: CaptureWarning,
  { token, path, sdk }: WarnedRequest,
  { nowMs, uuid }: { nowMs: number; uuid: string },
): RoutedEvent {
  const event = '$$client_ingestion_warning'
  const properties = {
    $$client_ingestion_warning_type: type,
    $$client_ingestion_warning_source: 'capture',
    $$client_ingestion_warning_details: {
      ...details,
      lib: sdk?.lib ?? 'unknown',
      libVersion: sdk?.version ?? 'unknown',
      path,
      count,
      pipelineStep: 'capture_validation',
    },
  }
  return {
    event: {
      uuid,
      distinctId: token,
      event,
      token,
      ip: '127.0.0.1',
      nowMs,
      sentAt: undefined,
      timestampMs: nowMs,
      data: JSON.stringify({ distinct_id: token, uuid, event, properties }),
      sessionId: null,
      kind: 'client-warning',
      isCookieless: false,
      isHistorical: false,
      isPersonProcessingOff: false,
      isHeatmapSplit: false,
    },
    topic: topics.clientWarnings,
    key: `${token}:${token}`,
    headers: {},
  }
}
