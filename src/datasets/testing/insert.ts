/**
 * Takes messages through a storage's whole consumer, except the log: schema, processor, insert, replacements.
 * They count as one batch of partition 0; the offset of the first is the time in ms.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LogBatch, LogRecord } from '../../ports/log.ts'
import type { Random } from '../../ports/random.ts'
import { uuidV4 } from '../../std/uuid.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { BatchRunner } from '../consume/batch-runner.ts'
import { groupOf } from '../consume/consume.ts'
import { openRunners } from '../consume/open-runners.ts'
import { processBatch } from '../consume/process-batch.ts'
import type { Live } from '../consume/processor-context.ts'
import type { ReplacerConfig } from '../replace/config.ts'
import { createReplacerStage } from '../replace/replacer.ts'
import { type CheckMessage, compileMessageSchema } from '../storage/message-schema.ts'
import type { Storage } from '../storage/storage.ts'
import type { ProcessorConfig } from '../user/config.ts'
import type { Namespace } from './namespaces.ts'

export type InsertPorts = { clock: Clock; random: Random; metrics: Metrics; logger: Logger; cache: Cache }

export type InsertOptions = {
  replacer: ReplacerConfig
  processor: ProcessorConfig
  live: (storage: string) => Live
  signal: AbortSignal
}

export type InsertRequest = {
  storage: Storage
  namespace: Namespace
  messages: readonly Buffer[]
  /** Time of the processor and of the messages, in ms. Default: now. */
  nowMs?: number | undefined
  /** Nothing is written unless all of them can be. */
  isWhole: boolean
  isSchemaEnforced: boolean
}

export type Inserted = {
  rows: number
  replacements: number
  offsets: number[]
  rejected: RejectedMessage[]
  /** Messages that the processor skipped. */
  skipped: { index: number; reason: string }[]
}

export type RejectedMessage = { index: number; reason: string; error: string; path: string }

/** Answers when the rows can be read. Where `isWhole`, a rejected message fails with `MESSAGE_REJECTED`. */
export async function insertMessages(
  ports: InsertPorts,
  request: InsertRequest,
  options: InsertOptions,
): Promise<Inserted> {
  const { storage, namespace, messages, nowMs } = request
  await namespace.prepare(storage)
  const clock = nowMs === undefined ? ports.clock : frozen(ports.clock, nowMs)
  const batch = batchOf(storage, messages, { clock, random: ports.random })
  await using runners = await openRunners({ ...ports, clock }, storage, {
    wish: {},
    threadsMax: 1,
    config: options.processor,
    live: options.live(storage.name),
  })
  await using runner = await runners.open()
  const counted = createCountingRunner(runner)
  const { outcomes } = await processBatch(
    {
      ports: { ...ports, clock, warehouse: namespace.warehouse },
      storage,
      group: groupOf(storage),
      rules: {
        preFilter: undefined,
        stopAtSeconds: undefined,
        schema: request.isSchemaEnforced ? await schemaRule(storage) : undefined,
      },
      runner: counted,
      policy: { judge: (_, judged) => judge(request, judged) },
      writing: 'on',
      resets: 0,
    },
    batch,
    options,
  )
  const replacements = await replaceAll({ ...ports, clock }, { request, batch, outcomes }, options)
  return {
    rows: counted.rows(outcomes),
    replacements,
    offsets: batch.records.map(({ offset }) => offset),
    rejected: outcomes.flatMap(rejectedOf),
    skipped: outcomes.flatMap((outcome, index) =>
      outcome.kind === 'drop' ? [{ index, reason: String(outcome.details?.why ?? outcome.reason) }] : [],
    ),
  }
}

/** Time stands still, but what waits does not wait for ever. */
function frozen(clock: Clock, nowMs: number): Clock {
  return {
    now: () => nowMs,
    monotonic: () => clock.monotonic(),
    sleep: (ms, options) => clock.sleep(ms, options),
  }
}

