/** From the YAML's form to the program's. */
import type { StorageDocument } from './document.ts'
import type { Storage, StorageTable, TableEngine } from './storage.ts'
import type { ColumnDocument, TableDocument } from './table-document.ts'

/** What the reader has found beside the YAML. Paths are absolute. */
export type StorageSurroundings = {
  messageSchema: Readonly<Record<string, unknown>> | undefined
  module: string | undefined
}

/** An insert that was acknowledged is settled on the log, which may then forget its messages. */
const durableSettings = { fsync_after_insert: 1, fsync_part_directory: 1 } as const

export function completeStorage(document: StorageDocument, found: StorageSurroundings): Storage {
  const { stream, processor, writer, dead_letters: deadLetters, retention, replacer } = document
  return {
    name: document.name,
    set: document.set,
    description: document.description,
    stream: {
      topic: stream.topic,
      commitLogTopic: stream.commit_log_topic,
      replacementTopic: stream.replacement_topic,
      dlqTopic: stream.dlq_topic,
      messageSchema: found.messageSchema,
      preFilter: stream.pre_filter,
    },
    processor: { builtIn: processor.built_in, module: found.module, options: processor.options },
    tables: document.tables.map(completeTable),
    writer: {
      format: writer.format,
      rowsMax: writer.batch.rows_max,
      bytesMax: writer.batch.bytes_max,
      waitMs: writer.batch.wait_ms,
      compression: writer.compression,
      settings: writer.settings,
    },
    deadLetters: {
      maxByReason: deadLetters.max_by_reason,
      ratio: deadLetters.ratio,
      consecutiveMax: deadLetters.consecutive_max,
    },
    retention: {
      defaultDays: retention.default_days,
      lowerDays: retention.lower_days,
      validDays: retention.valid_days,
    },
    replacer: replacer === undefined ? undefined : { builtIn: replacer.built_in, options: replacer.options },
    hasLedger: document.has_ledger,
  }
}

export function completeTable(table: TableDocument): StorageTable {
  return {
    name: table.name,
    columns: table.columns.map(completeColumn),
    indices: table.indices,
    engine: completeEngine(table.engine),
    orderBy: table.order_by,
    primaryKey: table.primary_key,
    partitionBy: table.partition_by,
    sampleBy: table.sample_by,
    ttl: table.ttl,
    settings: { ...durableSettings, ...table.settings },
    dedupWindow: table.dedup_window,
    distributed:
      table.distributed === undefined
        ? undefined
        : { name: table.distributed.name, shardingKey: table.distributed.sharding_key },
  }
}

function completeColumn(column: ColumnDocument): StorageTable['columns'][number] {
  return {
    name: column.name,
    type: column.type,
    default: column.default,
    materialized: column.materialized,
    alias: column.alias,
    codec: column.codec,
    ttl: column.ttl,
  }
}

function completeEngine(engine: TableDocument['engine']): TableEngine {
  switch (engine.kind) {
    case 'ReplacingMergeTree':
      return { kind: engine.kind, version: engine.version, isDeleted: engine.is_deleted }
    case 'CollapsingMergeTree':
      return { kind: engine.kind, sign: engine.sign }
    default:
      return { kind: engine.kind }
  }
}
