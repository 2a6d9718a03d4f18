import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { waitFor } from '../../../../test/support/wait-for.ts'
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import type { Warehouse } from '../../../ports/warehouse.ts'
import { warehouseConfigSchema } from '../../clickhouse/config.ts'
import { openWarehouse } from '../../clickhouse/warehouse.ts'
import { createSystemClock } from '../clock.ts'
import { createSystemRandom } from '../random.ts'
import { chdbConfigSchema } from './config.ts'
import { openManagedChdb } from './managed-chdb.ts'

const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
const config = chdbConfigSchema.parse({ stopGraceMs: 500 })

async function openBoth(directory: string) {
  await using stack = new AsyncDisposableStack()
  const chdb = stack.use(await openManagedChdb(ground, { ...config, directory }))
  const { url, user, password, database } = chdb
  const settings = { ...warehouseConfigSchema.parse({}), url, user, password, database }
  const warehouse = stack.use(await openWarehouse(ground, settings))
  const owned = stack.move()
  return { chdb, warehouse, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function ids(warehouse: Warehouse): Promise<{ count: string; distinct: string }[]> {
  return warehouse.query('SELECT count() AS count, uniqExact(id) AS distinct FROM things')
}

const table =
  'CREATE TABLE things (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000'

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('kills of the host lose nothing acknowledged and double nothing that is sent again', async () => {
  await using folder = await tempDir()
  await using opened = await openBoth(folder.path)
  const { chdb, warehouse } = opened
  await warehouse.command(table)
  const batchRows = 500
  let batches = 0
  let unreached = 0
  for (let kill = 0; kill < 3; kill++) {
    const until = batches + 4
    const pid = chdb.pid
    assert(pid !== undefined)
    while (batches < until || chdb.pid === pid) {
      if (batches === until - 2 && isAlive(pid)) process.kill(pid, 'SIGKILL')
      const body = Buffer.from(
        Array.from({ length: batchRows }, (_, row) => `{"id":${batches * batchRows + row}}\n`).join(''),
      )
      try {
        await warehouse.insert({ table: 'things', format: 'JSONEachRow', body, token: `batch ${batches}` })
        batches++
      } catch (error) {
        assert(isRowmillError(error, 'WAREHOUSE_UNAVAILABLE'), String(error))
        unreached++
        await chdb.ready()
      }
    }
  }
  assert(unreached > 0)
  // Everything is sent once more, as a consumer does that lost its position.
  for (let batch = 0; batch < batches; batch++) {
    const body = Buffer.from(
      Array.from({ length: batchRows }, (_, row) => `{"id":${batch * batchRows + row}}\n`).join(''),
    )
    await warehouse.insert({ table: 'things', format: 'JSONEachRow', body, token: `batch ${batch}` })
  }
  const rows = String(batches * batchRows)
  assert.deepEqual(await ids(warehouse), [{ count: rows, distinct: rows }])
})

test('the folder opens again after a stop, which ends running queries and may be asked for twice', async () => {
  await using folder = await tempDir()
  const opened = await openBoth(folder.path)
  await opened.warehouse.command(table)
  await opened.warehouse.insert({ table: 'things', format: 'JSONEachRow', body: Buffer.from('{"id":1}\n') })
  const slow = opened.warehouse.query(
    'SELECT sum(sleepEachRow(0.1)) AS sum FROM numbers(6000) SETTINGS max_block_size = 1',
  )
  const ended = assert.rejects(slow, (error) => isRowmillError(error, 'WAREHOUSE_UNAVAILABLE'))
  await waitFor(
    async () =>
      (
        await opened.warehouse.query(
          "SELECT 1 AS one FROM system.processes WHERE query LIKE '%sleepEachRow(0.1)%numbers(6000)%' AND query NOT LIKE '%processes%'",
        )
      ).length > 0,
    { what: 'the query to run' },
  )
  await opened.chdb[Symbol.asyncDispose]()
  await ended
  await opened[Symbol.asyncDispose]()
  await opened[Symbol.asyncDispose]()
  await using again = await openBoth(folder.path)
  assert.deepEqual(await ids(again.warehouse), [{ count: '1', distinct: '1' }])
})

test('a second start on the same folder fails and leaves the first one alone', async () => {
  await using folder = await tempDir()
  await using opened = await openBoth(folder.path)
  await assert.rejects(
    openManagedChdb(ground, { ...config, lockWaitMs: 100, directory: folder.path }),
    (error) => isRowmillError(error, 'ENGINE_FAILED'),
  )
  assert.deepEqual(await opened.warehouse.query('SELECT 1 AS one'), [{ one: 1 }])
})

test('when the parent is killed the host ends by itself and the next start opens the folder', async () => {
  await using folder = await tempDir()
  const module = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)))
  const script = `
    const { openManagedChdb } = await import(${module('./managed-chdb.ts')})
    const { chdbConfigSchema } = await import(${module('./config.ts')})
    const { createSystemClock } = await import(${module('../clock.ts')})
    const { createSystemRandom } = await import(${module('../random.ts')})
    const { createLogger } = await import(${module('../../../telemetry/logger.ts')})
    const ground = { clock: createSystemClock(), random: createSystemRandom(), logger: createLogger({ level: 'silent' }) }
    const chdb = await openManagedChdb(ground, { ...chdbConfigSchema.parse({}), directory: ${JSON.stringify(folder.path)} })
    process.send(chdb.pid)
    setInterval(() => {}, 1000)`
  const parent: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [pid] = await once(parent, 'message')
  assert(typeof pid === 'number' && isAlive(pid))
  parent.kill('SIGKILL')
  await using opened = await openBoth(folder.path)
  await waitFor(() => !isAlive(pid), { what: 'the host to end' })
  assert.deepEqual(await opened.warehouse.query('SELECT 1 AS one'), [{ one: 1 }])
})

test('a host that hangs is killed and started again', async () => {
  await using folder = await tempDir()
  const impatient = { ...config, pingIntervalMs: 50, silenceMsMax: 300, directory: folder.path }
  await using chdb = await openManagedChdb(ground, impatient)
  const { pid } = chdb
  assert(pid !== undefined)
  process.kill(pid, 'SIGSTOP')
  await waitFor(() => chdb.state === 'ready' && chdb.pid !== pid, { withinMs: 60_000, what: 'another host' })
  assert.equal((await fetch(`${chdb.url}/ping`)).status, 200)
  assert.equal(isAlive(pid), false)
})
