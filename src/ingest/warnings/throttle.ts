import { LRUCache } from 'lru-cache'
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { NewRecord } from '../../ports/log.ts'
import { clickhouseTime } from '../../std/time.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { WarningsConfig } from '../config.ts'
import { type Warning, warningRegister } from './register.ts'

/**
 * Lets a warning of one type through once per interval for each project (and key, if it has one): the first
 * says what is wrong, the next ten thousand would only cost. What a batch lets through counts only when the
 * batch is settled; a batch that is processed again sends its warnings again.
 */
export interface WarningThrottle {
  /** Records for the warnings topic, and what to call when they are durable. */
  admit(warnings: readonly Warning[]): { records: readonly NewRecord[]; confirm: () => void }
}

export function createWarningThrottle(
  ports: { clock: Clock; metrics: Metrics },
  config: WarningsConfig,
): WarningThrottle {
  const sentAt = new LRUCache<string, number>({ max: config.keysMax })
  return {
    admit(warnings) {
      const nowMs = ports.clock.monotonic()
      const time = clickhouseTime(ports.clock.now())
      const fresh = new Set<string>()
      const records: NewRecord[] = []
      for (const warning of warnings) {
        const key = `${warning.teamId}:${warning.type}:${warning.key ?? ''}`
        const lastMs = sentAt.get(key)
        const isDue = !fresh.has(key) && (lastMs === undefined || nowMs - lastMs >= config.intervalMs)
        const isSent = warning.isAlwaysSent === true || isDue
        ports.metrics.count('ingest_warnings_total', 1, { type: warning.type, sent: String(isSent) })
        if (!isSent) continue
        fresh.add(key)
        records.push(warningRecord(warning, time))
      }
      return { records, confirm: () => fresh.forEach((key) => void sentAt.set(key, nowMs)) }
    },
  }
}

/** As PostHog's warnings topic has it; category and severity cannot be overridden by a detail. */
function warningRecord(warning: Warning, time: string): NewRecord {
  const { category, severity } = warningRegister[warning.type]
  const { pipelineStep } = warning
  const details = {
    ...warning.details,
    category,
    severity,
    ...(pipelineStep === undefined ? {} : { pipelineStep }),
  }
  const row = {
    team_id: warning.teamId,
    type: warning.type,
    source: warning.source ?? 'ingest',
    details: JSON.stringify(details),
    timestamp: time,
  }
  return { topic: topics.readyWarnings, key: String(warning.teamId), value: Buffer.from(JSON.stringify(row)) }
}
