/** The stream engine on a real Kafka: nothing is lost, doubled or reordered, whatever fails, stops or moves. */
import { after, before, describe, test } from 'node:test'
import type { Log, LogRecord } from '../../../src/ports/log.ts'
import { runStage } from '../../../src/stream/stream.ts'
import { createHurriedClock } from '../../simulation/hurried-clock.ts'
import {
  createWorld,
  inputPartitions,
  type World,
  worldConfig,
  worldGroup,
  worldTopicSpecs,
  worldTopics,
} from '../../simulation/stage-world.ts'
import { openKafkaTestLog } from '../../support/engines/kafka/log.ts'
import { noKafka, openKafka, type TestKafka } from '../../support/engines/kafka.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { createSeededRandom } from '../../support/seeded-random.ts'
import { waitFor } from '../../support/wait-for.ts'

describe('the stream engine on Kafka', { skip: noKafka }, () => {
  let kafka: TestKafka
  before(async () => {
    kafka = await openKafka()
  })
  after(async () => {
    await kafka[Symbol.asyncDispose]()
  })

  for (const seed of [1, 2 + Math.floor(Math.random() * 1e9)])
    test(`nothing is lost, doubled or reordered through failures, stops and reopening (seed ${seed})`, () =>
      simulate(kafka.address, seed))
})

async function simulate(address: string, seed: number): Promise<void> {
  const random = createSeededRandom(seed)
  const world = createWorld(random)
  // Two logs on the same topics, as two processes have them.
  await using one = await openKafkaTestLog(address)
  await using other = await openKafkaTestLog(address, { topicPrefix: one.config.topicPrefix })
  let logs = [one.log, other.log] as const
  await one.log.ensureTopics(worldTopicSpecs)
  Object.assign(world.faults, { fails: 0.2, turnsMax: 8 })
  for (let epoch = 0; epoch < 3; epoch++) {
    const [log, second] = logs
    const runs = [startRun(log, world, seed + epoch), startRun(second, world, seed + epoch + 100)]
    for (let round = 0; round < 6; round++) {
      const before = await settledOf(log)
      await log.append(world.nextInputs(1 + Math.floor(random.next() * 30)))
      if (random.next() < 0.7)
        await waitFor(async () => (await settledOf(log)) > before || runs.every((run) => run.isOver()))
      const run = runs[Math.floor(random.next() * 4)]
      if (run === undefined) continue
      if (random.next() < 0.5) run.stop.abort()
      else run.kill.abort()
    }
    for (const run of runs) run.kill.abort()
    await Promise.all(runs.map(({ ended }) => ended))
    logs = [await one.reopen(), await other.reopen()]
  }
  world.faults.fails = 0
  const [log] = logs
  const last = startRun(log, world, seed)
  const isDone = async () => (await settledOf(log)) === world.inputs()
  await waitFor(isDone, { what: 'everything to be settled', withinMs: 60_000 })
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
  return { stop, kill, ended, isOver: () => stop.signal.aborted || kill.signal.aborted }
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
