/** Everything at once: appends, consumers, readers and a retention that never rests, on tiny segments. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestLog } from '../../../../test/support/embedded-log.ts'
import type { Log } from '../../../ports/log.ts'
import { type LogReader, openLogReader } from './log-reader.ts'

const appends = 200
const settings = {
  segmentBytes: 20_000,
  chunkBytesMax: 2000,
  retentionCheckIntervalMs: 3,
  bytesMax: 3_000_000,
  cacheBytesMax: 20_000,
  openFilesMax: 3,
  indexCacheBytesMax: 3000,
}

test('readers and consumers keep their order while segments are deleted and rewritten under them', async () => {
  await using harness = await openTestLog(settings)
  const { log, directory } = harness
  await log.ensureTopics([
    { name: 'short', partitions: 2, retentionMs: 30 },
    { name: 'long', partitions: 1, retentionMs: 1e12 },
  ])
  const done = new AbortController()
  await using reader = await openLogReader({ directory, openFilesMax: 2 })
  const watching = [watch(log, done.signal), watch(reader, done.signal)]
  const consuming = [consume(log, done.signal), consume(log, done.signal)]
  await Promise.all([produce(log, 0), produce(log, 1)])
  const ends = (await log.describe())[0]?.bounds.map((bound) => bound.end) ?? []
  while ((await log.positions('g')).some((standing) => standing.position < (ends[standing.partition] ?? 0)))
    await new Promise((resolve) => setImmediate(resolve))
  done.abort()
  await Promise.all([...watching, ...consuming])
  const kept: string[] = []
  for await (const records of (await harness.reopen()).scan({ topic: 'long', partition: 0, from: 0 }))
    kept.push(...records.map((record) => record.value.toString()))
  assert.equal(kept.length, (2 * appends) / 10)
})

async function produce(log: Log, producer: number): Promise<void> {
  for (let at = 0; at < appends; at++) {
    const records = Array.from({ length: 1 + (at % 9) }, (_, index) => ({
      topic: 'short',
      partition: (at + index) % 2,
      key: null,
      value: Buffer.alloc((at * 37 + index) % 900, at),
    }))
    const kept = { topic: 'long', partition: 0, key: null, value: Buffer.from(`${producer}/${at}`) }
    await log.append(at % 10 === 0 ? [...records, kept] : records)
  }
}

/** Every record of its partitions, once and in order. */
async function consume(log: Log, signal: AbortSignal): Promise<void> {
  await using consumer = log.consume({ group: 'g', topics: ['short'], start: 'earliest', signal })
  const consuming: Promise<void>[] = []
  for await (const lease of consumer.leases()) {
    const consumeLease = async () => {
      await using held = lease
      let next = held.position
      for await (const batch of held.batches({ recordsMax: 100, bytesMax: 40_000, waitMs: 2 })) {
        const offsets = batch.records.map((record) => record.offset)
        const expected = Array.from({ length: batch.until - next }, (_, index) => next + index)
        assert.deepEqual(offsets, expected)
        await held.intend(batch.until)
        await held.commit({ offset: batch.until })
        next = batch.until
      }
    }
    consuming.push(consumeLease())
  }
  await Promise.all(consuming)
}

/** What is kept has no gap; what is deleted may begin later, and never goes back. */
async function watch(log: Pick<LogReader, 'scan'>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let next = 0
    for await (const records of log.scan({ topic: 'long', partition: 0, from: 0 }))
      for (const record of records) assert.equal(record.offset, next++)
    let last = -1
    for await (const records of log.scan({ topic: 'short', partition: 0, from: 0 }))
      for (const record of records) {
        assert.ok(record.offset > last)
        last = record.offset
      }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
