/**
 * One process of a role against two on Kafka: capture takes events, ingest works off what capture left, datasets
 * what ingest left. For each: events per second, CPU seconds per million events of the role, of each engine and
 * of the load, memory and connections of a process; at the end the bytes of an event in each engine. Prints one JSON line.
 *
 * `--share 0.2` holds each process to a fifth of a core, and datasets, whose work ClickHouse does, to a fifth of that: so
 * engines and load on the same machine are not what limits. 0 lets them run. `--processes 1` leaves out the comparison. What is measured lies between a third of the work and
 * its end: starting and warming up do not count.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { kafkaConfig } from '../src/adapters/kafka/config.ts'
import { openKafkaLog } from '../src/adapters/kafka/log.ts'
import { createEvents } from '../src/cli/load/generate.ts'
import { sendLoad } from '../src/cli/load/send.ts'
import { topics } from '../src/event/topics.ts'
import { freePort } from '../test/support/engines/redis.ts'
import { FleetMember } from '../test/support/fleet-processes.ts'
import { quietTelemetry } from '../test/support/quiet.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { holdToShare } from './support/cpu-share.ts'
import { type EngineName, openFleetEngines } from './support/fleet-engines.ts'
import { connectionsOf, cpuSecondsOf, peakMegabytesOf } from './support/proc.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    batch: { type: 'string', default: '50' },
    users: { type: 'string', default: '1000' },
    bytes: { type: 'string', default: '600' },
    partitions: { type: 'string', default: '12' },
    ready: { type: 'string', default: '4' },
    processes: { type: 'string', default: '1,2' },
    share: { type: 'string', default: '0' },
  },
})
const [events, share] = [Number(values.events), Number(values.share)]
const token = 'phc_bench'
const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }

await using engines = await openFleetEngines()
await using dir = await tempDir('rowmill-bench-')
const environment = {
  ...engines.environment,
  ROWMILL_PROJECT_TOKEN: token,
  ROWMILL_API_KEY: 'phx_bench',
  ROWMILL_LOG_CAPTURED_PARTITIONS: values.partitions,
  ROWMILL_LOG_READY_PARTITIONS: values.ready,
  // Consumers hold their partitions while they are frozen.
  ROWMILL_KAFKA_SESSION_TIMEOUT_MS: '600000',
}
const shape = { users: Number(values.users), run: 'scale', propertiesBytes: Number(values.bytes) }
const next = createEvents(shape, ground.random)
const started: FleetMember[] = []
await using ending = new AsyncDisposableStack()
ending.defer(async () => void (await Promise.all(started.map((member) => member.end('SIGKILL')))))

type Sample = { atMs: number; done: number; role: number; load: number; engines: Record<EngineName, number> }
type Progress = () => Promise<number>

// Makes the tables, the topics and the people, and warms the engines.
await measureRoles(1, { events: 20_000, share: 0 })
const before = await engines.bytes()
const persons = await engines.countPersons()
const measured = []
const counts = values.processes.split(',').map(Number)
for (const count of counts) measured.push(...(await measureRoles(count, { events, share })))
const after = await engines.bytes()
process.stdout.write(
  `${JSON.stringify({
    bench: 'scale',
    ...{ events, batch: Number(values.batch), share, eventBytes: eventBytes() },
    persons: { before: persons, after: await engines.countPersons() },
    ...{ partitions: Number(values.partitions), readyPartitions: Number(values.ready) },
    measured,
    bytesPerEvent: {
      kafka: Object.fromEntries(
        Object.entries(after.kafka)
          .map(([topic, bytes]) => [topic, perEvent(bytes - (before.kafka[topic] ?? 0))])
          .filter(([, bytes]) => bytes !== 0),
      ),
      wal: perEvent(after.wal - before.wal),
      clickhouse: perEvent(after.clickhouse - before.clickhouse),
    },
    postgresBytesPerPerson: Math.round(after.postgres / Math.max(1, await engines.countPersons())),
  })}\n`,
)

function perEvent(bytes: number): number {
  return Math.round(bytes / (events * counts.length))
}

function eventBytes(): number {
  return JSON.stringify(next(Date.now())).length
}

/**
 * The three roles one after the other over the same events. Consumers take their partitions first, and are frozen until
 * it is their turn.
 */
