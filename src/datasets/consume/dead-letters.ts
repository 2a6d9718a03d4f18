/** Dead letters of a storage: the engine keeps the message and its coordinates, here is what else is told. */
import type { LogRecord } from '../../ports/log.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { Ending } from '../processor/run-batch.ts'

type DeadLetter = Outcome & { kind: 'dead-letter' }

const stackTextMax = 4000

export function invalidMessage(record: LogRecord, ending: Ending & { kind: 'invalid' }): DeadLetter {
  const { reason, message, stack, path } = ending
  return {
    kind: 'dead-letter',
    reason,
    error: message,
    headers: { ...originOf(record), dlq_path: path, dlq_stack: stack.slice(0, stackTextMax) },
  }
}

export function schemaViolated(record: LogRecord, mismatch: { path: string; message: string }): DeadLetter {
  return {
    kind: 'dead-letter',
    reason: 'schema_violated',
    error: mismatch.message,
    headers: { ...originOf(record), dlq_path: mismatch.path, dlq_stack: '' },
  }
}

export function tooOld(record: LogRecord, thresholdMs: number): DeadLetter {
  return {
    kind: 'dead-letter',
    reason: 'too_old_message',
    error: `The message is older than ${thresholdMs / 1000} s.`,
    headers: { ...originOf(record), dlq_path: '', dlq_stack: '' },
  }
}

export function rowRefused(record: LogRecord, error: unknown): DeadLetter {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return {
    kind: 'dead-letter',
    reason: 'row_refused',
    error,
    headers: { ...originOf(record), dlq_path: '', dlq_stack: stack.slice(0, stackTextMax) },
  }
}

/**
 * Where the message stood when it failed for the first time. The names of partition and offset are Arroyo's. A
 * dead letter that is processed again and fails again keeps them, while the engine's `dlq_…` tell of the last time.
 */
function originOf({ headers, topic, partition, offset, timestampMs }: LogRecord): Record<string, string> {
  if (typeof headers.original_topic === 'string') return {}
  return {
    original_topic: topic,
    original_partition: String(partition),
    original_offset: String(offset),
    original_timestamp: String(timestampMs),
  }
}
