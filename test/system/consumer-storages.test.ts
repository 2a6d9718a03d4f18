/** Every storage of the reference set with its own tables: what its processor makes of the payloads is taken by ClickHouse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { consumerConfig } from '../../src/datasets/consume/config.ts'
import { createConsumerStage } from '../../src/datasets/consume/consume.ts'
import { openRunners } from '../../src/datasets/consume/open-runners.ts'
import { prepareTables } from '../../src/datasets/consume/prepare-storage.ts'
import { readOwnStorages, readStorages } from '../../src/datasets/storage/read-storage.ts'
import type { Storage } from '../../src/datasets/storage/storage.ts'
import type { LogBatch } from '../../src/ports/log.ts'
import { fixedMs, readPayloads, recordOf } from '../processors/golden.ts'
import { quietTelemetry } from '../support/quiet.ts'
import { openTestWarehouse } from '../support/warehouse.ts'

const own = new Set((await readOwnStorages()).map(({ name }) => name))
const storages = (await readStorages()).filter(({ name }) => !own.has(name))
const never = new AbortController().signal

test('the tables of every storage take the rows of its payloads', async () => {
  await using opened = await openTestWarehouse()
  const { warehouse } = opened
  // The payloads are of that time: some processors refuse what is much older.
  const clock = { ...createSystemClock(), now: () => fixedMs }
  const ports = { warehouse, clock, random: createSystemRandom(), ...quietTelemetry() }
  const refusals: string[] = []
  const empty: string[] = []
  for (const given of storages) {
    const storage = withoutTtl(given)
    await prepareTables(warehouse, storage, { createsTables: true })
    const { names, batch } = batchOf(storage)
    const { outcomes, rows } = await processed(ports, storage, batch)
    for (const [index, outcome] of outcomes.entries())
      if (outcome.kind === 'dead-letter' && outcome.reason === 'row_refused')
        refusals.push(`${storage.name} ${names[index]}: ${String(outcome.error).slice(0, 300)}`)
    if (rows === 0) empty.push(storage.name)
  }
  assert.deepEqual({ refusals, empty }, { refusals: [], empty: [] })
})

function batchOf(storage: Storage): { names: string[]; batch: LogBatch } {
  const folder = storage.name === 'eap_items_dlq_replay' ? 'eap_items' : storage.name
  const payloads = readPayloads(folder)
  const { topic, preFilter } = storage.stream
  const headers = preFilter === undefined ? {} : { [preFilter.header]: preFilter.equals }
  const records = payloads.map(({ value }, offset) => recordOf(value, { topic, offset, headers }))
  const batch = { topic, partition: 0, from: 0, until: records.length, records }
  return { names: payloads.map(({ name }) => name), batch }
}

type Ports = Parameters<typeof openRunners>[0] & Parameters<typeof createConsumerStage>[0]

async function processed(ports: Ports, storage: Storage, batch: LogBatch) {
  const config = consumerConfig.parse({}).processor
  await using runners = await openRunners(ports, storage, {
    wish: {},
    threadsMax: 1,
    config,
    live: () => ({}),
  })
  const stage = createConsumerStage(ports, storage, { openRunner: runners.open })
  const place = { topic: batch.topic, partition: 0, position: 0, signal: never }
  await using partition = await stage.openPartition(place)
  const { outcomes } = await partition.process(batch, { signal: never })
  const [table] = storage.tables
  const [count] = await ports.warehouse.query<{ rows: string }>(`SELECT count() AS rows FROM ${table?.name}`)
  return { outcomes, rows: Number(count?.rows ?? 0) }
}

/** Rows of old payloads would be gone at once. */
function withoutTtl(storage: Storage): Storage {
  const tables = storage.tables.map((table) => ({
    ...table,
    ttl: undefined,
    columns: table.columns.map((column) => ({ ...column, ttl: undefined })),
  }))
  return { ...storage, tables }
}
