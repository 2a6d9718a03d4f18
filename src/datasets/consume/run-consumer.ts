/**
 * Runs a storage's stage as a consumer: with its place to begin, its time to join and leave, its health file,
 * and its own end where it has one.
 *
 * A dry run reads from where the group stands and does everything but write: an insert is a wait, nothing is
 * settled, no group is registered, no topic and no table is created. It may run beside a program that owns
 * the log.
 */
import { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { Random } from '../../ports/random.ts'
import type { StreamConfig } from '../../stream/config.ts'
import type { SettlementTopics } from '../../stream/settlement.ts'
import { runStage, type StreamLog } from '../../stream/stream.ts'
import { compileMessageSchema } from '../storage/message-schema.ts'
import type { Storage } from '../storage/storage.ts'
import type { ConsumerConfig } from './config.ts'
import { type ConsumePorts, createConsumerStage, groupOf } from './consume.ts'
import { openRunners, type Runners } from './open-runners.ts'
import type { Live } from './processor-context.ts'
import { createDryLog, type ReadableLog } from './run-consumer/dry-log.ts'
import { prepareOffsets, untilDone } from './run-consumer/offsets.ts'
import { createPulse, type Pulse, runHealthFile } from './run-consumer/pulse.ts'
import type { SchemaRule } from './select-records.ts'

export type ConsumerPorts = ConsumePorts & { random: Random }

export type RunConsumerOptions = {
  config: ConsumerConfig
  stream: StreamConfig
  topics: SettlementTopics
  live: Live
  /** Gentle: no new batch. */
  stop: AbortSignal
  /** Hard: what is in hand is abandoned. */
  signal: AbortSignal
}

/** The storage with the topics that the config puts in place of its own. */
export function withTopicsOf(config: ConsumerConfig, storage: Storage): Storage {
  const { stream } = storage
  return {
    ...storage,
    stream: {
      ...stream,
      topic: config.rawTopic ?? stream.topic,
      commitLogTopic: config.commitLogTopic ?? stream.commitLogTopic,
      replacementTopic: config.replacementTopic ?? stream.replacementTopic,
    },
  }
}

/**
 * Resolves after a stop, or when it is done and `endsWhenDone`. Throws what no retry could mend, among it
 * `OFFSET_OUT_OF_RANGE`, `DEAD_LETTER_LIMIT`, `PROCESSOR_UNKNOWN` and `PROCESSOR_INVALID`. Topics and tables are there.
 */
export async function runConsumer(
  ports: ConsumerPorts & { log: Log },
  storage: Storage,
  options: RunConsumerOptions,
): Promise<void> {
  const { config, stop } = options
  const { clock, log } = ports
  const reader = { group: config.group ?? groupOf(storage), topic: storage.stream.topic }
  await alignToMultiple(clock, delaySeconds(options, reader.group), stop)
  if (stop.aborted) return
  await prepareOffsets(log, reader, config)
  await run({ ...ports, readable: log }, storage, options)
}

/** The same for a dry run; `config.dryRunMs` says how long an insert takes. */
export async function runDryConsumer(
  ports: ConsumerPorts & { log: ReadableLog },
  storage: Storage,
  options: RunConsumerOptions,
): Promise<void> {
  const log = createDryLog(ports.log, ports.clock)
  await run({ ...ports, log, readable: ports.log }, storage, options)
}

/** Opens the storage's processor and closes it again. Fails as `runConsumer` would because of it. */
export async function checkProcessor(
  ports: ConsumerPorts,
  storage: Storage,
  options: Pick<RunConsumerOptions, 'config' | 'live'>,
): Promise<void> {
  const runners = await openOwnRunners(ports, storage, options)
  await runners[Symbol.asyncDispose]()
}

function openOwnRunners(
  ports: ConsumerPorts,
  storage: Storage,
  { config, live }: Pick<RunConsumerOptions, 'config' | 'live'>,
): Promise<Runners> {
  const { processor: wish, concurrency: threadsMax } = config
  return openRunners(ports, storage, { wish, threadsMax, config: config.processor, live })
}

type RunPorts = ConsumerPorts & { log: StreamLog; readable: Pick<Log, 'offsetAt'> }

async function run(ports: RunPorts, storage: Storage, options: RunConsumerOptions): Promise<void> {
  const { config } = options
  const { clock } = ports
  await using runners = await openOwnRunners(ports, storage, options)
  const schema = await schemaRule(storage, config)
  const pulse = config.healthFile === undefined ? undefined : createPulse()
  const stage = createConsumerStage(ports, storage, {
    openRunner: runners.open,
    group: config.group ?? groupOf(storage),
    batch: batchOf(storage, config),
    schema,
    stopAtSeconds: config.stopAtSeconds,
    writing: writingOf(config),
    pulse,
    live: options.live,
  })
  const ended = new AbortController()
  const stop = leavingSignal(clock, {
    ...options,
    seconds: () => delaySeconds(options, stage.group),
    ended: ended.signal,
  })
  const running = runStage(ports, stage, {
    config: {
      ...options.stream,
      batchesInHandMax: config.batchesInHandMax,
      drainMs: config.drainMs ?? options.stream.drainMs,
    },
    topics: options.topics,
    start: config.offsetReset === 'latest' ? 'latest' : 'earliest',
    isStrict: config.isOffsetResetStrict,
    instanceId: config.instanceId,
    stop,
    signal: options.signal,
  }).finally(() => ended.abort())
  const reader = { group: stage.group, topic: storage.stream.topic }
  const goal = { stopAtSeconds: config.stopAtSeconds, signal: AbortSignal.any([ended.signal, options.stop]) }
  const watching = [
    watchHealth(ports, { path: config.healthFile, pulse, signal: ended.signal }),
    config.endsWhenDone ? untilDone(ports, reader, goal).then(() => ended.abort()) : undefined,
  ]
  await Promise.all([running, ...watching])
}

async function schemaRule(
  storage: Storage,
  config: ConsumerConfig,
): Promise<Omit<SchemaRule, 'onViolation'> | undefined> {
  const { messageSchema } = storage.stream
  const { isSchemaEnforced: isEnforced, schemaChecksPerBatchMax: checksPerBatchMax } = config
  if (messageSchema !== undefined) {
    const check = await compileMessageSchema(messageSchema)
    return { check, isEnforced, checksPerBatchMax }
  }
  if (isEnforced)
    throw new RowmillError(
      'CONFIG_INVALID',
      `The schema of messages shall be enforced, but the storage ${storage.name} names none.`,
    )
  return undefined
}

function batchOf({ writer }: Storage, config: ConsumerConfig) {
  const recordsMax = config.batchRecordsMax ?? writer.rowsMax
  return {
    recordsMax: Math.min(recordsMax, config.deadLetterBufferRecordsMax ?? recordsMax),
    bytesMax: config.batchBytesMax ?? writer.bytesMax,
    waitMs: config.batchWaitMs ?? writer.waitMs,
  }
}

function writingOf({ isWriteSkipped, dryRunMs }: ConsumerConfig) {
  if (dryRunMs !== undefined) return { dryRunMs }
  return isWriteSkipped ? 'skip' : 'on'
}

async function watchHealth(
  ports: ConsumerPorts,
  { path, pulse, signal }: { path: string | undefined; pulse: Pulse | undefined; signal: AbortSignal },
): Promise<void> {
  if (path !== undefined && pulse !== undefined) await runHealthFile(ports, { path, pulse, signal })
}

/** To whose multiples the group joins and leaves: a live option names groups, the config holds for the others. */
function delaySeconds({ config, live }: Pick<RunConsumerOptions, 'config' | 'live'>, group: string): number {
  const byGroup = z
    .record(z.string(), z.number())
    .safeParse(live().quantized_rebalance_consumer_group_delay_secs)
  return byGroup.data?.[group] ?? config.rebalanceDelaySeconds
}

type Leaving = {
  seconds: () => number
  stop: AbortSignal
  signal: AbortSignal
  /** The run is over by itself. */
  ended: AbortSignal
}

/** The stop as the engine is told of it: at the next multiple of seconds, until which work goes on. */
function leavingSignal(clock: Clock, { seconds, stop, signal, ended }: Leaving): AbortSignal {
  const leave = new AbortController()
  const hurry = AbortSignal.any([signal, ended])
  const wait = () => void alignToMultiple(clock, seconds(), hurry).then(() => leave.abort())
  if (stop.aborted) wait()
  else stop.addEventListener('abort', wait, { once: true })
  return AbortSignal.any([leave.signal, ended])
}

/** Sleeps until the wall clock shows a multiple of so many seconds. */
async function alignToMultiple(clock: Clock, seconds: number, signal: AbortSignal): Promise<void> {
  const quantumMs = seconds * 1000
  const past = quantumMs === 0 ? 0 : clock.now() % quantumMs
  if (past > 0) await clock.sleep(quantumMs - past, { signal })
}
