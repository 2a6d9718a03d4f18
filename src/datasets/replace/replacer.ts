/**
 * Carries out the changes on a storage's replacement topic, one after the other as they were asked for. A
 * change is one statement that writes rows anew; carried out twice it gives the same rows, so a crash between
 * the statement and the settling does no harm.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LogBatch, LogRecord } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { Stage, StageResult } from '../../stream/stage.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isDataError } from '../consume/write-rows.ts'
import { InvalidMessage } from '../processor/invalid-message.ts'
import type { Storage, StorageTable } from '../storage/storage.ts'
import type { ReplacerConfig } from './config.ts'
import { parseErrorsReplacement } from './errors/errors-replacement.ts'
import { raiseFlag } from './query-flags.ts'
import { type ParseReplacement, type Replacement, replacementStatement } from './replacement.ts'

const replacers: Readonly<Record<string, ParseReplacement>> = { errors: parseErrorsReplacement }

export function findReplacer(name: string): ParseReplacement | undefined {
  return Object.hasOwn(replacers, name) ? replacers[name] : undefined
}

export type ReplacerPorts = { warehouse: Warehouse; cache: Cache; clock: Clock; metrics: Metrics }

export type ReplacerOptions = {
  config: ReplacerConfig
  /** Live options: `replacements_bypass_projects`, `max_group_ids_exclude`. */
  live: () => Readonly<Record<string, unknown>>
}

/** Throws `STORAGE_INVALID` for a storage without a replacement topic or with an unknown replacer. */
export function createReplacerStage(ports: ReplacerPorts, storage: Storage, options: ReplacerOptions): Stage {
  const topic = storage.stream.replacementTopic
  const parse = findReplacer(storage.replacer?.builtIn ?? '')
  const [table] = storage.tables
  if (topic === undefined || parse === undefined || table === undefined)
    throw new RowmillError('STORAGE_INVALID', `The storage ${storage.name} has no replacer.`)
  const replacer: Replacer = { ports, storage, table, parse, ...options }
  return {
    group: `replacer-${storage.name}`,
    topics: [topic],
    ...(storage.stream.dlqTopic === undefined ? {} : { deadLetterTopic: storage.stream.dlqTopic }),
    openPartition: async () => ({
      process: (batch, { signal }) => replaceBatch(replacer, batch, signal),
      async [Symbol.asyncDispose]() {},
    }),
  }
}

type Replacer = ReplacerOptions & {
  ports: ReplacerPorts
  storage: Storage
  table: StorageTable
  parse: ParseReplacement
}

async function replaceBatch(replacer: Replacer, batch: LogBatch, signal: AbortSignal): Promise<StageResult> {
  const outcomes: Outcome[] = []
  for (const record of batch.records) outcomes.push(await replaceOne(replacer, record, signal))
  return { outcomes }
}

async function replaceOne(replacer: Replacer, record: LogRecord, signal: AbortSignal): Promise<Outcome> {
  const { storage, table, parse } = replacer
  let replacement: Replacement | undefined
  try {
    replacement = parse(record.value, { table, options: storage.replacer?.options ?? {} })
  } catch (error) {
    if (!(error instanceof InvalidMessage)) throw error
    return { kind: 'dead-letter', reason: 'invalid_message', error }
  }
  if (replacement === undefined) return skipped('it asks for nothing')
  if (isBypassed(replacer, replacement.projectId)) return skipped('replacements of this project are bypassed')
  try {
    await carryOut(replacer, replacement, signal)
  } catch (error) {
    if (!isDataError(error)) throw error
    return { kind: 'dead-letter', reason: 'row_refused', error }
  }
  replacer.ports.metrics.count('replacements_total', 1, { storage: storage.name, type: replacement.type })
  return { kind: 'next', records: [] }
}

function skipped(why: string): Outcome {
  return { kind: 'drop', reason: 'skipped_message', details: { why }, isQuiet: true }
}

function isBypassed({ live }: Replacer, projectId: number): boolean {
  const projects = live().replacements_bypass_projects
  return Array.isArray(projects) && projects.includes(projectId)
}

/** Readers are told first: until the rows are there, what they read is what it was. */
async function carryOut(
  { ports, storage, table, config, live }: Replacer,
  replacement: Replacement,
  signal: AbortSignal,
): Promise<void> {
  const excludedGroupsMax = Number(live().max_group_ids_exclude ?? config.excludedGroupsMax)
  await raiseFlag(ports.cache, replacement, {
    state: storage.name,
    nowMs: ports.clock.now(),
    config: { flagTtlMs: config.flagTtlMs, excludedGroupsMax },
  })
  const { change } = replacement
  if (change === undefined) return
  await ports.warehouse.command(replacementStatement(table, change), {
    parameters: change.parameters,
    settings: {
      max_threads: config.threadsMax,
      max_block_size: config.blockRowsMax,
      max_memory_usage: config.memoryBytesMax,
      // Rows that were given again must not count as a repeated insert.
      insert_deduplicate: 0,
    },
    signal,
  })
}
