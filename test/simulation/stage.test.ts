import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import type { LogBatch } from '../../src/ports/log.ts'
import type { StreamConfig } from '../../src/stream/config.ts'
import type { Stage, StageResult } from '../../src/stream/stage.ts'
import { runStage } from '../../src/stream/stream.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { waitFor } from '../support/wait-for.ts'
import { createSimulatedLog } from './simulated-log.ts'
import { worldConfig, worldTopicSpecs, worldTopics } from './stage-world.ts'

type Process = (batch: LogBatch, options: { signal: AbortSignal }) => Promise<StageResult>

test('a batch that was carried over when the next step stayed full past the flush time is not lost', async () => {
  await using world = await setup({ batchesInHandMax: 1, batchWaitMs: 1 })
  const gate = Promise.withResolvers<void>()
  const seen: number[] = []
  const running = world.run(async (batch) => {
    seen.push(batch.partition)
    if (seen.length === 1) await gate.promise
    return passOn(batch)
  })
  await world.append(0, 'first')
  await waitFor(() => seen.length === 1)
  await world.append(1, 'carried over')
  await world.append(2, 'carried over too')
  await world.clock.advance(60_000)
  assert.deepEqual(seen, [0], 'the only slot is taken')
  world.stop.abort()
  await world.clock.advance(1)
  gate.resolve()
  await running
  assert.deepEqual(world.valuesOn('out'), ['carried over', 'carried over too', 'first'])
  assert.deepEqual(await world.positions(), [1, 1, 1])
})

test('what a retry may mend is tried again for as long as it takes, with the same range', async () => {
  await using world = await setup()
  const ranges: string[] = []
  const running = world.run(async (batch) => {
    ranges.push(`${batch.from}-${batch.until}`)
    if (ranges.length <= 20) throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'It is away.')
    return passOn(batch)
  })
  await world.append(0, 'patient')
  await waitFor(async () => {
    await world.clock.advance(20)
    return world.valuesOn('out').length === 1
  })
  assert.deepEqual(new Set(ranges), new Set(['0-1']))
  assert.equal(await world.metrics.value('stream_retries_total'), 20)
  world.stop.abort()
  await running
})

test('what no retry can mend ends the run after the other partitions have settled', async () => {
  await using world = await setup()
  const gate = Promise.withResolvers<void>()
  const seen = new Set<number>()
  const running = world.run(async (batch) => {
    seen.add(batch.partition)
    await gate.promise
    if (batch.partition === 0) throw new RowmillError('DATABASE_REFUSED', 'A bug in a statement.')
    return passOn(batch)
  })
  await world.append(0, 'poison')
  await world.append(1, 'good')
  await waitFor(() => seen.size === 2)
  gate.resolve()
  await assert.rejects(running, { code: 'DATABASE_REFUSED' })
  assert.deepEqual(world.valuesOn('out'), ['good'])
  assert.deepEqual(await world.positions(), [0, 1, 0])
})

test('a stop that takes longer than the drain abandons the batch, which is no failure and is read again', async () => {
  await using world = await setup({ drainMs: 500 })
  const begun = Promise.withResolvers<void>()
  const first = world.run(async (_, { signal }) => {
    begun.resolve()
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    return { outcomes: [] }
  })
  await world.append(0, 'slow')
  await begun.promise
  const sleepers = world.clock.sleepers()
  world.stop.abort()
  await waitFor(() => world.clock.sleepers() > sleepers, { what: 'the drain to be timed' })
  await world.clock.advance(499)
  assert.deepEqual(await world.positions(), [0, 0, 0])
  await world.clock.advance(1)
  await first
  assert.deepEqual(await world.positions(), [0, 0, 0])

  world.stop = new AbortController()
  const second = world.run(async (batch) => passOn(batch))
  await waitFor(() => world.valuesOn('out').length === 1)
  world.stop.abort()
  await second
  assert.deepEqual(world.valuesOn('out'), ['slow'])
})

test('a batch with fewer outcomes than records ends the run and is not settled', async () => {
  await using world = await setup()
  const running = world.run(async () => ({ outcomes: [] }))
  await world.append(0, 'one')
  await assert.rejects(running, { code: 'ERR_ASSERTION' })
  assert.deepEqual(await world.positions(), [0, 0, 0])
})

test('an event that has outgrown the log becomes a dead letter, and the rest of its batch goes on', async () => {
  await using world = await setup({ batchRecordsMax: 10 }, { recordBytesMax: 600 })
  await world.append(0, 'small')
  await world.append(0, 'grows')
  const running = world.run(async (batch) => ({
    outcomes: batch.records.map(({ key, value }) => ({
      kind: 'next',
      records: [{ topic: 'out', key, value: String(value) === 'grows' ? Buffer.alloc(601) : value }],
    })),
  }))
  await waitFor(() => world.valuesOn('drops').length === 1)
  world.stop.abort()
  await running
  assert.deepEqual(world.valuesOn('out'), ['small'])
  assert.deepEqual(world.valuesOn('dead'), ['grows'])
  assert.equal(JSON.parse(world.valuesOn('drops')[0] ?? '').reason, 'output_too_large')
})

test('afterCommit runs once the batch is settled', async () => {
  await using world = await setup()
  const calls: number[] = []
  const running = world.run(async (batch) => ({
    ...passOn(batch),
    afterCommit: () => calls.push(world.valuesOn('out').length),
  }))
  await world.append(0, 'one')
  await waitFor(() => calls.length === 1)
  assert.deepEqual(calls, [1])
  world.stop.abort()
  await running
})

async function setup(config: Partial<StreamConfig> = {}, limits: { recordBytesMax?: number } = {}) {
  const random = createSeededRandom(7)
  const clock = createManualClock()
  const telemetry = quietTelemetry()
  const log = createSimulatedLog({ random, ...limits })
  await log.ensureTopics(worldTopicSpecs)
  const kill = new AbortController()
  const world = {
    clock,
    metrics: telemetry.metrics,
    stop: new AbortController(),
    run(process: Process): Promise<void> {
      const stage: Stage = {
        group: 'stage',
        topics: ['in'],
        openPartition: async () => ({ process, async [Symbol.asyncDispose]() {} }),
      }
      return runStage({ log, clock, random, ...telemetry }, stage, {
        config: { ...worldConfig, ...config },
        topics: worldTopics,
        stop: world.stop.signal,
        signal: kill.signal,
      })
    },
    append: (partition: number, value: string) =>
      log.append([{ topic: 'in', partition, key: null, value: Buffer.from(value) }]),
    valuesOn: (topic: string) =>
      log
        .records(topic)
        .map(({ value }) => value.toString())
        .sort(),
    async positions() {
      const rows = await log.positions()
      return rows.sort((a, b) => a.partition - b.partition).map(({ position }) => position)
    },
    async [Symbol.asyncDispose]() {
      kill.abort()
    },
  }
  return world
}

function passOn(batch: LogBatch): StageResult {
  return {
    outcomes: batch.records.map(({ key, value }) => ({
      kind: 'next',
      records: [{ topic: 'out', key, value }],
    })),
  }
}
