import type { LogBatch, LogRecord, NewRecord } from '../ports/log.ts'
import type { Outcome } from './outcome.ts'

/**
 * A stage is what a role does with the records of some topics: the engine reads, retries, counts, writes and
 * settles; the stage only decides. For each partition that is leased to this process the engine opens a
 * `PartitionStage`, gives it one batch after another, and disposes it when the lease ends, so that state
 * never outlives a lease.
 */
export interface Stage {
  /** The consumer group, and the stage's name in the ledger, the drops and the metrics. */
  readonly group: string
  readonly topics: readonly string[]
  /** How its batches are cut, where the run's config does not fit it. */
  readonly batch?: { recordsMax: number; bytesMax: number; waitMs: number }
  /** `false` where the stage reads the ledger or the drops: their rows would feed it for ever. */
  readonly hasLedger?: boolean
  /** Where its dead letters go, if not to the run's topic. */
  readonly deadLetterTopic?: string
  openPartition(partition: LeasedPartition): Promise<PartitionStage>
  /**
   * Who a dropped or dead-lettered record was about, where its headers do not say. Called for those records
   * only; must not throw, whatever the record holds.
   */
  identify?(record: LogRecord): RecordIdentity
}

/** Empty text where it cannot be told. */
export type RecordIdentity = { uuid: string; distinct_id: string; token: string; event: string }

/** Handed to a stage when a partition is leased to it. */
export type LeasedPartition = {
  topic: string
  partition: number
  position: number
  /** See `PartitionLease`. */
  resets?: number
  signal: AbortSignal
}

export interface PartitionStage extends AsyncDisposable {
  /**
   * Processes one batch. May be called again with the same batch: after a failure that is worth a retry, and
   * after a crash, then with exactly the same range. All that it has written elsewhere must be durable when
   * it resolves.
   */
  process(batch: LogBatch, options: { signal: AbortSignal }): Promise<StageResult>
}

export type StageResult = {
  /** One per record of the batch, in their order. */
  outcomes: readonly Outcome[]
  /** Records of the batch as a whole, written in the same commit. */
  records?: readonly NewRecord[]
  /** Runs after the commit is durable. */
  afterCommit?: () => void
}
