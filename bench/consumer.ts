/**
 * The generic consumer end to end: from the embedded log through the processor into chDB, rows per second and
 * peak memory of this process and of the chDB host, for outcomes, metrics and errors. Outcomes and metrics are
 * written by columns, and besides, in turns, as JSON. Beside it, in the same run, what JSON.parse alone does over
 * the same bytes. Prints one JSON line.
 * `node bench/consumer.ts [outcomes] [errors] [metrics]`: how many messages of each.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warehouseConfigSchema } from '../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../src/adapters/embedded/chdb/config.ts'
import { openManagedChdb } from '../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { consumerConfig } from '../src/datasets/consume/config.ts'
import { ensureStorageTopics, prepareTables } from '../src/datasets/consume/prepare-storage.ts'
import { runConsumer } from '../src/datasets/consume/run-consumer.ts'
import { findStorage } from '../src/datasets/storage/read-storage.ts'
import type { Storage } from '../src/datasets/storage/storage.ts'
import { topics } from '../src/event/topics.ts'
import type { Log } from '../src/ports/log.ts'
import type { Warehouse } from '../src/ports/warehouse.ts'
import { streamConfig } from '../src/stream/config.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const rounds = 3
const outcomes = Number(process.argv[2] ?? 300_000)
const errors = Number(process.argv[3] ?? 30_000)
const metrics = Number(process.argv[4] ?? 100_000)

const directory = await mkdtemp(join(tmpdir(), 'rowmill-bench-'))
try {
  const result = {
    outcomes: await bench('outcomes_raw', outcomes, async () => Array.from({ length: 10_000 }, outcomeOf)),
    metrics: await bench('metrics_raw', metrics, async () => Array.from({ length: 10_000 }, metricOf)),
    errors: await bench('errors', errors, readErrors),
  }
  process.stdout.write(`${JSON.stringify({ bench: 'consumer', ...result })}\n`)
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

async function bench(name: string, total: number, make: () => Promise<Buffer[]>) {
  if (total === 0) return undefined
  const storage = withoutTtl(await findStorage(name))
  const payloads = await make()
  const bytes = payloads.reduce((sum, { length }) => sum + length, 0)
  await using world = await openWorld(name)
  const { log, warehouse } = world
  await ensureStorageTopics(log, storage, {
    partitions: 1,
    retentionMs: 3_600_000,
    deadLetterRetentionMs: 3_600_000,
  })
  await prepareTables(warehouse, storage, { createsTables: true })
  const formats =
    storage.writer.format === 'Native' ? (['Native', 'JSONEachRow'] as const) : [storage.writer.format]
  const speeds: Record<string, number[]> = {}
  const cpu: Record<string, { consumer: number[]; clickhouse: number[] }> = {}
  for (let round = 0; round < rounds; round++)
    for (const format of formats) {
      await fill(log, storage.stream.topic, { payloads, total })
      const before = await cpuOf(world.hostPid)
      const started = performance.now()
      await consume(world, { ...storage, writer: { ...storage.writer, format } })
      speeds[format] = [...(speeds[format] ?? []), Math.round((total / (performance.now() - started)) * 1000)]
      const after = await cpuOf(world.hostPid)
      cpu[format] ??= { consumer: [], clickhouse: [] }
      cpu[format].consumer.push(((after.own - before.own) * 1e6) / total)
      cpu[format].clickhouse.push(((after.host - before.host) * 1e6) / total)
    }
  const [count] = await warehouse.query<{ rows: string }>(
    `SELECT count() AS rows FROM ${storage.tables[0]?.name}`,
  )
  const isPlain = storage.tables[0]?.engine.kind === 'MergeTree'
  if (isPlain && count?.rows !== String(total * rounds * formats.length))
    throw new Error(`${name}: ${count?.rows} rows of ${total * rounds * formats.length}`)
  return {
    messages: total,
    bytesPerMessage: Math.round(bytes / payloads.length),
    formats: Object.fromEntries(
      formats.map((format) => [
        format,
        {
          messagesPerSecond: median(speeds[format] ?? []),
          all: speeds[format],
          cpuMicrosecondsPerMessage: {
            consumer: median(cpu[format]?.consumer ?? []),
            clickhouse: median(cpu[format]?.clickhouse ?? []),
          },
        },
      ]),
    ),
    jsonParsePerSecond: parseSpeed(payloads),
    peakMegabytes: { consumer: await peakOf(process.pid), clickhouse: await peakOf(world.hostPid) },
  }
}

type World = AsyncDisposable & {
  log: Log
  warehouse: Warehouse
  hostPid: number
  ground: ReturnType<typeof ground>
}

function ground() {
  const logger = createLogger({ level: 'warn' })
  return { clock: createSystemClock(), random: createSystemRandom(), metrics: createMetrics(), logger }
}

async function openWorld(name: string): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const own = ground()
  const folder = join(directory, name)
  const chdb = stack.use(
    await openManagedChdb(own, { ...chdbConfigSchema.parse({}), directory: join(folder, 'chdb') }),
  )
  const { url, user, password } = chdb
  const config = { ...warehouseConfigSchema.parse({}), url, user, password, database: 'bench' }
  const warehouse = stack.use(await openWarehouse(own, config))
  const log = stack.use(
    await openEmbeddedLog({ ...own, directory: join(folder, 'log') }, embeddedLogConfig.parse({})),
  )
  const owned = stack.move()
  return {
    log,
    warehouse,
    ground: own,
    hostPid: await childOf(process.pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function consume({ ground: own, log, warehouse }: World, storage: Storage): Promise<void> {
  await runConsumer({ ...own, log, warehouse }, storage, {
    config: consumerConfig.parse({ endsWhenDone: true, batchWaitMs: 0 }),
    stream: streamConfig.parse({}),
    topics: { deadLetters: topics.deadLetters, drops: topics.drops, ledger: topics.ledger },
    live: () => ({}),
    stop: new AbortController().signal,
    signal: new AbortController().signal,
  })
}

async function fill(
  log: Log,
  topic: string,
  what: { payloads: readonly Buffer[]; total: number },
): Promise<void> {
  const { payloads, total } = what
  const own = [topics.deadLetters, topics.drops, topics.ledger]
  await log.ensureTopics(own.map((name) => ({ name, partitions: 1, retentionMs: 3_600_000 })))
  for (let from = 0; from < total; from += 1000) {
    const records = Array.from({ length: Math.min(1000, total - from) }, (_, index) => ({
      topic,
      key: null,
      value: payloads[(from + index) % payloads.length] ?? Buffer.alloc(0),
    }))
    await log.append(records)
  }
}

/** Old payloads would vanish at the insert. */
function withoutTtl(storage: Storage): Storage {
  const tables = storage.tables.map((table) => ({
    ...table,
    ttl: undefined,
    columns: table.columns.map((column) => ({ ...column, ttl: undefined })),
  }))
  return { ...storage, tables }
}

