/**
 * What one small insert costs: through the Warehouse adapter, and by a bare HTTP request with the same settings, in
 * turns in one run, on the embedded ClickHouse. Prints one JSON line of medians in ms; `adapterAddsMs` is the median
 * of the differences of the pairs. `ROWMILL_BENCH_ROUNDS` (default 300) says how many.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { warehouseConfigSchema } from '../src/adapters/clickhouse/config.ts'
import { openWarehouse } from '../src/adapters/clickhouse/warehouse.ts'
import { chdbConfigSchema } from '../src/adapters/embedded/chdb/config.ts'
import { openManagedChdb } from '../src/adapters/embedded/chdb/managed-chdb.ts'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const rounds = Number(process.env.ROWMILL_BENCH_ROUNDS ?? 300)
const warmUpRounds = 20
const clock = createSystemClock()
const ground = {
  clock,
  random: createSystemRandom(),
  logger: createLogger({ level: 'silent' }),
  metrics: createMetrics(),
}
const settings = {
  async_insert: '0',
  max_insert_block_size: '100000000',
  min_insert_block_size_rows: '100000000',
  min_insert_block_size_bytes: '2147483648',
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  return Number((sorted[sorted.length >> 1] ?? 0).toFixed(2))
}

async function timed(call: () => Promise<unknown>): Promise<number> {
  const startedAtMs = clock.monotonic()
  await call()
  return clock.monotonic() - startedAtMs
}

async function measure(directory: string): Promise<Record<string, number>> {
  await using chdb = await openManagedChdb(ground, { ...chdbConfigSchema.parse({}), directory })
  const { url, user, password, database } = chdb
  const connection = { url, user, password, database }
  await using warehouse = await openWarehouse(ground, { ...warehouseConfigSchema.parse({}), ...connection })
  await warehouse.command(
    'CREATE TABLE small (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100',
  )
  const agent = new Agent({ keepAlive: true })
  const headers = { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
  const bare = async (query: string, more: Record<string, string>, body: string): Promise<void> => {
    const parameters = new URLSearchParams({ query, database, ...more })
    const sent = request(`${url}/?${parameters}`, { method: 'POST', agent, headers })
    sent.end(body)
    const [answer]: IncomingMessage[] = await once(sent, 'response')
    assert(answer?.statusCode === 200)
    answer.resume()
    await once(answer, 'end')
  }
  let id = 0
  const body = () => `{"id":${++id}}\n`
  const times = { adapter: [0], bare: [0], adds: [0], select: [0], bareSelect: [0] }
  for (const values of Object.values(times)) values.length = 0
  for (let round = 0; round < rounds + warmUpRounds; round++) {
    const adapterMs = await timed(() =>
      warehouse.insert({
        table: 'small',
        format: 'JSONEachRow',
        body: Buffer.from(body()),
        token: `adapter ${id}`,
      }),
    )
    const insert = 'INSERT INTO small FORMAT JSONEachRow'
    const bareMs = await timed(() =>
      bare(insert, { ...settings, insert_deduplication_token: `bare ${id}` }, body()),
    )
    const selectMs = await timed(() => warehouse.query('SELECT 1'))
    const bareSelectMs = await timed(() => bare('', {}, 'SELECT 1'))
    if (round < warmUpRounds) continue
    times.adapter.push(adapterMs)
    times.bare.push(bareMs)
    times.adds.push(adapterMs - bareMs)
    times.select.push(selectMs)
    times.bareSelect.push(bareSelectMs)
  }
  agent.destroy()
  return {
    adapterMs: median(times.adapter),
    bareMs: median(times.bare),
    adapterAddsMs: median(times.adds),
    selectMs: median(times.select),
    bareSelectMs: median(times.bareSelect),
  }
}

const directory = await mkdtemp(join(tmpdir(), 'rowmill-bench-'))
try {
  const result = await measure(directory)
  process.stdout.write(`${JSON.stringify({ bench: 'insert-latency', rounds, ...result })}\n`)
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}
