/** What the parts of the log's contract share: its harness, and short words for what they do again and again. */
import assert from 'node:assert/strict'
import type { BatchOptions, Log, LogBatch, LogRecord, NewRecord, PartitionLease } from '../log.ts'

export type LogHarness = AsyncDisposable & {
  log: Log
  /** Closes the log cleanly and opens it again. */
  reopen(): Promise<Log>
  /** Lets `ms` pass as far as retention is concerned, and lets retention look. Absent where others delete. */
  passTime?(ms: number): Promise<void>
  /** What becomes of a wish for fewer partitions than there are. Default: `refused`. */
  fewerPartitions?: 'refused' | 'passed over'
}

export type LogHarnessOptions = {
  /** Whether the log should keep its records in small pieces, so that retention has something to delete. */
  smallSegments?: boolean
}

/** Declares one case: it opens a log of its own. A text that is answered says why the case does not apply to it. */
export type Check = (
  what: string,
  // biome-ignore lint/suspicious/noConfusingVoidType: most cases answer nothing.
  body: (harness: LogHarness) => Promise<string | void>,
  options?: LogHarnessOptions,
) => void

export const dayMs = 24 * 60 * 60 * 1000
export const greedy: BatchOptions = { recordsMax: 1000, bytesMax: 1_000_000, waitMs: 0 }

export function topic(name: string, partitions: number, retentionMs = dayMs) {
  return { name, partitions, retentionMs }
}

export function note(topicName: string, text: string, partition = 0): NewRecord {
  return { topic: topicName, partition, key: null, value: Buffer.from(text) }
}

export function textsOf(batch: LogBatch): string[] {
  return batch.records.map((record) => record.value.toString())
}

export async function collect(
  log: Log,
  name: string,
  partition: number,
  range: { from?: number; until?: number } = {},
) {
  const records: LogRecord[] = []
  const scan = { topic: name, partition, from: range.from ?? 0 }
  const bounded = range.until === undefined ? scan : { ...scan, until: range.until }
  for await (const chunk of log.scan(bounded)) records.push(...chunk)
  return records
}

export async function texts(log: Log, name: string, partition: number): Promise<string[]> {
  return (await collect(log, name, partition)).map((record) => record.value.toString())
}

export async function take<T>(items: AsyncIterable<T>, wanted: number): Promise<T[]> {
  const taken: T[] = []
  for await (const item of items) {
    taken.push(item)
    if (taken.length === wanted) break
  }
  return taken
}

export async function nextBatch(lease: PartitionLease, options = greedy): Promise<LogBatch> {
  const [batch] = await take(lease.batches(options), 1)
  assert.ok(batch !== undefined, 'there is a batch')
  return batch
}

type LeaseWanted = { group: string; topic: string; start?: 'earliest' | 'latest' }

export async function withLease<T>(
  log: Log,
  wanted: LeaseWanted,
  use: (lease: PartitionLease) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const { group, start = 'earliest' } = wanted
  await using consumer = log.consume({ group, topics: [wanted.topic], start, signal: stop.signal })
  const [lease] = await take(consumer.leases(), 1)
  assert.ok(lease !== undefined, 'there is a lease')
  await using held = lease
  return await use(held)
}

export async function settle(log: Log, what: { group: string; topic: string; until: number }): Promise<void> {
  await withLease(log, what, (lease) => lease.commit({ offset: what.until }))
}
