/**
 * How fast rows reach the embedded ClickHouse through the Warehouse adapter, against the floor: the engine
 * reading the same rows from a file in its own process. Prints one JSON line; rows/s are medians of `runs`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warehouseConfigSchema } from '../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../src/adapters/embedded/chdb/config.ts'
import { openEngine, quoteString } from '../src/adapters/embedded/chdb/engine.ts'
import { openManagedChdb } from '../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import type { Warehouse } from '../src/ports/warehouse.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const runs = 3
const insertsPerRun = 5
const columns = 'id UInt64, event String, properties String'
type Format = 'JSONEachRow' | 'RowBinary'
type Write = (format: Format, body: Buffer) => Promise<unknown>

const ground = {
  clock: createSystemClock(),
  random: createSystemRandom(),
  logger: createLogger({ level: 'error' }),
  metrics: createMetrics(),
}
const filler = 'x'.repeat(600)

function batch(format: Format, options: { count: number; from: number }): Buffer {
  const rows: Buffer[] = []
  for (let id = options.from; id < options.from + options.count; id++) {
    const properties = JSON.stringify({ url: `https://example.com/${id}`, filler })
    if (format === 'JSONEachRow')
      rows.push(Buffer.from(`${JSON.stringify({ id, event: 'view', properties })}\n`))
    else rows.push(binaryRow(id, properties))
  }
  return Buffer.concat(rows)
}

function binaryRow(id: number, properties: string): Buffer {
  const row = Buffer.alloc(8 + 5 + 2 + properties.length)
  row.writeBigUInt64LE(BigInt(id), 0)
  row.write('\x04view', 8, 'latin1')
  row.writeUInt8((properties.length & 0x7f) | 0x80, 13)
  row.writeUInt8(properties.length >> 7, 14)
  row.write(properties, 15, 'latin1')
  return row
}

function median(values: number[]): number {
  return values.sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0
}

let nextId = 0

function takeIds(count: number): number {
  nextId += count
  return nextId
}

async function rowsPerSecond(write: Write, format: Format, count: number): Promise<number> {
  const rates: number[] = []
  for (let run = 0; run <= runs; run++) {
    const bodies = Array.from({ length: insertsPerRun }, () => batch(format, { count, from: takeIds(count) }))
    const startedAtMs = ground.clock.monotonic()
    for (const body of bodies) await write(format, body)
    // The first run warms up.
    if (run > 0) rates.push((count * insertsPerRun * 1000) / (ground.clock.monotonic() - startedAtMs))
  }
  return Math.round(median(rates))
}

async function measureAll(write: Write): Promise<Record<string, number>> {
  const result: Record<string, number> = {}
  for (const format of ['JSONEachRow', 'RowBinary'] as const)
    for (const count of [1000, 10_000])
      result[`${format} ${count}`] = await rowsPerSecond(write, format, count)
  return result
}

async function measureWarehouse(directory: string) {
  await using chdb = await openManagedChdb(ground, { ...chdbConfigSchema.parse({}), directory })
  const { url, user, password, database } = chdb
  await using warehouse = await openWarehouse(ground, {
    ...warehouseConfigSchema.parse({}),
    ...{ url, user, password, database },
  })
  await warehouse.command(`CREATE TABLE rows (${columns}) ENGINE = MergeTree ORDER BY id`)
  const rates = await measureAll((format, body) => warehouse.insert({ table: 'rows', format, body }))
  return { rates, ...(await latency(warehouse)) }
}

async function latency(warehouse: Warehouse): Promise<{ selectP50Ms: number; selectP99Ms: number }> {
  const times: number[] = []
  for (let query = 0; query < 500; query++) {
    const startedAtMs = ground.clock.monotonic()
    await warehouse.query('SELECT 1')
    times.push(ground.clock.monotonic() - startedAtMs)
  }
  times.sort((left, right) => left - right)
  const at = (share: number) => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(2))
  return { selectP50Ms: at(0.5), selectP99Ms: at(0.99) }
}

async function measureFloor(directory: string): Promise<Record<string, number>> {
  await using engine = openEngine({ directory: join(directory, 'engine'), connectionArgs: [] })
  await using connection = engine.connect()
  await connection.read('CREATE DATABASE bench')
  await connection.read(`CREATE TABLE bench.rows (${columns}) ENGINE = MergeTree ORDER BY id`)
  const path = join(directory, 'batch.bin')
  return await measureAll(async (format, body) => {
    await writeFile(path, body)
    const source = `file(${quoteString(path)}, ${format}, ${quoteString(columns)})`
    await connection.write(`INSERT INTO bench.rows SELECT * FROM ${source}`)
  })
}

const directory = await mkdtemp(join(tmpdir(), 'rowmill-bench-'))
try {
  const warehouse = await measureWarehouse(join(directory, 'chdb'))
  const floor = await measureFloor(directory)
  process.stdout.write(
    `${JSON.stringify({ bench: 'warehouse', rowsPerSecond: warehouse.rates, floorRowsPerSecond: floor, selectP50Ms: warehouse.selectP50Ms, selectP99Ms: warehouse.selectP99Ms })}\n`,
  )
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}
