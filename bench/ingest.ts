/**
 * What one event costs ingestion in CPU time, without I/O: people, the cache and the database are stand-ins
 * that answer at once. Prints one JSON line: µs of CPU per event in all (the collector's threads included),
 * beside the floor of the same run, which parses a message and writes a row of about the same size and nothing
 * else; and µs of wall time for each step, where `people` is the part of `write_rows` that computes persons
 * and groups.
 *
 *     node bench/ingest.ts [batches]
 */
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { ingestConfig } from '../src/ingest/config.ts'
import type { Entities } from '../src/ingest/entities.ts'
import { createIngestStages } from '../src/ingest/ingest.ts'
import type { LogBatch } from '../src/ports/log.ts'
import type { Metrics } from '../src/telemetry/metrics.ts'
import { capturedBatch } from '../test/support/captured-records.ts'
import { openFakeIngest } from '../test/support/ingest-fakes.ts'
import { createSeededRandom } from '../test/support/seeded-random.ts'

const batchEvents = 1000
const batches = Number(process.argv[2] ?? 60)
const random = createSeededRandom(3)
const clock = createSystemClock()
const steps = new Map<string, number>()
await using ports = await openFakeIngest({ clock, random: createSystemRandom() })
const metrics: Metrics = {
  ...ports.metrics,
  observe(name, value, labels = {}) {
    if (name === 'ingest_step_seconds')
      steps.set(labels.step ?? '', (steps.get(labels.step ?? '') ?? 0) + value)
  },
}
const entities: Entities = {
  async run(range, needs, compute) {
    const startedMs = clock.monotonic()
    const result = await ports.entities.run(range, needs, compute)
    steps.set('people', (steps.get('people') ?? 0) + (clock.monotonic() - startedMs) / 1000)
    return result
  },
}
const [stage] = createIngestStages({ ...ports, metrics, entities }, ingestConfig.parse({}))
const partition = await stage?.openPartition({
  topic: 'events_plugin_ingestion',
  partition: 0,
  position: 0,
  signal: new AbortController().signal,
})
const work = Array.from({ length: batches + 10 }, (_, at) => pageviews(at * batchEvents))
const bytes = work[0]?.records[0]?.value.length ?? 0

for (const batch of work.slice(0, 10)) await runBatch(batch)
steps.clear()
const started = process.cpuUsage()
for (const batch of work.slice(10)) await runBatch(batch)
const us = (ms: number) => Math.round((ms * 1e5) / (batches * batchEvents)) / 100
const cpuMs = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000
const total = us(cpuMs(process.cpuUsage(started)))
const floorStarted = process.cpuUsage()
for (const batch of work.slice(10)) floor(batch)
const line = {
  bench: 'ingest',
  messageBytes: bytes,
  events: batches * batchEvents,
  usPerEvent: total,
  floorUsPerEvent: us(cpuMs(process.cpuUsage(floorStarted))),
  steps: Object.fromEntries([...steps].map(([step, seconds]) => [step, us(seconds * 1000)])),
}
process.stdout.write(`${JSON.stringify(line)}\n`)

async function runBatch(batch: LogBatch): Promise<void> {
  const result = await partition?.process(batch, { signal: new AbortController().signal })
  result?.afterCommit?.()
}

function floor(batch: LogBatch): void {
  for (const record of batch.records) {
    const message = JSON.parse(record.value.toString())
    const data = JSON.parse(message.data)
    const properties = JSON.stringify(data.properties)
    Buffer.from(JSON.stringify({ ...message, data: undefined, properties, person_properties: properties }))
  }
}

function pageviews(from: number): LogBatch {
  return capturedBatch(
    Array.from({ length: batchEvents }, () => {
      const person = Math.floor(random.next() * 5000)
      const page = `/section/${Math.floor(random.next() * 100)}`
      return {
        event: '$pageview',
        distinctId: `visitor-${person}`,
        properties: {
          $current_url: `https://example.com${page}`,
          $host: 'example.com',
          $pathname: page,
          $browser: 'Chrome',
          $browser_version: 143,
          $os: 'Linux',
          $screen_height: 1080,
          $screen_width: 1920,
          $lib: 'web',
          $lib_version: '1.430.0',
          $session_id: `019b-${person}`,
          $referrer: '$direct',
          plan: 'pro',
        },
      }
    }),
    { from },
  )
}
