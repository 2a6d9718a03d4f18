import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestLog } from '../../../test/support/embedded-log.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { createSeededRandom } from '../../../test/support/seeded-random.ts'
import {
  createNumbersWarehouse,
  numberRecord,
  numbersStorage,
  type StorageChanges,
} from '../../../test/support/storage.ts'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import { streamConfig } from '../../stream/config.ts'
import { consumerConfig } from './config.ts'
import { ensureStorageTopics } from './prepare-storage.ts'
import { createDryLog } from './run-consumer/dry-log.ts'
import { runConsumer, runDryConsumer } from './run-consumer.ts'

const group = 'datasets-numbers'

async function setup(changes: StorageChanges = {}) {
  const opened = await openTestLog()
  const { log } = opened
  const storage = numbersStorage(changes)
  await ensureStorageTopics(log, storage, {
    partitions: 2,
    retentionMs: 3_600_000,
    deadLetterRetentionMs: 1000,
  })
  const topics = { deadLetters: 'dead', drops: 'drops', ledger: 'ledger' }
  await log.ensureTopics(
    Object.values(topics).map((name) => ({ name, partitions: 1, retentionMs: 3_600_000 })),
  )
  const warehouse = createNumbersWarehouse()
  const stop = new AbortController()
  const begin = (settings: Record<string, unknown> = {}, clock: Clock = createSystemClock()) => {
    const ports = { log, warehouse, clock, random: createSeededRandom(1), ...quietTelemetry() }
    const config = consumerConfig.parse({ batchWaitMs: 0, ...settings })
    const options = {
      config,
      stream: streamConfig.parse({ retryDelayMs: 1 }),
      topics,
      live: () => ({}),
      stop: stop.signal,
      signal: new AbortController().signal,
    }
    return config.dryRunMs === undefined
      ? runConsumer(ports, storage, options)
      : runDryConsumer(ports, storage, options)
  }
  const numbers = () =>
    [...warehouse.written.values()]
      .flat()
      .map((row) => Number(Object.values(row ?? {})[0]))
      .sort((left, right) => left - right)
  return { ...opened, log, warehouse, stop, begin, numbers }
}

const append = (log: Log, from: number, until: number, partition = 0) =>
  log.append(
    Array.from({ length: until - from }, (_, index) => numberRecord(from + index, 'row', { partition })),
  )
const ends = { endsWhenDone: true }

test('it begins where the setting says, goes on from its position, and ends when it is done', async () => {
  await using world = await setup()
  const { log, begin, numbers } = world
  await append(log, 0, 3)
  await append(log, 10, 12, 1)
  await begin({ ...ends, offsetReset: 'latest', group: 'late' })
  assert.deepEqual(numbers(), [])
  await begin(ends)
  assert.deepEqual(numbers(), [0, 1, 2, 10, 11])
  await append(log, 3, 5)
  await begin({ ...ends, offsetReset: 'latest' })
  assert.deepEqual(numbers(), [0, 1, 2, 3, 4, 10, 11])
})

test('without a position, error refuses to begin and names the command', async () => {
  await using world = await setup()
  await assert.rejects(world.begin({ ...ends, offsetReset: 'error' }), (error) => {
    assert(isRowmillError(error, 'OFFSET_OUT_OF_RANGE'))
    assert.match(
      error.message,
      /rowmill offsets reset --group datasets-numbers --topic numbers-in --to earliest$/,
    )
    return true
  })
  assert.deepEqual(await world.log.positions(group), [])
})

test('a position that the log no longer has stops it, unless it is not strict', async () => {
  await using world = await setup()
  const { begin, numbers } = world
  const log = withoutBefore(world.log, 3)
  await append(world.log, 0, 5)
  await world.log.reset({ group, topic: 'numbers-in', partition: 0, offset: 1 })
  Object.assign(world.log, { describe: log.describe, consume: log.consume })
  await assert.rejects(begin(ends), (error) => {
    assert(isRowmillError(error, 'OFFSET_OUT_OF_RANGE'))
    assert.match(error.message, /stands at offset 1 of numbers-in\/0, but the log begins at 3: 2 records/)
    return true
  })
  assert.deepEqual(numbers(), [])
  await begin({ ...ends, isOffsetResetStrict: false, offsetReset: 'latest' })
  assert.deepEqual(numbers(), [])
  assert.equal((await world.log.positions(group))[0]?.position, 5)
  await world.log.reset({ group, topic: 'numbers-in', partition: 0, offset: 1 })
  await begin({ ...ends, isOffsetResetStrict: false })
  assert.ok(numbers().length > 0)
})

test('a dry run reads from the position, settles nothing and registers no group', async () => {
  await using world = await setup()
  const { log, begin, warehouse } = world
  await append(log, 0, 5)
  await append(log, 5, 8, 1)
  const before = await log.describe()
  await begin({ ...ends, dryRunMs: 1 })
  assert.deepEqual(await log.positions(), [])
  assert.deepEqual(await log.describe(), before)
  assert.equal(warehouse.inserts.length, 0)
})

