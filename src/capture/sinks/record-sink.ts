import type { NewRecord } from '../../ports/log.ts'

/**
 * Where capture writes: the log, or what stands in its place. `append` resolves when all the records are as
 * durable as the sink promises, and fails with the log's errors: `LOG_UNAVAILABLE` and `LOG_FULL` where the same
 * records may be taken later, `RECORD_TOO_LARGE` and `TOPIC_UNKNOWN` where they never will be.
 */
export interface RecordSink {
  append(records: readonly NewRecord[]): Promise<unknown>
}
