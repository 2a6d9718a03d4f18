/**
 * Where a request's events become durable: one append for all of them and for the drops of admission, so that
 * after a crash either all of a request is there or nothing. A success is answered only after it.
 */
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { DropReason, DropRow } from '../event/drop.ts'
import { topics } from '../event/topics.ts'
import type { NewRecord } from '../ports/log.ts'
import { clickhouseTime } from '../std/time.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CapturedEvent, RoutedEvent } from './captured-event.ts'
import { toRecord } from './message.ts'
import type { RecordSink } from './sinks/record-sink.ts'

export type Dropped = { event: CapturedEvent; reason: DropReason; details?: Record<string, unknown> }

export interface Sink {
  /**
   * Resolves when everything is durable. Fails with `RECORD_TOO_LARGE` before anything is written if one message
   * is too large, and with the log's errors.
   */
  publish(routed: readonly RoutedEvent[], drops: readonly Dropped[]): Promise<void>
}

export function createSink(
  ports: { log: RecordSink; metrics: Metrics },
  limits: { messageBytesMax: number },
): Sink {
  const { log, metrics } = ports
  return {
    async publish(routed, drops) {
      const records: NewRecord[] = []
      for (const one of routed) {
        const record = toRecord(one)
        if (record.value.length > limits.messageBytesMax) throw tooLarge(record, limits.messageBytesMax)
        records.push(record)
      }
      for (const drop of drops) records.push(toDropRecord(drop))
      if (records.length === 0) return
      await log.append(records)
      if (routed.length > 0) metrics.count('capture_events_ingested_total', routed.length)
      for (const { reason } of drops) metrics.count('capture_events_dropped_total', 1, { cause: reason })
    },
  }
}

/** The written reason of an event that admission has dropped: it never had an offset. */
export function toDropRecord(drop: Dropped): NewRecord {
  const { event } = drop
  const row: DropRow = {
    uuid: event.uuid,
    distinct_id: event.distinctId,
    token: event.token,
    event: event.event,
    stage: 'capture',
    ended: 'drop',
    reason: drop.reason,
    details: JSON.stringify(drop.details ?? {}),
    topic: '',
    partition: 0,
    offset: -1,
    time: clickhouseTime(event.nowMs),
  }
  return { topic: topics.drops, key: event.uuid, value: Buffer.from(JSON.stringify(row)) }
}

/** Whether the log refused for now: the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  return isRowmillError(error, 'LOG_UNAVAILABLE') || isRowmillError(error, 'LOG_FULL')
}

function tooLarge(record: NewRecord, messageBytesMax: number): RowmillError {
  return new RowmillError(
    'RECORD_TOO_LARGE',
    `maximum event size exceeded: an event makes a message of ${record.value.length} bytes, more than ${messageBytesMax}`,
  )
}
