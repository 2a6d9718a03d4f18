/**
 * The stream engine: reads the log, lets a stage decide, writes what it decided, and only then settles.
 *
 * What holds, whatever fails and whenever the program dies:
 * - A batch's position moves in the same commit that makes its outputs, its drops, its dead letters and its
 *   ledger row durable, and after all that the stage has written elsewhere. Nothing is settled before.
 * - A batch's range is made durable before the stage sees it. After a crash exactly that range is read
 *   again, so a stage that names its writes elsewhere by the range can do them once.
 * - Batches of a partition are processed one after the other; partitions side by side, a bounded number of
 *   batches at once. A batch that waits for its turn is held, neither dropped nor settled, however long
 *   that takes.
 * - Every record of a settled batch has exactly one outcome, and the ledger's ranges tile the partition.
 * - What may succeed later is tried again for as long as it takes; the log says what is waited for. What
 *   cannot succeed later ends the run by an error: the platform decides what then.
 *
 * A stop is gentle: no new batch, the ones in hand are finished and settled. What is not done `drainMs`
 * later is abandoned and read again by the next run; being interrupted is not a failure.
 */
import { RowmillError } from '../errors/rowmill-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log, LogConsumer, PartitionLease } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { StreamConfig } from './config.ts'
import { measureLag } from './lag.ts'
import { runPartition } from './partition.ts'
import type { SettlementTopics } from './settlement.ts'
import { createSlots, type Slots } from './slots.ts'
import type { Stage } from './stage.ts'
import type { StageWatch } from './stage-watch.ts'

/** What the engine needs of the log. */
export type StreamLog = Pick<Log, 'consume' | 'describe' | 'positions'>
export type StreamPorts = {
  log: StreamLog
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
  /** Hears how the stage is. */
  watch?: StageWatch
}

export type StageRunOptions = {
  config: StreamConfig
  topics: SettlementTopics
  /** Where the group begins that has no position yet. Default: `earliest`. */
  start?: 'earliest' | 'latest'
  /** A position below the log's start ends the run by `OFFSET_OUT_OF_RANGE`; otherwise it is only told. */
  isStrict?: boolean
  /** See `ConsumeOptions`. */
  instanceId?: string | undefined
  /** Gentle: ends the run after the batches in hand. */
  stop: AbortSignal
  /** Hard: abandons what is in hand. */
  signal: AbortSignal
}

/** What the parts of one run share. */
export type StageRun = {
  ports: StreamPorts
  stage: Stage
  config: StreamConfig
  topics: SettlementTopics
  slots: Slots
  isStrict: boolean
  /** Leases whose loop has ended after the stop: given back when the consumer closes. */
  kept: PartitionLease[]
  /** No new batch. */
  stop: AbortSignal
  /** Give up what is in hand. */
  abort: AbortSignal
}

/**
 * Runs a stage until `stop` or `signal` aborts. Throws what no retry could mend, after the other partitions
 * have finished what they had in hand; several such errors as an `AggregateError`.
 */
export async function runStage(ports: StreamPorts, stage: Stage, options: StageRunOptions): Promise<void> {
  using _watched = ports.watch?.begin(stage.group)
  const failed = new AbortController()
  const overdue = new AbortController()
  const settled = new AbortController()
  const stop = AbortSignal.any([options.stop, options.signal, failed.signal])
  const abort = AbortSignal.any([options.signal, overdue.signal])
  const run: StageRun = {
    ports,
    stage,
    config: options.config,
    topics: options.topics,
    slots: createStageSlots(ports, stage, options.config),
    isStrict: options.isStrict ?? false,
    kept: [],
    stop,
    abort,
  }
  const failures: unknown[] = []
  const fail = (error: unknown) => {
    failures.push(error)
    failed.abort()
  }
  // The consumer outlives `stop`: its leases must hold until what is in hand is settled.
  const consumer = ports.log.consume({
    group: stage.group,
    topics: stage.topics,
    start: options.start ?? 'earliest',
    ...(options.instanceId === undefined ? {} : { instanceId: options.instanceId }),
    signal: abort,
  })
  const partitions = runPartitions(run, consumer, fail)
  const others = [
    measureLag(run, settled.signal).catch(fail),
    limitDrain(run, { overdue, signal: settled.signal }),
  ]
  await untilAborted(stop)
  await partitions.finished()
  settled.abort()
  const closing = closeConsumer(consumer, fail)
  await giveBack(run, fail)
  await Promise.all([closing, partitions.accepted, ...others])
  await partitions.finished()
  await giveBack(run, fail)
  if (failures.length > 1)
    throw new AggregateError(failures, `The stage ${stage.group} failed several times.`)
  if (failures.length === 1) throw failures[0]
}

type Partitions = {
  /** Resolves when no more leases come, which is after the consumer was closed. Never rejects. */
  accepted: Promise<void>
  /** Resolves when every lease that was begun has ended. Never rejects: failures go to `fail`. */
  finished(): Promise<void>
}

/** Takes leases as they come and runs a loop for each. */
function runPartitions(run: StageRun, consumer: LogConsumer, fail: (error: unknown) => void): Partitions {
  const loops = new Set<Promise<void>>()
  const begin = (lease: PartitionLease) => {
    const loop = runPartition(run, lease)
      .catch(fail)
      .finally(() => loops.delete(loop))
    loops.add(loop)
  }
  const accept = async () => {
    for await (const lease of consumer.leases()) begin(lease)
    if (!run.stop.aborted)
      throw new RowmillError('LOG_UNAVAILABLE', `The log ended the consumer of ${run.stage.group}.`)
  }
  return {
    accepted: accept().catch(fail),
    async finished() {
      while (loops.size > 0) await Promise.all(loops)
    },
  }
}

async function closeConsumer(consumer: LogConsumer, fail: (error: unknown) => void): Promise<void> {
  try {
    await consumer[Symbol.asyncDispose]()
  } catch (error) {
    fail(error)
  }
}

async function giveBack(run: StageRun, fail: (error: unknown) => void): Promise<void> {
  for (let lease = run.kept.pop(); lease !== undefined; lease = run.kept.pop())
    try {
      await lease[Symbol.asyncDispose]()
    } catch (error) {
      fail(error)
    }
}

function createStageSlots(ports: StreamPorts, stage: Stage, config: StreamConfig): Slots {
  const labels = { queue: `stream_${stage.group}` }
  ports.metrics.set('queue_bound', config.batchesInHandMax, labels)
  ports.metrics.set('queue_depth', 0, labels)
  return createSlots(config.batchesInHandMax, (held) => ports.metrics.set('queue_depth', held, labels))
}

/** Begins when the run stops; what is still in hand `drainMs` later is abandoned. */
async function limitDrain(
  run: StageRun,
  options: { overdue: AbortController; signal: AbortSignal },
): Promise<void> {
  await untilAborted(run.stop)
  await run.ports.clock.sleep(run.config.drainMs, { signal: options.signal })
  options.overdue.abort()
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
