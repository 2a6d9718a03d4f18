/**
 * What a storage is, once its YAML has been read, checked and completed with defaults: a topic, a processor,
 * tables, and how rows get there. Paths in it are absolute.
 */
import type { RetentionRule, RowFormat } from '../processor/processor.ts'

export type Storage = {
  /** Unique; names the storage on the command line, in metrics and in the group `datasets-<name>`. */
  name: string
  /** Storages of a set live in one cluster. */
  set: string
  description: string
  stream: StorageStream
  processor: StorageProcessor
  /** The first is the storage's own. */
  tables: readonly StorageTable[]
  writer: StorageWriter
  deadLetters: DeadLetterPolicy
  retention: RetentionRule
  replacer: StorageReplacer | undefined
  /** `false` for the ledger and the drops, whose own ledger rows would feed them for ever. */
  hasLedger: boolean
}

export type StorageStream = {
  topic: string
  commitLogTopic: string | undefined
  replacementTopic: string | undefined
  dlqTopic: string | undefined
  /** JSON Schema of a message, parsed; none for binary messages. */
  messageSchema: Readonly<Record<string, unknown>> | undefined
  /** A message without this header, or with another value, is skipped unread. */
  preFilter: { header: string; equals: string } | undefined
}

export type StorageProcessor = {
  /** Name in the registry of built-in processors. */
  builtIn: string | undefined
  /** A user's module. */
  module: string | undefined
  options: Readonly<Record<string, unknown>>
}

export type StorageWriter = {
  format: RowFormat
  /** Of one insert: it goes when the first is reached. */
  rowsMax: number
  bytesMax: number
  waitMs: number
  compression: 'none' | 'lz4' | 'zstd'
  /** Insert settings. */
  settings: Readonly<Record<string, string | number>>
}

/** Beyond a limit the consumer stops, with nothing of the batch settled. `undefined`: no limit. */
export type DeadLetterPolicy = {
  /** By reason, since the partition was taken. */
  maxByReason: Readonly<Record<string, number>>
  /** Share of invalid messages among the last `window` ones of a partition. */
  ratio: { max: number; window: number } | undefined
  /** Invalid messages of a partition in a row. */
  consecutiveMax: number | undefined
}

export type StorageReplacer = {
  /** Name in the registry of replacers. */
  builtIn: string
  options: Readonly<Record<string, unknown>>
}

export type StorageTable = {
  name: string
  columns: readonly TableColumn[]
  indices: readonly TableIndex[]
  engine: TableEngine
  orderBy: readonly string[]
  primaryKey: readonly string[]
  partitionBy: readonly string[]
  sampleBy: string | undefined
  ttl: string | undefined
  settings: Readonly<Record<string, string | number>>
  /** Inserts with a token among this many last ones are ignored; 0 is off. */
  dedupWindow: number
  /** For a cluster: the table over all shards. */
  distributed: { name: string; shardingKey: string } | undefined
}

/** Types and expressions are in ClickHouse's own words. */
export type TableColumn = {
  name: string
  type: string
  default: string | undefined
  materialized: string | undefined
  alias: string | undefined
  codec: string | undefined
  ttl: string | undefined
}

export type TableIndex = { name: string; expression: string; type: string; granularity: number }

export type TableEngine =
  | { kind: 'MergeTree' | 'SummingMergeTree' | 'AggregatingMergeTree' }
  | { kind: 'ReplacingMergeTree'; version: string | undefined; isDeleted: string | undefined }
  | { kind: 'CollapsingMergeTree'; sign: string }