test('a dry log gives batches within their limits and sees what is appended later', async () => {
  await using world = await setup()
  await append(world.log, 0, 5)
  const stop = new AbortController()
  const dry = createDryLog(world.log, createSystemClock())
  const consumer = dry.consume({ group: 'g', topics: ['numbers-in'], start: 'earliest', signal: stop.signal })
  const leases = consumer.leases()[Symbol.asyncIterator]()
  const { value: lease } = await leases.next()
  const sizes: number[] = []
  for await (const batch of lease.batches({ recordsMax: 2, bytesMax: 1_000_000, waitMs: 0 })) {
    sizes.push(batch.records.length)
    await lease.commit({ offset: batch.until })
    if (batch.until === 5) await append(world.log, 5, 6)
    if (batch.until === 6) break
  }
  assert.deepEqual(sizes, [2, 2, 1, 1])
  assert.equal((await dry.positions('g')).find(({ partition }) => partition === 0)?.position, 6)
  stop.abort()
})

test('what came after the second at which to stop is passed over, and then it is done', async () => {
  await using world = await setup()
  const at = (number: number, timestampMs: number) => numberRecord(number, 'row', { timestampMs })
  await world.log.append([at(0, 1000), at(1, 2999), at(2, 3000), at(3, 9000)])
  await world.begin({ ...ends, stopAtSeconds: 2 })
  assert.deepEqual(world.numbers(), [0, 1])
})

test('it joins and leaves at multiples of the seconds, and works on until then', async () => {
  await using world = await setup()
  const clock = createManualClock(1_700_000_003_000)
  const running = world.begin({ rebalanceDelaySeconds: 10 }, clock)
  await waitFor(() => clock.sleepers() === 1)
  await clock.advance(6_999)
  assert.deepEqual(await world.log.positions(group), [])
  await clock.advance(1)
  await waitFor(async () => (await world.log.positions(group)).length > 0)
  let isOver = false
  const over = running.then(() => {
    isOver = true
  })
  await clock.advance(1000)
  world.stop.abort()
  await append(world.log, 0, 2)
  await waitFor(() => world.numbers().length === 2, { what: 'work to go on after the stop' })
  assert.equal(isOver, false)
  await waitFor(async () => {
    await clock.advance(9000)
    return isOver
  })
  await over
})

test('the health file is touched while work gets on, and not while one batch is tried again and again', async () => {
  await using world = await setup()
  await using dir = await tempDir()
  const path = join(dir.path, 'healthy')
  const clock = createManualClock()
  let isStuck = false
  world.warehouse.onInsert = async () => {
    while (isStuck) await new Promise((resolve) => setImmediate(resolve))
  }
  let isOver = false
  const running = world.begin({ healthFile: path }, clock).finally(() => {
    isOver = true
  })
  const touched = async () => (await stat(path)).isFile() && (await readFile(path, 'utf8')) !== ''
  await waitFor(touched)
  isStuck = true
  await append(world.log, 0, 1)
  await waitFor(() => world.warehouse.inserts.length === 1)
  await clock.advance(1000)
  const last = await readFile(path, 'utf8')
  for (let second = 0; second < 5; second++) await clock.advance(1000)
  assert.equal(await readFile(path, 'utf8'), last)
  isStuck = false
  await waitFor(async () => {
    await clock.advance(1000)
    return (await readFile(path, 'utf8')) !== last
  })
  world.stop.abort()
  await waitFor(async () => {
    await clock.advance(1000)
    return isOver
  })
  await running
})

test('a schema that shall be enforced and does not exist is an error', async () => {
  await using world = await setup()
  await assert.rejects(world.begin({ ...ends, isSchemaEnforced: true }), (error) =>
    isRowmillError(error, 'CONFIG_INVALID'),
  )
})

/** The log as if retention had deleted what is before `start` in partition 0. */
function withoutBefore(log: Log, start: number): Pick<Log, 'describe' | 'consume'> {
  const describe = log.describe.bind(log)
  const consume = log.consume.bind(log)
  return {
    async describe() {
      const topics = await describe()
      return topics.map((topic) => ({
        ...topic,
        bounds: topic.bounds.map((bound, index) =>
          index === 0 && topic.name === 'numbers-in' ? { ...bound, start } : bound,
        ),
      }))
    },
    consume(options) {
      const consumer = consume(options)
      return {
        async *leases() {
          for await (const lease of consumer.leases()) {
            if (lease.partition === 0 && lease.position < start) Object.assign(lease, { skippedTo: start })
            yield lease
          }
        },
        [Symbol.asyncDispose]: () => consumer[Symbol.asyncDispose](),
      }
    },
  }
}
