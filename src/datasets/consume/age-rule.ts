/**
 * Sets old messages aside instead of making rows of them, so that a consumer that is far behind catches up. Off
 * unless a live option names the storage; behaviour of Snuba's consumer. Which of the old messages are chosen
 * follows from their offsets, so a batch that is read again chooses the same ones.
 */
import type { LogRecord } from '../../ports/log.ts'
import type { Live } from './processor-context.ts'

export type AgeRule = { thresholdMs: number; share: number; nowMs: number }

const thresholdSecondsDefault = 600

export function ageRule(storage: string, live: Live, nowMs: number): AgeRule | undefined {
  const options = live()
  const shares = options['consumer.dlq_by_age_sample_rate_by_storage']
  const share = isRecord(shares) ? Number(shares[storage] ?? 0) : 0
  if (!(share > 0)) return undefined
  const seconds = Number(options['consumer.dlq_by_age_threshold_seconds'] ?? thresholdSecondsDefault)
  return { thresholdMs: seconds * 1000, share, nowMs }
}

export function isOld({ timestampMs }: LogRecord, { thresholdMs, nowMs }: AgeRule): boolean {
  return nowMs - timestampMs > thresholdMs
}

/** Spreads offsets evenly over 0 to 1. */
export function isChosen({ offset }: LogRecord, { share }: AgeRule): boolean {
  return (Math.imul(offset, 0x9e3779b1) >>> 0) / 2 ** 32 < share
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object'
}
