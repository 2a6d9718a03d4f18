/**
 * From the outcomes of a batch to the one commit that settles it. Nothing here waits or writes: the same
 * batch and outcomes always give the same records, so a batch that is read again is settled the same way.
 */
import assert from 'node:assert/strict'
import type { DropReason, DropRow } from '../event/drop.ts'
import type { LogHeaders } from '../event/headers.ts'
import type { LedgerRow } from '../event/ledger.ts'
import type { LogBatch, LogRecord, NewRecord } from '../ports/log.ts'
import { clickhouseTime } from '../std/time.ts'
import type { Outcome } from './outcome.ts'
import type { RecordIdentity, StageResult } from './stage.ts'

export type SettlementTopics = { deadLetters: string; drops: string; ledger: string }

export type SettlementOptions = {
  /** The stage's group. */
  stage: string
  topics: SettlementTopics
  /** Off for the stages that read ledger and drops themselves: their own rows would feed them for ever. */
  hasLedger: boolean
  identify: (record: LogRecord) => RecordIdentity
  nowMs: number
}

export type Settlement = { records: NewRecord[]; ledger: LedgerRow }

const errorTextMax = 1000
const whyTextMax = 80
/** Distinct words for quiet drops that the ledger row of one batch keeps; the others are counted by reason alone. */
const whysMax = 20

export function settle(batch: LogBatch, result: StageResult, options: SettlementOptions): Settlement {
  const { outcomes } = result
  assert.equal(outcomes.length, batch.records.length, `${options.stage}: one outcome for each record`)
  const records: NewRecord[] = []
  const ledger = emptyLedger(batch, options)
  for (const [index, record] of batch.records.entries()) {
    const outcome = outcomes[index]
    assert(outcome !== undefined, `${options.stage}: an outcome for every record`)
    settleOne({ record, outcome, records, ledger }, options)
  }
  if (result.records !== undefined) for (const record of result.records) records.push(record)
  for (const { topic } of records) addTo(ledger.outputs, topic)
  if (options.hasLedger)
    records.push({
      topic: options.topics.ledger,
      key: sourceKey(batch),
      value: Buffer.from(JSON.stringify(ledger)),
    })
  return { records, ledger }
}

type One = { record: LogRecord; outcome: Outcome; records: NewRecord[]; ledger: LedgerRow }

function settleOne({ record, outcome, records, ledger }: One, options: SettlementOptions): void {
  switch (outcome.kind) {
    case 'next':
      ledger.out++
      for (const output of outcome.records) records.push(output)
      return
    case 'drop':
      ledger.dropped++
      if (outcome.isQuiet === true) {
        addTo(ledger.reasons, quietReason(outcome, ledger.reasons))
        return
      }
      addTo(ledger.reasons, outcome.reason)
      records.push(dropRecord(record, options, { ended: 'drop', ...outcome, details: outcome.details ?? {} }))
      return
    case 'divert':
      ledger.diverted++
      addTo(ledger.reasons, outcome.topic)
      records.push(divertedRecord(record, outcome))
      return
    case 'dead-letter': {
      ledger.dead_lettered++
      addTo(ledger.reasons, outcome.reason)
      const error = errorText(outcome.error)
      records.push(deadLetter(record, options, { ...outcome, error }))
      // A drop that cannot be stored is told by its dead letter alone: its own drop might fare no better.
      if (record.topic === options.topics.drops) return
      const details = { error }
      records.push(dropRecord(record, options, { ended: 'dead-letter', reason: outcome.reason, details }))
    }
  }
}

/** `skipped_message: no rows`: the words come from a storage's processor, so they are bounded. */
function quietReason(
  { reason, details }: Outcome & { kind: 'drop' },
  counted: Readonly<Record<string, number>>,
): string {
  const why = details?.why
  if (typeof why !== 'string' || why === '') return reason
  const worded = `${reason}: ${why.slice(0, whyTextMax)}`
  return worded in counted || Object.keys(counted).length < whysMax ? worded : reason
}

function divertedRecord(record: LogRecord, outcome: Outcome & { kind: 'divert' }): NewRecord {
  const headers = { ...record.headers, ...outcome.headers, divert_reason: outcome.reason }
  return copyOf(record, { topic: outcome.topic, key: outcome.keepKey ? record.key : null, headers })
}

/** PostHog's dead-letter headers, and the error beside the reason. */
function deadLetter(
  record: LogRecord,
  options: SettlementOptions,
  { reason, error, headers: more }: { reason: DropReason; error: string; headers?: LogHeaders },
): NewRecord {
  const headers = {
    ...record.headers,
    ...more,
    dlq_reason: reason,
    dlq_step: options.stage,
    dlq_timestamp: new Date(options.nowMs).toISOString(),
    dlq_topic: record.topic,
    dlq_partition: String(record.partition),
    dlq_offset: String(record.offset),
    dlq_error: error,
  }
  return copyOf(record, { topic: options.topics.deadLetters, key: record.key, headers })
}

function copyOf(
  record: LogRecord,
  to: { topic: string; key: Buffer | null; headers: LogHeaders },
): NewRecord {
  return { ...to, value: record.value, timestampMs: record.timestampMs }
}

type Ending = { ended: DropRow['ended']; reason: DropReason; details: Readonly<Record<string, unknown>> }

function dropRecord(record: LogRecord, options: SettlementOptions, ending: Ending): NewRecord {
  const row: DropRow = {
    ...options.identify(record),
    stage: options.stage,
    ended: ending.ended,
    reason: ending.reason,
    details: JSON.stringify(ending.details),
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    time: clickhouseTime(options.nowMs),
  }
  const value = Buffer.from(JSON.stringify(row))
  return { topic: options.topics.drops, key: sourceKey(record), value }
}

/** Who a record is about: from the headers that captured messages carry. */
export function identifyByHeaders({ headers }: LogRecord): RecordIdentity {
  return {
    uuid: headers.uuid ?? '',
    distinct_id: headers.distinct_id ?? '',
    token: headers.token ?? '',
    event: headers.event ?? '',
  }
}

function emptyLedger(batch: LogBatch, options: SettlementOptions): LedgerRow {
  return {
    stage: options.stage,
    topic: batch.topic,
    partition: batch.partition,
    from_offset: batch.from,
    until_offset: batch.until,
    in: batch.records.length,
    out: 0,
    dropped: 0,
    diverted: 0,
    dead_lettered: 0,
    reasons: {},
    outputs: {},
    time: clickhouseTime(options.nowMs),
  }
}

/** Rows about one partition share a key, so that a commit writes them side by side and in order. */
function sourceKey({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`
}

function addTo(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > errorTextMax ? text.slice(0, errorTextMax) : text
}