async function measureRoles(count: number, work: { events: number; share: number }) {
  const [ingesting, writing] = [await startAll('ingest', count), await startAll('datasets', count)]
  for (const member of [...ingesting, ...writing]) member.signal('SIGSTOP')
  const capture = await measureCapture(count, work)
  await using log = await openKafkaLog(ground, kafkaConfig.parse({ hosts: engines.environment.KAFKA_HOSTS }))
  const left = async (group: string, topic: string): Promise<number> => {
    const ends = (await log.describe()).find(({ name }) => name === topic)?.bounds ?? []
    const positions = (await log.positions(group)).filter((position) => position.topic === topic)
    const settled = positions.reduce((sum, { position }) => sum + position, 0)
    return ends.reduce((sum, { end }) => sum + end, 0) - settled
  }
  const ingestLeft = () => left('ingestion', topics.captured)
  const ingest = await measureConsumer('ingest', { members: ingesting, left: ingestLeft }, work)
  const datasetsLeft = () => left('datasets-events', topics.readyEvents)
  const datasets = await measureConsumer('datasets', { members: writing, left: datasetsLeft }, work)
  return [capture, ingest, datasets]
}

async function startAll(role: string, count: number): Promise<FleetMember[]> {
  const members: FleetMember[] = []
  for (let index = 0; index < count; index++) {
    const port = await freePort()
    const dataDir = join(dir.path, `${started.length}`)
    const own = { PORT: String(port), ROWMILL_ROLES: role, ROWMILL_DATA_DIR: dataDir }
    const member = new FleetMember({ PATH: process.env.PATH ?? '', ...environment, ...own }, port)
    members.push(member)
    started.push(member)
  }
  for (const member of members) member.start()
  await Promise.all(members.map((member) => member.ready()))
  return members
}

type Work = { events: number; share: number }

async function measureCapture(count: number, work: Work) {
  const members = await startAll('capture', count)
  const sent = members.map(() => 0)
  const signal = new AbortController().signal
  const plan = { token, events: Math.ceil(work.events / count), batch: Number(values.batch), connections: 8 }
  const load = Promise.all(
    members.map(({ url }, index) =>
      sendLoad(
        { ...plan, url, rate: 0 },
        { clock: ground.clock, next },
        {
          signal,
          onProgress(done) {
            sent[index] = done
          },
        },
      ),
    ),
  )
  const progress = async () => sent.reduce((sum, done) => sum + done, 0)
  const result = await sample({ role: 'capture', members, progress }, work)
  await load
  await Promise.all(members.map((member) => member.end('SIGTERM')))
  return result
}

async function measureConsumer(
  role: string,
  { members, left }: { members: readonly FleetMember[]; left: () => Promise<number> },
  work: Work,
) {
  const total = await left()
  for (const member of members) member.signal('SIGCONT')
  // A mark of a transaction at the end may never be settled.
  const progress = async () => Math.max(0, ((total - (await left())) / total) * work.events)
  const result = await sample({ role, members, progress }, work)
  await Promise.all(members.map((member) => member.end('SIGTERM')))
  return result
}

/** Watches until the work is done, and answers what happened between a third of it and its end. */
async function sample(
  { role, members, progress }: { role: string; members: readonly FleetMember[]; progress: Progress },
  { events, share }: Work,
) {
  const pids = members.flatMap(({ pid }) => pid ?? [])
  const held = role === 'datasets' ? share / 5 : share
  const letGo = holdToShare(pids, held)
  const samples: Sample[] = []
  const connections: Record<string, number> = {}
  let done = 0
  for (let stalled = 0; done < events * 0.97; ) {
    const now = await progress()
    stalled = now > done ? 0 : stalled + 1
    assert(stalled < 150, `${role} stands still at ${done} of ${events}: ${members[0]?.printed}`)
    done = now
    const { user, system } = process.cpuUsage()
    const load = (user + system) / 1e6
    samples.push({ atMs: performance.now(), done, role: cpuSecondsOf(pids), load, engines: engines.cpu() })
    for (const [engine, port] of Object.entries(engines.ports))
      connections[engine] = Math.max(connections[engine] ?? 0, connectionsOf(pids[0] ?? 0, port))
    await sleep(200)
  }
  const peakMegabytes = Math.max(...pids.map(peakMegabytesOf))
  letGo()
  const first = samples.find((one) => one.done >= events * 0.33) ?? samples[0]
  const last = samples.at(-1)
  assert(first !== undefined && last !== undefined && last.done > first.done, `${role} was too quick`)
  const worked = last.done - first.done
  const perMillion = (seconds: number) => Math.round((seconds / worked) * 1e7) / 10
  const names: EngineName[] = ['kafka', 'postgres', 'redis', 'clickhouse']
  const result = {
    ...{ role, processes: members.length, share: held },
    eventsPerSecond: Math.round((worked * 1000) / (last.atMs - first.atMs)),
    cpuSecondsPerMillion: {
      role: perMillion(last.role - first.role),
      ...Object.fromEntries(
        names.map((name) => [name, perMillion(last.engines[name] - first.engines[name])]),
      ),
      ...(role === 'capture' ? { load: perMillion(last.load - first.load) } : {}),
    },
    ...{ peakMegabytes, connections },
  }
  process.stderr.write(`${JSON.stringify(result)}\n`)
  return result
}
