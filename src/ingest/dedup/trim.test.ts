import { test } from 'node:test'
import { openTestLog } from '../../../test/support/embedded-log.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { topics } from '../../event/topics.ts'
import { dedupGroup, runDedupTrim } from './trim.ts'

test('the changelog is settled up to the oldest id that is remembered, and no further', async () => {
  await using harness = await openTestLog()
  const { log } = harness
  await log.ensureTopics([{ name: topics.dedup, partitions: 2, retentionMs: 1000 }])
  for (let at = 0; at < 10; at++)
    await log.append([
      { topic: topics.dedup, partition: at % 2, key: null, value: Buffer.from('x'), timestampMs: at },
    ])
  const stop = new AbortController()
  const dedup: { oldestMs: number | undefined } = { oldestMs: undefined }
  const deps = { log, clock: harness.deps.clock, dedup }
  const running = runDedupTrim(deps, { trimIntervalMs: 1 }, { signal: stop.signal })
  const positions = async () => (await log.positions(dedupGroup)).map((standing) => standing.position)
  await waitFor(async () => (await positions()).length === 2)
  dedup.oldestMs = 5
  await waitFor(async () => (await positions()).join() === '3,2')
  dedup.oldestMs = 100
  await waitFor(async () => (await positions()).join() === '5,5')
  stop.abort()
  await running
})
