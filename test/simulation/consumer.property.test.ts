import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetryable } from '../../src/errors/rowmill-error.ts'
import type { Log, LogConsumer, LogRecord } from '../../src/ports/log.ts'
import { runStage } from '../../src/stream/stream.ts'
import { openTestLog } from '../support/embedded-log.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { waitFor } from '../support/wait-for.ts'
import {
  type ConsumerWorld,
  consumerPartitions,
  consumerStreamConfig,
  consumerTopicSpecs,
  consumerTopics,
  createConsumerWorld,
} from './consumer-world.ts'
import { createHurriedClock, nextTurn } from './hurried-clock.ts'
import { createSimulatedLog, type SimulatedLog } from './simulated-log.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 31 })

test('a consumer loses, doubles and settles nothing early, whatever stalls, fails, dies or moves', async () => {
  await fc.assert(fc.asyncProperty(seeds, onSimulatedLog), { numRuns: 40 })
})

test('the same on the embedded log, through stops, crashes and reopening', async () => {
  await fc.assert(fc.asyncProperty(seeds, onEmbeddedLog), { numRuns: 4 })
})

type Run = { stop: AbortController; kill: AbortController; ended: Promise<void>; consumer?: LogConsumer }

function startRun(log: Log, world: ConsumerWorld, seed: number): Run {
  const random = createSeededRandom(seed)
  const run: Run = { stop: new AbortController(), kill: new AbortController(), ended: Promise.resolve() }
  const consume: Log['consume'] = (options) => {
    run.consumer = log.consume(options)
    return run.consumer
  }
  const seen = {
    consume,
    describe: () => log.describe(),
    positions: (group?: string) => log.positions(group),
  }
  const ports = { log: seen, clock: createHurriedClock(random), random, ...quietTelemetry() }
  run.ended = runStage(ports, world.stage, {
    config: consumerStreamConfig,
    topics: consumerTopics,
    stop: run.stop.signal,
    signal: run.kill.signal,
  })
  return run
}

async function onSimulatedLog(seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  const world = createConsumerWorld(random)
  const log = createSimulatedLog({ random, onCommit: (commit) => world.onCommit(commit) })
  await log.ensureTopics(consumerTopicSpecs)
  const runs = new Set<Run>()
  log.onDeath = (consumer) => {
    for (const run of runs) if (run.consumer === consumer) run.kill.abort()
  }
  const begin = () => {
    if (runs.size >= 3) return
    const run = startRun(log, world, seed + random.next() * 1000)
    runs.add(run)
    run.ended = run.ended.finally(() => runs.delete(run))
  }
  Object.assign(log.faults, { fails: 0.1, dies: 0.04, turnsMax: 4 })
  Object.assign(world.faults, { fails: 0.2, turnsMax: 6 })
  for (let action = 0; action < 50; action++) {
    for (let turn = random.next() * 8; turn > 0; turn--) await nextTurn()
    const choice = random.next()
    const [any] = [...runs].slice(Math.floor(random.next() * runs.size))
    if (choice < 0.45) await appendSome(log, world, 1 + Math.floor(random.next() * 30))
    else if (choice < 0.6) log.reassign()
    else if (choice < 0.7) any?.kill.abort()
    else if (choice < 0.8) any?.stop.abort()
    else begin()
  }
  Object.assign(log.faults, { fails: 0, dies: 0 })
  world.faults.fails = 0
  for (const run of runs) run.stop.abort()
  await Promise.all([...runs].map(({ ended }) => ended))
  begin()
  const length = log.records('numbers-in').length
  for (let turn = 0; (await settledOf(log)) < length; turn++) {
    assert(turn < 100_000, 'everything is settled in the end')
    await nextTurn()
  }
  for (const run of runs) run.stop.abort()
  await Promise.all([...runs].map(({ ended }) => ended))
  world.verify((topic) => log.records(topic))
}

/** An append that failed wrote nothing: its numbers are given out again. */
async function appendSome(log: SimulatedLog, world: ConsumerWorld, count: number): Promise<void> {
  const before = world.inputs()
  try {
    await log.append(world.nextInputs(count))
  } catch (error) {
    assert(isRetryable(error))
    world.forget(before)
  }
}

async function onEmbeddedLog(seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  const world = createConsumerWorld(random)
  await using opened = await openTestLog()
  let { log } = opened
  await log.ensureTopics(consumerTopicSpecs)
  Object.assign(world.faults, { fails: 0.2, turnsMax: 8 })
  for (let epoch = 0; epoch < 4; epoch++) {
    const runs = [startRun(log, world, seed + epoch), startRun(log, world, seed + epoch + 100)]
    for (let round = 0; round < 6; round++) {
      await log.append(world.nextInputs(1 + Math.floor(random.next() * 40)))
      for (let turn = random.next() * 40; turn > 0; turn--) await nextTurn()
      const run = runs[Math.floor(random.next() * 4)]
      if (random.next() < 0.5) run?.stop.abort()
      else run?.kill.abort()
    }
    for (const run of runs) run.kill.abort()
    await Promise.all(runs.map(({ ended }) => ended))
    log = await opened.reopen()
  }
  world.faults.fails = 0
  const last = startRun(log, world, seed)
  await waitFor(async () => (await settledOf(log)) === world.inputs(), { what: 'everything to be settled' })
  last.stop.abort()
  await last.ended
  const records = new Map<string, LogRecord[]>()
  for (const { name } of consumerTopicSpecs) records.set(name, await readAll(log, name))
  world.verify((topic) => records.get(topic) ?? [])
}

async function settledOf(log: Pick<Log, 'positions'>): Promise<number> {
  const positions = await log.positions('datasets-numbers')
  return positions.reduce((sum, { position }) => sum + position, 0)
}

async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for (let partition = 0; partition < consumerPartitions; partition++)
    for await (const chunk of log.scan({ topic, partition, from: 0 })) all.push(...chunk)
  return all
}
