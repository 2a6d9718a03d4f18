/**
 * Programs in the sandbox: events per second of a trivial and of a typical `processEvent` over batches of 1, 100
 * and 500, beside the same functions called directly with the same parsing and printing, in the same run. Rounds
 * take turns and the median counts. Then how long a child process takes to start, how long a program takes to
 * load, and what it weighs. Prints one JSON line. `node bench/sandbox.ts [--seconds 0.5] [--rounds 3]`
 *
 * `PerSecond` runs as many calls at once as there are cores, each with a program of its own, on all cores together
 * with this process. `PerCpuSecond` divides by the processor time of this process and the child processes together:
 * others on the machine do not count (Linux only).
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { sandboxConfigSchema } from '../src/sandbox/config.ts'
import type { Program } from '../src/sandbox/program.ts'
import { openSandbox, type Sandbox } from '../src/sandbox/sandbox.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const { values: wanted } = parseArgs({ options: { seconds: { type: 'string' }, rounds: { type: 'string' } } })
const roundMs = Number(wanted.seconds ?? 0.5) * 1000
const rounds = Number(wanted.rounds ?? 3)
const sizes = [1, 100, 500]
const programsMax = 50
const { signal } = new AbortController()

/** Function bodies, so that the very same text runs here and there. */
const bodies = {
  trivial: 'return event',
  typical: `
    const properties = event.properties
    properties.plugin_seen = true
    properties.host_part = String(properties.$current_url).split('/')[2]
    properties.is_mobile = properties.$screen_width < 800
    if (properties.$ip) delete properties.$ip
    return event`,
}

const event = JSON.stringify({
  uuid: '01890a5d-ac96-774b-bcce-b302099a8057',
  event: '$pageview',
  distinct_id: '01890a5d-ac96-774b-bcce-b302099a8058',
  team_id: 1,
  timestamp: '2026-01-01T00:00:00.000Z',
  ip: '203.0.113.7',
  properties: {
    $current_url: 'https://shop.example.com/products/blue-shoes?ref=mail',
    $host: 'shop.example.com',
    $pathname: '/products/blue-shoes',
    $browser: 'Chrome',
    $browser_version: 126,
    $os: 'Mac OS X',
    $screen_height: 900,
    $screen_width: 1440,
    $viewport_height: 789,
    $viewport_width: 1440,
    $lib: 'web',
    $lib_version: '1.130.0',
    $insert_id: 'lq3kz1f0a2b4c6d8',
    $time: 1767225600.123,
    $device_id: '01890a5d-ac96-774b-bcce-b302099a8058',
    $session_id: '01890a5d-ac96-774b-bcce-b302099a8059',
    $referrer: '$direct',
    $ip: '203.0.113.7',
    plan: 'pro',
    cart_value: 49.9,
  },
})

async function open(): Promise<Sandbox> {
  return await openSandbox({
    config: sandboxConfigSchema.parse({}),
    clock: createSystemClock(),
    logger: createLogger({ level: 'error' }),
    metrics: createMetrics(),
  })
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0
}

function directly(body: string): number {
  const run: unknown = new Function('event', body)
  if (typeof run !== 'function') return 0
  const before = process.cpuUsage()
  let events = 0
  let cpuMs = 0
  while (cpuMs < roundMs) {
    for (let at = 0; at < 100; at++) JSON.stringify(run(JSON.parse(event)))
    events += 100
    const { user, system } = process.cpuUsage(before)
    cpuMs = (user + system) / 1000
  }
  return (events * 1000) / cpuMs
}

/** Processor time of this process and the sandbox's, in ms. */
function cpuMsOf(sandbox: Sandbox): number {
  const { user, system } = process.cpuUsage()
  const children = sandbox.stats().children.map(({ pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
    return (Number(fields[13]) + Number(fields[14])) * 10
  })
  return (user + system) / 1000 + children.reduce((sum, each) => sum + each, 0)
}

async function inSandbox(sandbox: Sandbox, programs: readonly Program[], size: number) {
  const items = Array.from({ length: size }, (_, seed) => ({ text: event, nowMs: 1_767_225_600_000, seed }))
  const cpuBefore = cpuMsOf(sandbox)
  const started = performance.now()
  const sums = await Promise.all(
    programs.map(async (program) => {
      let done = 0
      while (performance.now() - started < roundMs) {
        const answer = await program.call('processEvent', items, { signal })
        if (answer.results.some(({ kind }) => kind !== 'value')) throw new Error('An event has no value.')
        done += size
      }
      return done
    }),
  )
  const events = sums.reduce((sum, each) => sum + each, 0)
  const perSecond = (events * 1000) / (performance.now() - started)
  return { perSecond, perCpuSecond: (events * 1000) / (cpuMsOf(sandbox) - cpuBefore) }
}

async function measure(sandbox: Sandbox, name: string, body: string) {
  const source = `exports.processEvent = (event) => {${body}\n}`
  const programs = await Promise.all(
    Array.from({ length: availableParallelism() }, () => sandbox.load({ name, source }, { signal })),
  )
  const figures = new Map<string, number[]>()
  const note = (what: string, figure: number) => figures.set(what, [...(figures.get(what) ?? []), figure])
  for (let round = -1; round < rounds; round++) {
    const direct = directly(body)
    if (round >= 0) note('directPerCpuSecond', direct)
    for (const size of sizes) {
      const found = await inSandbox(sandbox, programs, size)
      if (round < 0) continue
      note(`batch${size}PerSecond`, found.perSecond)
      note(`batch${size}PerCpuSecond`, found.perCpuSecond)
    }
  }
  for (const program of programs) await program[Symbol.asyncDispose]()
  return Object.fromEntries([...figures].map(([what, all]) => [what, Math.round(median(all))]))
}

/** Bytes that a process holds alone, with its share of what it holds with others; Linux only. */
function proportionalBytes(pid: number | undefined): number {
  try {
    const found = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
    return Number(found?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

async function weigh() {
  const started = performance.now()
  const sandbox = await open()
  const startMs = performance.now() - started
  try {
    const pid = sandbox.stats().children[0]?.pid
    const source = `exports.processEvent = (event) => {${bodies.typical}\n}`
    const item = { text: event, nowMs: 0, seed: 0 }
    const first = await sandbox.load({ name: 'first', source }, { signal })
    await first.call('processEvent', [item], { signal })
    const before = proportionalBytes(pid)
    const loading = performance.now()
    for (let at = 0; at < programsMax; at++) {
      const program = await sandbox.load({ name: `program ${at}`, source }, { signal })
      await program.call('processEvent', [item], { signal })
    }
    return {
      childStartMs: Math.round(startMs),
      childMegabytes: Math.round(before / 2 ** 20),
      programLoadMs: Math.round(((performance.now() - loading) / programsMax) * 10) / 10,
      programMegabytes: Math.round(((proportionalBytes(pid) - before) / 2 ** 20 / programsMax) * 100) / 100,
    }
  } finally {
    await sandbox[Symbol.asyncDispose]()
  }
}

const results: Record<string, unknown> = {}
{
  await using sandbox = await open()
  for (const [name, body] of Object.entries(bodies)) results[name] = await measure(sandbox, name, body)
}
process.stdout.write(
  `${JSON.stringify({ bench: 'sandbox', cores: availableParallelism(), eventBytes: event.length, ...results, ...(await weigh()) })}\n`,
)
