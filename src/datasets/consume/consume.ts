/**
 * The generic consumer: any topic, through a message processor, into ClickHouse. What to read, how to make rows
 * and where they go says a storage (`../storage/`).
 *
 *     batch ─▶ select-records ─▶ batch-runner ─▶ policy ─▶ write-rows ─▶ settle
 *              pre-filter,       the processor,   too many   one insert    with the commit: replacements,
 *              stop, schema      here or in       dead       per table,    dead letters, the commit log
 *                                worker threads   letters?   by token
 *
 * A batch is settled when its rows are in the warehouse, or there are none. What the original of this design
 * calls flushing empty batches is therefore no setting: a batch without rows is settled like any other.
 * `run-consumer.ts` runs a stage with the options of a consumer.
 */
import type { Clock } from '../../ports/clock.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import { identifyByHeaders } from '../../stream/settlement.ts'
import type { LeasedPartition, PartitionStage, RecordIdentity, Stage } from '../../stream/stage.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { parseObject } from '../parse-object.ts'
import type { Storage } from '../storage/storage.ts'
import { ageRule } from './age-rule.ts'
import type { OpenRunner } from './batch-runner.ts'
import { createPolicyState } from './policy.ts'
import { type BatchWork, processBatch } from './process-batch.ts'
import type { Live } from './processor-context.ts'
import type { Pulse } from './run-consumer/pulse.ts'
import type { SchemaRule } from './select-records.ts'

export type ConsumePorts = { warehouse: Warehouse; clock: Clock; metrics: Metrics; logger: Logger }

export type ConsumerStageOptions = {
  openRunner: OpenRunner
  /** Default: `datasets-<storage>`. */
  group?: string
  /** How batches are cut, where not as the storage says. */
  batch?: NonNullable<Stage['batch']>
  schema?: Omit<SchemaRule, 'onViolation'> | undefined
  stopAtSeconds?: number | undefined
  /** Default: on. */
  writing?: BatchWork['writing']
  pulse?: Pulse | undefined
  /** Live options of the storage. Default: none. */
  live?: Live
}

export function groupOf(storage: Pick<Storage, 'name'>): string {
  return `datasets-${storage.name}`
}

/** The stage of a storage, for `runStage`. */
export function createConsumerStage(
  ports: ConsumePorts,
  storage: Storage,
  options: ConsumerStageOptions,
): Stage {
  const { stream, writer } = storage
  const group = options.group ?? groupOf(storage)
  const own: StageWork = { ports, storage, options, group }
  return {
    group,
    topics: [stream.topic],
    batch: options.batch ?? {
      recordsMax: writer.rowsMax,
      bytesMax: writer.bytesMax,
      waitMs: writer.waitMs,
    },
    hasLedger: storage.hasLedger,
    ...(stream.dlqTopic === undefined ? {} : { deadLetterTopic: stream.dlqTopic }),
    identify,
    openPartition: (partition) => openPartition(own, partition),
  }
}

type StageWork = { ports: ConsumePorts; storage: Storage; options: ConsumerStageOptions; group: string }

async function openPartition(
  { ports, storage, options, group }: StageWork,
  { topic, partition, resets = 0 }: LeasedPartition,
): Promise<PartitionStage> {
  const runner = await options.openRunner()
  const { schema, pulse, live } = options
  const onViolation = () =>
    ports.metrics.count('consumer_schema_validation_failed', 1, { storage: storage.name })
  const work: BatchWork = {
    ports,
    storage,
    group,
    runner,
    policy: createPolicyState(storage),
    rules: {
      preFilter: storage.stream.preFilter,
      stopAtSeconds: options.stopAtSeconds,
      age: live === undefined ? undefined : () => ageRule(storage.name, live, ports.clock.now()),
      onOld: (wasChosen) => {
        ports.metrics.count('consumer_dlq_by_age_stale_seen', 1, { storage: storage.name })
        if (wasChosen) ports.metrics.count('consumer_dlq_by_age_routed_to_dlq', 1, { storage: storage.name })
      },
      schema: schema === undefined ? undefined : { ...schema, onViolation },
    },
    writing: options.writing ?? 'on',
    resets,
  }
  const place = `${topic}/${partition}`
  return {
    async process(batch, { signal }) {
      pulse?.begin(place)
      const result = await processBatch(work, batch, { signal })
      return {
        ...result,
        afterCommit: () => {
          result.afterCommit?.()
          pulse?.end(place)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      pulse?.end(place)
      await runner[Symbol.asyncDispose]()
    },
  }
}

/** Ready messages say in their columns what captured ones say in their headers. */
function identify(record: LogRecord): RecordIdentity {
  const byHeaders = identifyByHeaders(record)
  const message = parseObject(record.value)
  const textOf = (key: string) => (typeof message?.[key] === 'string' ? message[key] : '')
  return {
    uuid: byHeaders.uuid || textOf('uuid'),
    distinct_id: byHeaders.distinct_id || textOf('distinct_id'),
    token: byHeaders.token || textOf('token'),
    event: byHeaders.event || textOf('event'),
  }
}
