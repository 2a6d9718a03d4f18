/**
 * The life of one lease: open the stage's partition, give it batch after batch, settle each, and dispose it
 * all when the lease ends. State that a stage keeps for a partition therefore never meets a lease that came
 * later.
 */
import { isRetryable, isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import type { LogBatch, PartitionLease } from '../ports/log.ts'
import { retry } from '../std/retry.ts'
import { withoutLargest } from './fit.ts'
import { identifyByHeaders, type Settlement, settle } from './settlement.ts'
import type { PartitionStage, StageResult } from './stage.ts'
import type { StageRun } from './stream.ts'

type Lease = {
  run: StageRun
  lease: PartitionLease
  /** Aborts when the lease or the run is over, whatever is in hand. */
  signal: AbortSignal
}

/**
 * Resolves when the lease has ended or the run stops; throws what no retry can mend. The lease is given back
 * here only while the run goes on: after a stop or a failure it would come straight back.
 */
export async function runPartition(run: StageRun, lease: PartitionLease): Promise<void> {
  const own: Lease = { run, lease, signal: AbortSignal.any([run.abort, lease.signal]) }
  using _held = run.ports.watch?.lease(run.stage.group)
  let hasFailed = false
  try {
    if (run.stop.aborted || own.signal.aborted) return
    announce(own)
    await runBatches(own)
  } catch (error) {
    hasFailed = !isInterruption(own, error)
    if (hasFailed) throw error
    run.ports.logger.debug({ ...fieldsOf(own), error }, 'A batch was interrupted and will be read again')
  } finally {
    if (hasFailed || run.stop.aborted) run.kept.push(lease)
    else await lease[Symbol.asyncDispose]()
  }
}

async function runBatches(own: Lease): Promise<void> {
  const { run, lease, signal } = own
  await using partition = await retryPatiently(own, 'open', () =>
    run.stage.openPartition({
      topic: lease.topic,
      partition: lease.partition,
      position: lease.position,
      resets: lease.resets,
      signal,
    }),
  )
  const { batchRecordsMax, batchBytesMax, batchWaitMs } = run.config
  const cut = { recordsMax: batchRecordsMax, bytesMax: batchBytesMax, waitMs: batchWaitMs }
  const batches = lease.batches({ ...(run.stage.batch ?? cut), signal: run.stop })
  for await (const batch of batches) {
    // A batch is carried over here for as long as all slots are taken; a stop in the meantime gives it its turn.
    await run.slots.hold(() => runBatch(own, partition, batch), { signal })
    if (signal.aborted) return
  }
}

async function runBatch(own: Lease, partition: PartitionStage, batch: LogBatch): Promise<void> {
  const { run, lease, signal } = own
  const { clock, metrics, logger, watch } = run.ports
  using _inHand = watch?.batch(run.stage.group)
  const labels = { group: run.stage.group, topic: batch.topic }
  const startedMs = clock.monotonic()

  await retryPatiently(own, 'intend', () => lease.intend(batch.until))
  const result = await retryPatiently(own, 'process', () => partition.process(batch, { signal }))
  const settlement = await commitBatch(own, batch, result)
  result.afterCommit?.()

  const seconds = (clock.monotonic() - startedMs) / 1000
  metrics.observe('stream_batch_seconds', seconds, labels)
  metrics.observe('stream_batch_records', batch.records.length, labels)
  for (const [outcome, count] of outcomesOf(settlement))
    if (count > 0) metrics.count('stream_records_total', count, { ...labels, outcome })
  logger.debug(
    { ...fieldsOf(own), from: batch.from, until: batch.until, records: batch.records.length, seconds },
    'Settled a batch',
  )
}

/** Settles the batch; an outcome that does not fit into the log is replaced until the rest does. */
async function commitBatch(own: Lease, batch: LogBatch, result: StageResult): Promise<Settlement> {
  let fitting = result
  for (;;) {
    const settlement = settlementOf(own, batch, fitting)
    const { records } = settlement
    try {
      await retryPatiently(own, 'commit', () => own.lease.commit({ offset: batch.until, records }))
      return settlement
    } catch (error) {
      if (!isRowmillError(error, 'RECORD_TOO_LARGE')) throw error
      const outcomes = withoutLargest(batch, fitting, error)
      if (outcomes === undefined) throw error
      fitting = { ...fitting, outcomes }
    }
  }
}

function settlementOf({ run }: Lease, batch: LogBatch, result: StageResult): Settlement {
  const { stage } = run
  return settle(batch, result, {
    stage: stage.group,
    topics: { ...run.topics, deadLetters: stage.deadLetterTopic ?? run.topics.deadLetters },
    hasLedger: stage.hasLedger ?? true,
    identify: (record) => stage.identify?.(record) ?? identifyByHeaders(record),
    nowMs: run.ports.clock.now(),
  })
}

function outcomesOf({ ledger }: Settlement): [outcome: string, count: number][] {
  return [
    ['next', ledger.out],
    ['drop', ledger.dropped],
    ['divert', ledger.diverted],
    ['dead-letter', ledger.dead_lettered],
  ]
}

type Step = 'open' | 'intend' | 'process' | 'commit'

/** Tries again for as long as the error may pass and the lease lasts. */
function retryPatiently<T>(own: Lease, step: Step, call: () => Promise<T>): Promise<T> {
  const { run, lease, signal } = own
  const { clock, random, metrics, logger } = run.ports
  const labels = { group: run.stage.group, topic: lease.topic }
  return retry(call, {
    policy: {
      attemptsMax: Number.POSITIVE_INFINITY,
      delayMs: run.config.retryDelayMs,
      delayMaxMs: run.config.retryDelayMaxMs,
    },
    isRetryable,
    sleep: (ms, options) => clock.sleep(ms, options),
    random: () => random.next(),
    onRetry: (error, attempt) => {
      metrics.count('stream_retries_total', 1, labels)
      const waitsFor = isRowmillError(error) ? error.code : undefined
      logger.warn({ ...fieldsOf(own), step, attempt, waitsFor, error }, 'A batch waits and is tried again')
    },
    signal,
  })
}

/**
 * Whether an error only says that the work was cut short: the lease went away, or the run was aborted and
 * an operation ended because of it. A bug is a bug even then.
 */
function isInterruption({ signal }: Lease, error: unknown): boolean {
  if (isRowmillError(error, 'LEASE_LOST')) return true
  if (!signal.aborted) return false
  if (error instanceof RowmillError || error === signal.reason) return true
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}

function announce(own: Lease): void {
  const { lease, run } = own
  run.ports.logger.debug({ ...fieldsOf(own), position: lease.position }, 'A partition was leased')
  if (lease.skippedTo === undefined) return
  if (run.isStrict) throw offsetOutOfRange(run.stage.group, lease, lease.skippedTo)
  run.ports.logger.error(
    { ...fieldsOf(own), position: lease.position, skippedTo: lease.skippedTo },
    'Records were deleted by retention before this group had read them',
  )
}

type Place = Pick<PartitionLease, 'topic' | 'partition' | 'position'>

/** Names the one command that recovers. */
export function offsetOutOfRange(group: string, place: Place, start: number): RowmillError {
  const { topic, partition, position } = place
  return new RowmillError(
    'OFFSET_OUT_OF_RANGE',
    `Group ${group} stands at offset ${position} of ${topic}/${partition}, but the log begins at ${start}: ${start - position} records were deleted unread. To go on with what is there, run: ${resetCommand(group, topic)}`,
  )
}

export function resetCommand(group: string, topic: string): string {
  return `rowmill offsets reset --group ${group} --topic ${topic} --to earliest`
}

function fieldsOf({ run, lease }: Lease): { group: string; topic: string; partition: number } {
  return { group: run.stage.group, topic: lease.topic, partition: lease.partition }
}
