import { test } from 'node:test'
import fc from 'fast-check'
import type { Log, LogRecord } from '../../src/ports/log.ts'
import { runStage } from '../../src/stream/stream.ts'
import { openTestLog } from '../support/embedded-log.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { waitFor } from '../support/wait-for.ts'
import { createHurriedClock, nextTurn } from './hurried-clock.ts'
import {
  createWorld,
  inputPartitions,
  type World,
  worldConfig,
  worldGroup,
  worldTopicSpecs,
  worldTopics,
} from './stage-world.ts'

test('on the embedded log nothing is lost, doubled or reordered through failures, stops and reopening', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), simulate), { numRuns: 5 })
})

async function simulate(seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  const world = createWorld(random)
  await using test = await openTestLog()
  let { log } = test
  await log.ensureTopics(worldTopicSpecs)
  Object.assign(world.faults, { fails: 0.2, turnsMax: 8 })
  for (let epoch = 0; epoch < 4; epoch++) {
    const runs = [startRun(log, world, seed + epoch), startRun(log, world, seed + epoch + 100)]
    for (let round = 0; round < 6; round++) {
      await log.append(world.nextInputs(1 + Math.floor(random.next() * 30)))
      for (let turn = random.next() * 40; turn > 0; turn--) await nextTurn()
      const run = runs[Math.floor(random.next() * 4)]
      if (run === undefined) continue
      if (random.next() < 0.5) run.stop.abort()
      else run.kill.abort()
    }
    for (const run of runs) run.kill.abort()
    await Promise.all(runs.map(({ ended }) => ended))
    log = await test.reopen()
  }
  world.faults.fails = 0
  const last = startRun(log, world, seed)
  await waitFor(async () => (await settledOf(log)) === world.inputs(), { what: 'everything to be settled' })
  last.stop.abort()
  await last.ended
  const records = new Map<string, LogRecord[]>()
  for (const { name } of worldTopicSpecs) records.set(name, await readAll(log, name))
  world.verify((topic) => records.get(topic) ?? [])
}

function startRun(log: Log, world: World, seed: number) {
  const random = createSeededRandom(seed)
  const stop = new AbortController()
  const kill = new AbortController()
  const ports = { log, clock: createHurriedClock(random), random, ...quietTelemetry() }
  const ended = runStage(ports, world.stage, {
    config: worldConfig,
    topics: worldTopics,
    stop: stop.signal,
    signal: kill.signal,
  })
  return { stop, kill, ended }
}

async function settledOf(log: Log): Promise<number> {
  const positions = await log.positions(worldGroup)
  return positions.reduce((sum, { position }) => sum + position, 0)
}

async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for (let partition = 0; partition < inputPartitions; partition++)
    for await (const chunk of log.scan({ topic, partition, from: 0 })) all.push(...chunk)
  return all
}
