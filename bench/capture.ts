import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { openAdmission } from '../src/capture/admission/admission.ts'
import { admissionConfigSchema } from '../src/capture/admission/config.ts'
import { createCapture } from '../src/capture/capture.ts'
import { captureConfigSchema } from '../src/capture/config.ts'
import { capturedTopics, topics } from '../src/event/topics.ts'
import { httpConfigSchema } from '../src/http/config.ts'
import { openHttpServer } from '../src/http/http.ts'
import { smallCache } from '../test/support/capture.ts'
import { quietTelemetry } from '../test/support/quiet.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { openFloor } from './support/floor.ts'
import { runHttpLoad } from './support/http-load.ts'

const rounds = Number(process.argv[2] ?? 3)
const caseMs = Number(process.argv[3] ?? 3) * 1000
const batchEvents = 20
const connections = 32

const deps = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
await using directory = await tempDir('rowmill-bench-')
await using log = await openEmbeddedLog(
  { directory: directory.path, ...deps },
  embeddedLogConfig.parse({ bytesMax: 8 * 1024 ** 3 }),
)
await log.ensureTopics(
  [...capturedTopics, topics.drops].map((name) => ({ name, partitions: 4, retentionMs: 60_000 })),
)
const stop = new AbortController()
await using admission = await openAdmission(
  { cache: smallCache(), ...deps },
  admissionConfigSchema.parse({}),
  {
    signal: stop.signal,
  },
)
const settings = { ...captureConfigSchema.parse({}), aiLanePredicate: 'allowlist' as const }
const capture = createCapture({ log, admission, ...deps }, settings)
await using server = await openHttpServer(
  deps,
  { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0 },
  capture.routes,
)
await using floor = await openFloor(log)

const cases = [
  { name: 'single', path: '/i/v0/e/', events: 1, bodies: bodies(1), pipelined: 2 },
  { name: 'batch', path: '/batch/', events: batchEvents, bodies: bodies(batchEvents), pipelined: 1 },
]
const measured = new Map<string, number[]>()
const latencies = new Map<string, number[]>()
const costs = new Map<string, number[]>()
for (let round = 0; round < rounds; round++)
  for (const one of cases)
    for (const [name, port] of [
      ['floor', floor.port],
      ['capture', server.address.port],
    ] as const) {
      const { path, pipelined } = one
      const load = {
        port,
        path,
        bodies: one.bodies,
        connections,
        pipelined,
        warmUpMs: 700,
        durationMs: caseMs,
      }
      const cpuBefore = process.cpuUsage()
      const result = await runHttpLoad(load)
      const cpu = process.cpuUsage(cpuBefore)
      if (result.failures > 0 || result.requests === 0) throw new Error(`${result.failures} requests failed`)
      push(measured, `${one.name}.${name}`, result.perSecond * one.events)
      // The warm-up costs too: its share is that of its time.
      const cpuUs = ((cpu.user + cpu.system) * load.durationMs) / (load.durationMs + load.warmUpMs)
      push(costs, `${one.name}.${name}`, cpuUs / result.requests / one.events)
      push(latencies, `${one.name}.${name}`, result.latencyMs.p99)
    }
stop.abort()
process.stdout.write(
  `${JSON.stringify({
    bench: 'capture',
    rounds,
    eventBytes: cases[0]?.bodies[0]?.length,
    ...Object.fromEntries(cases.map(({ name }) => [name, summary(name)])),
  })}\n`,
)

function summary(name: string) {
  const capturePerSecond = median(measured.get(`${name}.capture`))
  const floorPerSecond = median(measured.get(`${name}.floor`))
  return {
    eventsPerSecond: capturePerSecond,
    floorEventsPerSecond: floorPerSecond,
    shareOfFloor: Math.round((capturePerSecond / floorPerSecond) * 100) / 100,
    cpuUsPerEvent: Math.round(median(costs.get(`${name}.capture`)) * 10) / 10,
    floorCpuUsPerEvent: Math.round(median(costs.get(`${name}.floor`)) * 10) / 10,
    p99Ms: median(latencies.get(`${name}.capture`)),
    floorP99Ms: median(latencies.get(`${name}.floor`)),
  }
}

function push(into: Map<string, number[]>, name: string, value: number): void {
  into.set(name, [...(into.get(name) ?? []), value])
}

function median(values: readonly number[] = []): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** Requests of a few hundred people, as posthog-js and the servers' SDKs send them. */
function bodies(events: number): string[] {
  return Array.from({ length: 97 }, (_, index) => {
    const made = Array.from({ length: events }, (_, nth) => {
      const person = (index * 31 + nth * 7) % 300
      return {
        uuid: `0196a5c5-7b1c-7000-8000-${String(index * 1000 + nth).padStart(12, '0')}`,
        event: '$pageview',
        distinct_id: `person-${person}`,
        properties: {
          $lib: 'web',
          $lib_version: '1.430.0',
          $browser: 'Chrome',
          $browser_version: 143,
          $os: 'Linux',
          $current_url: `https://shop.example/products/${person}?utm_source=letter`,
          $host: 'shop.example',
          $pathname: `/products/${person}`,
          $screen_height: 1080,
          $screen_width: 1920,
          $session_id: '0196a5c5-7b1c-7000-8000-0000000000aa',
          $window_id: '0196a5c5-7b1c-7000-8000-0000000000bb',
          $device_id: '0196a5c5-7b1c-7000-8000-0000000000cc',
          price: 12.5,
          isMember: true,
        },
        timestamp: new Date().toISOString(),
      }
    })
    return JSON.stringify(
      events === 1 ? { token: 'phc_bench', ...made[0] } : { api_key: 'phc_bench', batch: made },
    )
  })
}
