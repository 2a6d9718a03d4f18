import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetryable } from '../../src/errors/rowmill-error.ts'
import type { LogConsumer } from '../../src/ports/log.ts'
import { runStage } from '../../src/stream/stream.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { createHurriedClock, nextTurn } from './hurried-clock.ts'
import { createSimulatedLog, type SimulatedLog } from './simulated-log.ts'
import { createWorld, type World, worldConfig, worldTopicSpecs, worldTopics } from './stage-world.ts'

type Run = { stop: AbortController; kill: AbortController; ended: Promise<void>; consumer?: LogConsumer }

test('nothing is lost, doubled, reordered or settled too early, whatever stalls, fails, dies or moves', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
      await simulate(seed)
    }),
    { numRuns: 60 },
  )
})

async function simulate(seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  const world = createWorld(random)
  const log = createSimulatedLog({ random, onCommit: (commit) => world.onCommit(commit) })
  await log.ensureTopics(worldTopicSpecs)
  const runs = createRuns(log, world, seed)
  log.onDeath = (consumer) => runs.killOwnerOf(consumer)
  Object.assign(log.faults, { fails: 0.1, dies: 0.04, turnsMax: 4 })
  Object.assign(world.faults, { fails: 0.2, turnsMax: 6 })

  runs.begin()
  runs.begin()
  for (let action = 0; action < 60; action++) {
    for (let turn = random.next() * 8; turn > 0; turn--) await nextTurn()
    const choice = random.next()
    if (choice < 0.45) await appendSome(log, world, 1 + Math.floor(random.next() * 9))
    else if (choice < 0.6) log.reassign()
    else if (choice < 0.7) runs.any(random.next())?.kill.abort()
    else if (choice < 0.8) runs.any(random.next())?.stop.abort()
    else runs.begin()
  }
  Object.assign(log.faults, { fails: 0, dies: 0 })
  world.faults.fails = 0
  await runs.refresh()
  await runUntilSettled(log, runs)
  world.verify((topic) => log.records(topic))
}

/** An append that failed wrote nothing: its numbers are given out again. */
async function appendSome(log: SimulatedLog, world: World, count: number): Promise<void> {
  const before = world.inputs()
  try {
    await log.append(world.nextInputs(count))
  } catch (error) {
    assert(isRetryable(error))
    world.forget(before)
  }
}

async function runUntilSettled(log: SimulatedLog, runs: ReturnType<typeof createRuns>): Promise<void> {
  for (let turn = 0; ; turn++) {
    const positions = await log.positions()
    const settled = positions.reduce((sum, { position }) => sum + position, 0)
    if (settled === log.records('in').length) break
    assert(turn < 100_000, 'everything is settled in the end')
    await nextTurn()
  }
  await runs.finish()
}

function createRuns(log: SimulatedLog, world: World, seed: number) {
  const live = new Set<Run>()
  const ended: Promise<void>[] = []
  const begin = () => {
    if (live.size >= 3) return
    const random = createSeededRandom(seed + ended.length)
    const run: Run = { stop: new AbortController(), kill: new AbortController(), ended: Promise.resolve() }
    const consume: SimulatedLog['consume'] = (options) => {
      run.consumer = log.consume(options)
      return run.consumer
    }
    const ports = { log: { ...log, consume }, clock: createHurriedClock(random), random, ...quietTelemetry() }
    run.ended = runStage(ports, world.stage, {
      config: worldConfig,
      topics: worldTopics,
      stop: run.stop.signal,
      signal: run.kill.signal,
    }).finally(() => live.delete(run))
    live.add(run)
    ended.push(run.ended)
  }
  return {
    begin,
    any: (chance: number) => [...live][Math.floor(chance * live.size)],
    killOwnerOf(consumer: LogConsumer) {
      for (const run of live) if (run.consumer === consumer) run.kill.abort()
    },
    async refresh() {
      for (const run of live) run.stop.abort()
      await Promise.all(ended)
      begin()
      begin()
    },
    async finish() {
      for (const run of live) run.stop.abort()
      await Promise.all(ended)
    },
  }
}