/** Each request is a topic of its own, so that no insert counts as a repetition of another. */
function batchOf(
  storage: Storage,
  messages: readonly Buffer[],
  { clock, random }: { clock: Clock; random: Random },
): LogBatch {
  const nowMs = clock.now()
  const records = messages.map(
    (value, index): LogRecord => ({
      topic: storage.stream.topic,
      partition: 0,
      offset: nowMs + index,
      timestampMs: nowMs,
      key: null,
      value,
      headers: {},
    }),
  )
  const topic = `${storage.stream.topic}/${uuidV4(random.bytes(16))}`
  return { topic, partition: 0, from: nowMs, until: nowMs + messages.length, records }
}

/** A runner that remembers how many rows each message gave. */
function createCountingRunner(
  runner: BatchRunner,
): BatchRunner & { rows: (outcomes: readonly Outcome[]) => number } {
  const owners: number[] = []
  return {
    async run(records, options) {
      const processed = await runner.run(records, options)
      for (const buffer of processed.rows)
        for (let row = 0; row < buffer.rows; row++) owners.push(buffer.ownerOf(row))
      return processed
    },
    rows(outcomes) {
      // A message that the schema rejected never came here: owners count the others.
      const seen = outcomes.flatMap((outcome, index) => (isSchemaRejected(outcome) ? [] : [index]))
      return owners.filter((owner) => outcomes[seen[owner] ?? -1]?.kind !== 'dead-letter').length
    },
    async [Symbol.asyncDispose]() {},
  }
}

function isSchemaRejected(outcome: Outcome): boolean {
  return outcome.kind === 'dead-letter' && outcome.reason === 'schema_violated'
}

const schemas = new WeakMap<Storage, Promise<CheckMessage>>()

async function schemaRule(storage: Storage) {
  const { messageSchema } = storage.stream
  if (messageSchema === undefined) return undefined
  const compiled = schemas.get(storage) ?? compileMessageSchema(messageSchema)
  schemas.set(storage, compiled)
  return {
    check: await compiled,
    isEnforced: true,
    checksPerBatchMax: Number.POSITIVE_INFINITY,
    onViolation: () => undefined,
  }
}

function judge({ isWhole }: InsertRequest, outcomes: readonly Outcome[]): () => void {
  const [first] = isWhole ? outcomes.flatMap(rejectedOf) : []
  if (first !== undefined) {
    const where = first.path === '' ? '' : ` at ${first.path}`
    throw new RowmillError(
      'MESSAGE_REJECTED',
      `Message ${first.index} was rejected${where} (${first.reason}): ${first.error}`,
    )
  }
  return () => undefined
}

function rejectedOf(outcome: Outcome, index: number): RejectedMessage[] {
  if (outcome.kind !== 'dead-letter') return []
  const error = outcome.error instanceof Error ? outcome.error.message : String(outcome.error)
  return [{ index, reason: outcome.reason, error, path: outcome.headers?.dlq_path ?? '' }]
}

type Replacing = { request: InsertRequest; batch: LogBatch; outcomes: readonly Outcome[] }

/** Carries out the changes at once that a consumer would have handed to the replacement topic. */
async function replaceAll(
  ports: InsertPorts,
  { request, batch, outcomes }: Replacing,
  { replacer, live, signal }: InsertOptions,
): Promise<number> {
  const { storage, namespace } = request
  const records = batch.records.filter((_, index) => {
    const outcome = outcomes[index]
    return outcome?.kind === 'next' && outcome.records.length > 0
  })
  if (records.length === 0) return 0
  const stage = createReplacerStage({ ...ports, warehouse: namespace.warehouse }, storage, {
    config: replacer,
    live: live(storage.name),
  })
  await using partition = await stage.openPartition({ topic: batch.topic, partition: 0, position: 0, signal })
  const result = await partition.process({ ...batch, records }, { signal })
  const [rejected] = result.outcomes.flatMap(rejectedOf)
  if (rejected === undefined) return records.length
  throw new RowmillError('MESSAGE_REJECTED', `The replacement was rejected: ${rejected.error}`)
}
