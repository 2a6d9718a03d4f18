/**
 * One batch of a storage: messages are chosen, processed, written, judged; what is answered says how each
 * ended. Nothing is settled here, so every step may fail and the whole may be done again: rows by their token,
 * the rest in the commit.
 */
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { LogBatch, LogRecord, NewRecord } from '../../ports/log.ts'
import type { Outcome } from '../../stream/outcome.ts'
import type { StageResult } from '../../stream/stage.ts'
import type { Ending, ProcessedBatch } from '../processor/run-batch.ts'
import type { Storage } from '../storage/storage.ts'
import type { BatchRunner } from './batch-runner.ts'
import { commitLogRecord } from './commit-log.ts'
import type { ConsumePorts } from './consume.ts'
import { invalidMessage, rowRefused } from './dead-letters.ts'
import { measureWrite } from './measure.ts'
import type { PolicyState } from './policy.ts'
import { type Selection, type SelectionRules, selectRecords, skipped } from './select-records.ts'
import { insertColumns, writeRows } from './write-rows.ts'

export type BatchWork = {
  ports: ConsumePorts
  storage: Storage
  group: string
  rules: SelectionRules
  runner: BatchRunner
  policy: PolicyState
  /** `skip`: messages are read and settled, and nothing else. A number: a dry run, whose inserts take so many ms. */
  writing: 'on' | 'skip' | { dryRunMs: number }
  resets: number
}

export async function processBatch(
  work: BatchWork,
  batch: LogBatch,
  options: { signal: AbortSignal },
): Promise<StageResult> {
  const { ports, storage, policy } = work
  const labels = { storage: storage.name }
  const startedMs = ports.clock.monotonic()
  const selection = selectRecords(batch.records, work.rules)
  const processed = await work.runner.run(selection.records, options)
  applyEndings(work, selection, processed)
  ports.metrics.observe('consumer_message_processing_time_ms', ports.clock.monotonic() - startedMs, labels)
  const { outcomes } = selection
  policy.judge(batch, outcomes)
  await write({ ...work, batch, selection, processed }, options)
  const accept = policy.judge(batch, outcomes)
  if (work.writing === 'skip') return { outcomes: outcomes.map(withoutTrace), afterCommit: accept }
  return {
    outcomes,
    records: commitLog(work, batch, { selection, processed }),
    afterCommit: () => {
      accept()
      tell(work, batch, outcomes)
    },
  }
}

function applyEndings(work: BatchWork, selection: Selection, processed: ProcessedBatch): void {
  for (const [index, ending] of processed.endings) {
    const record = selection.records[index]
    if (record !== undefined)
      selection.outcomes[ownerOf(selection, index)] = outcomeOf(work.storage, record, ending)
  }
}

function outcomeOf({ stream }: Storage, record: LogRecord, ending: Ending): Outcome {
  if (ending.kind === 'skip') return skipped(ending.reason)
  if (ending.kind === 'invalid') return invalidMessage(record, ending)
  const topic = stream.replacementTopic
  if (topic !== undefined) return { kind: 'next', records: [{ topic, key: ending.key, value: record.value }] }
  const message = 'It changes rows, but the storage has no replacement topic.'
  return invalidMessage(record, { kind: 'invalid', reason: 'invalid_message', message, stack: '', path: '' })
}

type Writing = BatchWork & { batch: LogBatch; selection: Selection; processed: ProcessedBatch }

/** Writes the rows of each table; those that are refused become dead letters. */
async function write(writing: Writing, options: { signal: AbortSignal }): Promise<void> {
  const { ports, storage, selection, processed, batch } = writing
  if (writing.writing === 'skip') return
  if (writing.writing !== 'on') {
    await ports.clock.sleep(writing.writing.dryRunMs, options)
    return
  }
  const startedMs = ports.clock.monotonic()
  let count = 0
  let bytes = 0
  for (const [index, table] of storage.tables.entries()) {
    const rows = processed.rows[index]
    if (rows === undefined || rows.rows === 0) continue
    count += rows.rows
    bytes += rows.slice(0, rows.rows).length
    const columns = insertColumns(table, { format: storage.writer.format, rows })
    const { resets } = writing
    const refused = await writeRows(
      ports.warehouse,
      { table: table.name, columns, writer: storage.writer, batch, resets, rows },
      options,
    ).catch((error: unknown) => {
      const status = isRowmillError(error) ? error.code : 'unexpected'
      ports.metrics.count('consumer_clickhouse_insert_error', 1, { storage: storage.name, status })
      throw error
    })
    for (const { owner, error } of refused) {
      const record = selection.records[owner]
      if (record !== undefined) selection.outcomes[ownerOf(selection, owner)] = rowRefused(record, error)
    }
  }
  if (count === 0) return
  measureWrite(
    ports.metrics,
    { storage: storage.name },
    {
      records: selection.records,
      times: processed.times,
      rows: count,
      bytes,
      writeMs: ports.clock.monotonic() - startedMs,
      nowMs: ports.clock.now(),
    },
  )
}

function ownerOf(selection: Selection, index: number): number {
  return selection.owners?.[index] ?? index
}

/** A batch of which nothing was processed says nothing. */
function commitLog(
  { storage, group }: BatchWork,
  batch: LogBatch,
  { selection, processed }: { selection: Selection; processed: ProcessedBatch },
): NewRecord[] {
  const topic = storage.stream.commitLogTopic
  const last = selection.records.at(-1)
  if (topic === undefined || last === undefined) return []
  return [commitLogRecord(topic, { batch, group, last, originMs: processed.times.originMs })]
}

/** Counted, and that is all: a consumer that writes nothing leaves no letters and no changes either. */
function withoutTrace(outcome: Outcome): Outcome {
  if (outcome.kind === 'dead-letter')
    return { kind: 'drop', reason: outcome.reason, details: { why: 'writing is off' }, isQuiet: true }
  return outcome.kind === 'next' && outcome.records.length > 0 ? { kind: 'next', records: [] } : outcome
}

/** One line a batch, without a word of the messages. */
function tell({ ports, storage }: BatchWork, batch: LogBatch, outcomes: readonly Outcome[]): void {
  const reasons: Record<string, number> = {}
  for (const outcome of outcomes) {
    if (outcome.kind !== 'dead-letter') continue
    reasons[outcome.reason] = (reasons[outcome.reason] ?? 0) + 1
  }
  for (const [reason, count] of Object.entries(reasons))
    ports.metrics.count('consumer_invalid_message', count, { storage: storage.name, reason })
  delete reasons.ignored_message
  if (Object.keys(reasons).length === 0) return
  const { topic, partition, from, until } = batch
  ports.logger.warn(
    { storage: storage.name, topic, partition, from, until, reasons },
    'Messages became dead letters',
  )
}
