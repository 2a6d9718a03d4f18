/** Readers in other threads, while the owner appends, deletes and rewrites. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { openTestLog, temporaryDirectory } from '../../../../test/support/embedded-log.ts'
import type { Log } from '../../../ports/log.ts'
import { openLogReader } from './log-reader.ts'

const dayMs = 24 * 60 * 60 * 1000

async function texts(log: Pick<Log, 'scan'>, topic: string): Promise<string[]> {
  const found: string[] = []
  for await (const records of log.scan({ topic, partition: 0, from: 0 }))
    found.push(...records.map((record) => record.value.toString().trim()))
  return found
}

test('a reader sees what the owner appended meanwhile, across segments', async () => {
  await using harness = await openTestLog({ segmentBytes: 5000, chunkBytesMax: 1000 })
  const { log } = harness
  await using reader = await openLogReader({ directory: harness.directory })
  assert.deepEqual(await reader.describe(), [])
  await log.ensureTopics([{ name: 't', partitions: 1, retentionMs: dayMs }])
  for (let round = 0; round < 30; round++) {
    await log.append([
      { topic: 't', key: null, value: Buffer.from(`${round}`.padEnd(700)), timestampMs: round * 10 },
    ])
    assert.equal((await reader.read('t', 0, round))?.value.toString().trim(), String(round))
  }
  assert.deepEqual(await texts(reader, 't'), await texts(log, 't'))
  assert.deepEqual(await reader.describe(), await log.describe())
  assert.equal(await reader.offsetAt('t', 0, 95), 10)
  const stop = new AbortController()
  await using consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
  for await (const lease of consumer.leases()) {
    await lease.commit({ offset: 7 })
    break
  }
  assert.deepEqual(await reader.positions('g'), await log.positions('g'))
})

test('a reader survives deletion and rewriting', async () => {
  await using harness = await openTestLog({ segmentBytes: 8000, chunkBytesMax: 1000 })
  const { log } = harness
  await log.ensureTopics([
    { name: 'short', partitions: 1, retentionMs: 1000 },
    { name: 'long', partitions: 1, retentionMs: dayMs },
  ])
  const append = async (from: number, until: number) => {
    for (let at = from; at < until; at++)
      await log.append([
        { topic: 'short', key: null, value: Buffer.from(`${at}`.padEnd(500)) },
        { topic: 'long', key: null, value: Buffer.from(`${at}`) },
      ])
  }
  await append(0, 100)
  await using reader = await openLogReader({ directory: harness.directory, openFilesMax: 1 })
  assert.equal((await texts(reader, 'long')).length, 100)
  await harness.passTime(5000)
  await append(100, 120)
  const expected = Array.from({ length: 120 }, (_, at) => String(at))
  assert.deepEqual(await texts(reader, 'long'), expected)
  assert.deepEqual(await texts(log, 'long'), expected)
  const start = (await log.describe())[0]?.bounds[0]?.start ?? 0
  assert.ok(start > 50)
  assert.equal((await texts(reader, 'short'))[0], String(start))
  assert.equal(await reader.read('short', 0, 1), undefined)
  assert.deepEqual(await texts(await harness.reopen(), 'long'), expected)
})

test('a worker thread follows the owner to the last record', async () => {
  await using harness = await openTestLog({ segmentBytes: 50_000 })
  const { log } = harness
  await log.ensureTopics([{ name: 't', partitions: 1, retentionMs: dayMs }])
  const worker = new Worker(new URL('../../../../test/support/log-reader-thread.ts', import.meta.url), {
    workerData: { directory: harness.directory, records: 2000 },
  })
  const answer = once(worker, 'message')
  for (let at = 0; at < 2000; at += 10)
    await log.append(
      Array.from({ length: 10 }, (_, index) => ({
        topic: 't',
        key: null,
        value: Buffer.from(`${at + index}`.padEnd(200)),
      })),
    )
  const [found] = await answer
  assert.deepEqual(found, { records: 2000, isInOrder: true })
  await worker.terminate()
})

test('a directory that does not exist reads as an empty log', async () => {
  using temporary = temporaryDirectory()
  await using reader = await openLogReader({ directory: `${temporary.directory}/none` })
  assert.deepEqual(await reader.describe(), [])
  assert.deepEqual(await reader.positions(), [])
})