function outcomeOf(_: unknown, number: number): Buffer {
  return Buffer.from(
    JSON.stringify({
      timestamp: new Date(1_767_322_800_000 + number * 37).toISOString().replace(/\.\d+Z/, '.000000Z'),
      org_id: 1 + (number % 50),
      project_id: 1 + (number % 400),
      key_id: number % 3 === 0 ? null : number % 900,
      outcome: number % 5,
      reason: number % 5 === 0 ? null : ['project_abuse', 'discarded-hash', 'invalid_json'][number % 3],
      event_id: (number * 2_654_435_761).toString(16).padStart(32, '4'),
      quantity: 1 + (number % 3),
      category: 1 + (number % 7),
    }),
  )
}

function metricOf(_: unknown, number: number): Buffer {
  const type = 'csd'.charAt(number % 3)
  const value = { c: (number % 10) + 0.5, s: [number, number + 1], d: [number / 8, 0.25, 12.75] }[type]
  return Buffer.from(
    JSON.stringify({
      version: 1,
      use_case_id: 'sessions',
      org_id: 1 + (number % 50),
      project_id: 4_509_000 + (number % 400),
      metric_id: 1_232_000 + (number % 30),
      type,
      timestamp: 1_767_322_800 + (number % 3600),
      sentry_received_timestamp: 1_767_322_868.412,
      tags: { '9223372036854776010': 65_000 + (number % 20), '9223372036854776017': 1_000_212 },
      value,
      retention_days: 90,
      mapping_meta: { h: { '9223372036854776010': 'environment', '9223372036854776017': 'session.status' } },
    }),
  )
}

async function readErrors(): Promise<Buffer[]> {
  const folder = new URL('../test/processors/payloads/errors/', import.meta.url)
  const names = (await readdir(folder)).filter((name) => /^everyday.*(?<!\.rows)\.json$/.test(name))
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), 'utf8')))
  // Each event has an id of its own: rows of one id would be one.
  return Array.from({ length: 4000 }, (_, number) => {
    const id = (number + 1).toString(16).padStart(32, 'a')
    const text = texts[number % texts.length] ?? ''
    const given = /"event_id":\s*"([0-9a-f-]{32,36})"/.exec(text)?.[1]
    return Buffer.from(given === undefined ? text : text.replaceAll(given, id))
  })
}

function parseSpeed(payloads: readonly Buffer[]): number {
  const started = performance.now()
  let count = 0
  while (performance.now() - started < 500)
    for (const payload of payloads) {
      JSON.parse(payload.toString())
      count++
    }
  return Math.round((count / (performance.now() - started)) * 1000)
}

function median(values: readonly number[]): number {
  return Math.round((values.toSorted((left, right) => left - right)[values.length >> 1] ?? 0) * 100) / 100
}

/** Seconds of CPU so far, of this process and of the host; independent of what else the machine does. */
async function cpuOf(hostPid: number): Promise<{ own: number; host: number }> {
  const { user, system } = process.cpuUsage()
  const stat = await readFile(`/proc/${hostPid}/stat`, 'utf8')
  const [userTicks, systemTicks] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return { own: (user + system) / 1e6, host: (Number(userTicks) + Number(systemTicks)) / 100 }
}

/** `VmHWM` of a process, in megabytes. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

async function childOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return Number(children.trim().split(' ').at(-1))
}
