/** Captured messages as they stand on the log, for tests of what reads them. */
import { topics } from '../../src/event/topics.ts'
import type { LogBatch, LogRecord } from '../../src/ports/log.ts'

export type CapturedInput = {
  uuid?: string
  event?: string
  distinctId?: string
  token?: string
  ip?: string
  properties?: Record<string, unknown>
  /** More of the event inside `data`. */
  data?: Record<string, unknown>
  /** More of the message around it. */
  message?: Record<string, unknown>
  headers?: Record<string, string | null>
  timestampMs?: number
  nowMs?: number
  key?: string | null
}

export const capturedNowMs = Date.UTC(2026, 0, 15, 12)
export const capturedToken = 'phc_test'

/** A uuid that carries a number. */
export function uuidOf(number: number): string {
  return `0190b9f0-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
}

export function capturedRecord(
  input: CapturedInput,
  place: { topic?: string; partition?: number; offset?: number } = {},
): LogRecord {
  const { topic = topics.captured, partition = 0, offset = 0 } = place
  const nowMs = input.nowMs ?? capturedNowMs
  const uuid = input.uuid ?? uuidOf(offset)
  const { event = 'visited', distinctId = 'someone', token = capturedToken } = input
  const now = new Date(nowMs).toISOString()
  const timestampMs = input.timestampMs ?? nowMs - 1000
  const timestamp = new Date(timestampMs).toISOString()
  const data = {
    token,
    distinct_id: distinctId,
    uuid,
    event,
    properties: input.properties ?? {},
    ...input.data,
  }
  const message = {
    uuid,
    distinct_id: distinctId,
    ip: input.ip ?? '203.0.113.7',
    data: JSON.stringify(data),
    now,
    token,
    event,
    timestamp,
    ...input.message,
  }
  const headers = {
    token,
    distinct_id: distinctId,
    session_id: null,
    timestamp: String(timestampMs),
    event,
    uuid,
    now,
    force_disable_person_processing: null,
    historical_migration: null,
    ...input.headers,
  }
  const key = input.key === undefined ? `${token}:${distinctId}` : input.key
  return {
    topic,
    partition,
    offset,
    timestampMs: nowMs,
    key: key === null ? null : Buffer.from(key),
    value: Buffer.from(JSON.stringify(message)),
    headers,
  }
}

/** One batch of these events, in their order. */
export function capturedBatch(
  inputs: readonly CapturedInput[],
  place: { topic?: string; partition?: number; from?: number } = {},
): LogBatch {
  const { topic = topics.captured, partition = 0, from = 0 } = place
  const records = inputs.map((input, at) => capturedRecord(input, { topic, partition, offset: from + at }))
  return { topic, partition, from, until: from + inputs.length, records }
}
