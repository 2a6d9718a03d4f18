/** The stage of one storage: a batch of messages becomes one insert per table, and each message its outcome. */
import type { LogBatch, LogRecord } from '../ports/log.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Outcome } from '../stream/outcome.ts'
import { identifyByHeaders } from '../stream/settlement.ts'
import type { RecordIdentity, Stage, StageResult } from '../stream/stage.ts'
import type { DatasetsConfig } from './config.ts'
import { parseObject } from './encode-row.ts'
import { createRowBuffer, type RowBuffer } from './row-buffer.ts'
import type { Storage } from './storages.ts'
import { writeRows } from './write-rows.ts'

/** What splicing adds to a message, at most. */
const spliceBytesMax = 80

export function createStorageStage(warehouse: Warehouse, storage: Storage, config: DatasetsConfig): Stage {
  return {
    group: `datasets-${storage.name}`,
    topics: storage.topics,
    batch: batchOf(config, storage),
    hasLedger: storage.hasLedger ?? true,
    identify,
    openPartition: async () => ({
      process: (batch, options) => processBatch(warehouse, storage, { batch, ...options }),
      async [Symbol.asyncDispose]() {},
    }),
  }
}

export function batchOf(
  config: DatasetsConfig,
  storage: Pick<Storage, 'isQuiet'> = {},
): NonNullable<Stage['batch']> {
  return {
    recordsMax: config.batchRecordsMax,
    bytesMax: config.batchBytesMax,
    waitMs: storage.isQuiet === true ? config.quietBatchWaitMs : config.batchWaitMs,
  }
}

async function processBatch(
  warehouse: Warehouse,
  storage: Storage,
  { batch, signal }: { batch: LogBatch; signal: AbortSignal },
): Promise<StageResult> {
  const { rows, outcomes } = encodeBatch(storage, batch)
  for (const [index, table] of storage.tables.entries()) {
    const own = rows[index]
    if (own === undefined) continue
    const refused = await writeRows(warehouse, { dataset: table, table, batch, rows: own }, { signal })
    for (const { owner, error } of refused)
      outcomes[owner] = { kind: 'dead-letter', reason: 'row_refused', error }
  }
  return { outcomes }
}

/** Encodes a whole batch: a buffer per table, and an outcome per record. */
export function encodeBatch(storage: Storage, batch: LogBatch): { rows: RowBuffer[]; outcomes: Outcome[] } {
  let bytes = 0
  for (const { value } of batch.records) bytes += value.length + spliceBytesMax
  const rows = storage.tables.map((_, index) => createRowBuffer(index === 0 ? bytes : 0))
  const outcomes = batch.records.map((record, owner) => storage.encode(record, rows, owner))
  return { rows, outcomes }
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
