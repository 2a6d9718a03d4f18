/**
 * The events dataset: rows per second from the log into the embedded warehouse, and what the sink's encoding
 * costs per row beside JSON.parse of the same bytes. Prints one JSON line. `node bench/datasets.ts [rows]`
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warehouseConfigSchema } from '../src/adapters/clickhouse/config.ts'
import { migrateWarehouse } from '../src/adapters/clickhouse/migrations.ts'
import { openWarehouse } from '../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../src/adapters/embedded/chdb/config.ts'
import { openManagedChdb } from '../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { loadMigrations } from '../src/adapters/migration-files.ts'
import { datasetsConfig } from '../src/datasets/config.ts'
import { readDatasetStages } from '../src/datasets/datasets.ts'
import { runBatch } from '../src/datasets/processor/run-batch.ts'
import { createProofContext } from '../src/datasets/processor/run-message.ts'
import { createReadyRow } from '../src/datasets/processors/ready/ready.ts'
import { findStorage } from '../src/datasets/storage/read-storage.ts'
import { topics } from '../src/event/topics.ts'
import type { Blobs } from '../src/ports/blobs.ts'
import type { Log, LogBatch, LogRecord } from '../src/ports/log.ts'
import { streamConfig } from '../src/stream/config.ts'
import { runStage } from '../src/stream/stream.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const total = Number(process.argv[2] ?? 100_000)
const values = Array.from({ length: total }, (_, number) => Buffer.from(JSON.stringify(eventOf(number))))
const bytesPerRow = Math.round(values.reduce((sum, { length }) => sum + length, 0) / total)

const directory = await mkdtemp(join(tmpdir(), 'rowmill-bench-'))
try {
  const cpu = await benchEncoding()
  const flow = await benchFlow()
  process.stdout.write(
    `${JSON.stringify({ bench: 'datasets', rows: total, bytesPerRow, ...cpu, ...flow })}\n`,
  )
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}

/** CPU time, medians of five rounds over the same 10 000 rows. */
async function benchEncoding() {
  const batch = batchOf(values.slice(0, 10_000))
  const storage = await findStorage('events')
  const context = createProofContext({ storage: storage.name })
  const processor = createReadyRow(context)
  const microseconds = (work: () => void) => {
    const rounds = Array.from({ length: 6 }, () => {
      const before = process.cpuUsage()
      work()
      const { user, system } = process.cpuUsage(before)
      return (user + system) / batch.records.length
    })
    return Math.round((rounds.slice(1).sort((a, b) => a - b)[2] ?? 0) * 1000) / 1000
  }
  return {
    encodeCpuMicrosecondsPerRow: microseconds(() =>
      runBatch(processor, batch.records, storage.tables.length),
    ),
    jsonParseCpuMicrosecondsPerRow: microseconds(() => {
      for (const { value } of batch.records) JSON.parse(value.toString())
    }),
  }
}

async function benchFlow() {
  const logger = createLogger({ level: 'warn' })
  const ground = {
    clock: createSystemClock(),
    random: createSystemRandom(),
    metrics: createMetrics(),
    logger,
  }
  await using stack = new AsyncDisposableStack()
  const chdbConfig = { ...chdbConfigSchema.parse({}), directory: join(directory, 'chdb') }
  const chdb = stack.use(await openManagedChdb(ground, chdbConfig))
  const { url, user, password } = chdb
  const config = { ...warehouseConfigSchema.parse({}), url, user, password, database: 'bench' }
  const warehouse = stack.use(await openWarehouse(ground, config))
  await migrateWarehouse(warehouse, {
    files: await loadMigrations(new URL('../sql/clickhouse/', import.meta.url)),
    logger,
  })
  const logDirectory = join(directory, 'log')
  const log = stack.use(
    await openEmbeddedLog({ ...ground, directory: logDirectory }, embeddedLogConfig.parse({})),
  )
  await fill(log)

  const ports = { ...ground, warehouse, blobs: noBlobs(), resolveTeam: async () => undefined }
  const stages = await readDatasetStages(ports, datasetsConfig.parse({}))
  const stage = stages.find(({ group }) => group === 'datasets-events')
  if (stage === undefined) throw new Error('There is no events dataset.')
  const stop = new AbortController()
  const started = performance.now()
  const options = { config: streamConfig.parse({}), topics, stop: stop.signal, signal: stop.signal }
  const running = runStage({ ...ground, log }, stage, options)
  for (let settled = 0; settled < total; ) {
    await ground.clock.sleep(5)
    const positions = await log.positions(stage.group)
    settled = positions.reduce((sum, { position }) => sum + position, 0)
  }
  const seconds = (performance.now() - started) / 1000
  stop.abort()
  await running
  return { rowsPerSecond: Math.round(total / seconds), seconds: Math.round(seconds * 100) / 100 }
}

async function fill(log: Log): Promise<void> {
  await log.ensureTopics(
    Object.values(topics).map((name) => ({ name, partitions: 1, retentionMs: 86_400_000 })),
  )
  for (let from = 0; from < total; from += 1000)
    await log.append(
      values.slice(from, from + 1000).map((value) => ({ topic: topics.readyEvents, key: null, value })),
    )
}

function batchOf(from: readonly Buffer[]): LogBatch {
  const topic = topics.readyEvents
  const records = from.map(
    (value, offset): LogRecord => ({
      topic,
      partition: 0,
      offset,
      timestampMs: 1_767_322_800_000,
      key: null,
      value,
      headers: {},
    }),
  )
  return { topic, partition: 0, from: 0, until: records.length, records }
}

function eventOf(number: number): object {
  const id = number.toString(16).padStart(12, '0')
  const properties = {
    $browser: 'Firefox',
    $current_url: `https://shop.example/products/${number % 1000}?ref=mail`,
    $device_type: 'Desktop',
    $session_id: `0190f0a0-0000-7000-8000-${(number % 5000).toString(16).padStart(12, '0')}`,
    $lib: 'web',
    $screen_height: 1080,
    $screen_width: 1920,
    plan: 'pro',
    price: number % 97,
  }
  return {
    uuid: `0190f0a0-1111-7000-8000-${id}`,
    event: number % 3 === 0 ? '$pageview' : 'product viewed',
    properties: JSON.stringify(properties),
    timestamp: '2026-01-02 03:04:05.678000',
    team_id: 1,
    project_id: 1,
    distinct_id: `visitor-${number % 20_000}`,
    elements_chain: '',
    created_at: '2026-01-02 03:04:05.700000',
    person_id: `0190f0a0-2222-5000-8000-${(number % 20_000).toString(16).padStart(12, '0')}`,
    person_created_at: '2026-01-01 00:00:00',
    person_properties: '{"email":"visitor@example.com","plan":"pro"}',
    person_mode: 'full',
    historical_migration: false,
    captured_at: '2026-01-02 03:04:05.690000',
    source_topic: topics.captured,
    source_partition: 0,
    source_offset: number,
  }
}

function noBlobs(): Blobs {
  return {
    put: async () => {},
    get: async () => undefined,
    delete: async () => false,
    async *list() {},
    presign: async () => undefined,
    async [Symbol.asyncDispose]() {},
  }
}
