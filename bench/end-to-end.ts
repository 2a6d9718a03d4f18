/**
 * The whole program under load: posted → persons → queryable rows, as fast as it goes; then the time from
 * acknowledgement to queryable at a fixed rate; start times; memory of all its processes.
 *
 * Prints one line of JSON. `--events` and `--rate` change the size; `--soak <seconds>` adds a long steady load and
 * says how memory went along, in the medians of its quarters.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { createEvents } from '../src/cli/load/generate.ts'
import { topics } from '../src/event/topics.ts'
import { quietTelemetry } from '../test/support/quiet.ts'
import { RowmillProcess } from '../test/support/rowmill-process.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { openFloor } from './support/floor.ts'
import { runHttpLoad } from './support/http-load.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '300000' },
    rate: { type: 'string', default: '2000' },
    batch: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '20' },
    soak: { type: 'string', default: '0' },
    soakRate: { type: 'string', default: '3000' },
  },
})

await using dir = await tempDir('rowmill-bench-')
await using rowmill = new RowmillProcess({
  dataDir: dir.path,
  port: 21_000 + (process.pid % 10_000),
  token: 'phc_bench',
  apiKey: 'phx_bench',
})
const firstStartMs = await rowmill.start()
await sleep(3_000)
const idle = memory(rowmill.pid)

const full = JSON.parse(
  (
    await rowmill.command(
      'load',
      '--json',
      '--events',
      values.events,
      '--batch',
      values.batch,
      '--wait',
      '300',
    )
  ).out,
) as LoadReport
const loaded = memory(rowmill.pid)
const latency = await ackToQueryable(Number(values.rate), Number(values.seconds))
const soak = await soakMemory(Number(values.soakRate), Number(values.soak))
await rowmill.end('SIGTERM')
const restarts: number[] = []
for (let round = 0; round < 3; round++) {
  restarts.push(await rowmill.start())
  await rowmill.end('SIGTERM')
}
const floorEventsPerSecond = await measureFloor(Number(values.batch), 5)
const round = (value: number): number => Math.round(value)
process.stdout.write(
  `${JSON.stringify({
    bench: 'end-to-end',
    events: full.acknowledged,
    acknowledgedPerSecond: full.acknowledgedPerSecond,
    rowsPerSecond: full.rowsPerSecond,
    floorEventsPerSecond,
    shareOfFloor: round((100 * full.acknowledgedPerSecond) / floorEventsPerSecond) / 100,
    isBalanced: full.audit.isBalanced,
    ackToQueryableMs: latency,
    firstStartMs: round(firstStartMs),
    restartMs: round(restarts.toSorted((a, b) => a - b)[1] ?? 0),
    idleMegabytes: idle,
    loadedMegabytes: loaded,
    ...(soak === undefined ? {} : { soakMegabytes: soak }),
  })}\n`,
)

/** The same requests to a bare server that parses, appends to the same kind of log and answers. */
async function measureFloor(batch: number, seconds: number): Promise<number> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  await using folder = await tempDir('rowmill-bench-')
  await using log = await openEmbeddedLog({ directory: folder.path, ...deps }, embeddedLogConfig.parse({}))
  await log.ensureTopics([{ name: topics.captured, partitions: 4, retentionMs: 60_000 }])
  await using floor = await openFloor(log)
  const next = createEvents({ users: 1000, run: 'floor', propertiesBytes: 600 }, deps.random)
  const bodies = Array.from({ length: 50 }, () =>
    JSON.stringify({
      api_key: 'phc_bench',
      batch: Array.from({ length: batch }, () => next(deps.clock.now())),
    }),
  )
  const load = { port: floor.port, path: '/batch/', bodies, connections: 8, pipelined: 1 }
  const { perSecond } = await runHttpLoad({ ...load, warmUpMs: 1000, durationMs: seconds * 1000 })
  return Math.round(perSecond * batch)
}

type LoadReport = {
  acknowledged: number
  acknowledgedPerSecond: number
  rowsPerSecond: number
  audit: { isBalanced: boolean }
}

/** One marked event every 100 ms within a steady load; asks until each is a row. */
async function ackToQueryable(
  rate: number,
  seconds: number,
): Promise<{ p50: number; p99: number; samples: number }> {
  const background = rowmill.command(
    'load',
    '--json',
    '--events',
    String(rate * (seconds + 2)),
    '--rate',
    String(rate),
    '--batch',
    '20',
    '--wait',
    '1',
  )
  await sleep(1_500)
  const acknowledgedAt = new Map<string, number>()
  const seenAfter: number[] = []
  const deadline = performance.now() + seconds * 1000
  let nextSample = performance.now()
  while (performance.now() < deadline || (acknowledgedAt.size > 0 && performance.now() < deadline + 5_000)) {
    if (performance.now() >= nextSample && performance.now() < deadline) {
      const uuid = crypto.randomUUID()
      await fetch(`${rowmill.url}/e/`, {
        method: 'POST',
        body: JSON.stringify({ api_key: 'phc_bench', event: 'marker', distinct_id: 'marker', uuid }),
      })
      acknowledgedAt.set(uuid, performance.now())
      nextSample += 200
    }
    const found = await ask(
      "select toString(uuid) from events where event = 'marker' and timestamp > now() - interval 1 minute",
    )
    for (const uuid of found) {
      const at = acknowledgedAt.get(uuid)
      if (at === undefined) continue
      seenAfter.push(performance.now() - at)
      acknowledgedAt.delete(uuid)
    }
    await sleep(15)
  }
  await background
  seenAfter.sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round(seenAfter[Math.floor(share * (seenAfter.length - 1))] ?? -1)
  return { p50: at(0.5), p99: at(0.99), samples: seenAfter.length }
}

async function ask(sql: string): Promise<string[]> {
  const answer = await fetch(`${rowmill.url}/api/projects/1/query`, {
    method: 'POST',
    headers: { authorization: 'Bearer phx_bench', 'content-type': 'application/json' },
    body: JSON.stringify({ query: { kind: 'HogQLQuery', query: sql } }),
  })
  const { results } = (await answer.json()) as { results?: [string][] }
  return (results ?? []).map(([uuid]) => uuid)
}

/** Memory during a steady load: the median of each quarter. Flat is what it should be. */
async function soakMemory(rate: number, seconds: number): Promise<number[] | undefined> {
  if (seconds === 0) return undefined
  const load = rowmill.command(
    'load',
    '--json',
    '--events',
    String(rate * seconds),
    '--rate',
    String(rate),
    '--wait',
    '60',
  )
  const quarters: number[] = []
  for (let quarter = 0; quarter < 4; quarter++) {
    const samples: number[] = []
    for (let sample = 0; sample < 5; sample++) {
      await sleep((seconds * 1000) / 20)
      samples.push(memory(rowmill.pid))
    }
    quarters.push(samples.toSorted((a, b) => a - b)[2] ?? 0)
  }
  await load
  return quarters
}

/** Proportional set size of the process and everything below it, in MB. */
function memory(pid: number | undefined): number {
  const parents = new Map<number, number[]>()
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)])
    } catch {
      // The process has ended meanwhile.
    }
  }
  const family: number[] = []
  const visit = (id: number): void => {
    family.push(id)
    for (const child of parents.get(id) ?? []) visit(child)
  }
  visit(pid ?? 0)
  let kilobytes = 0
  for (const id of family) {
    try {
      const rollup = execFileSync('cat', [`/proc/${id}/smaps_rollup`], { encoding: 'utf8' })
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0)
    } catch {
      // The process has ended meanwhile.
    }
  }
  return Math.round(kilobytes / 1024)
}
