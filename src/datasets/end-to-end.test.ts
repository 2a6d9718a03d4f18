import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryBlobs, openTables } from '../../test/support/datasets.ts'
import { openTestLog } from '../../test/support/embedded-log.ts'
import { quietTelemetry } from '../../test/support/quiet.ts'
import { createSeededRandom } from '../../test/support/seeded-random.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { topics } from '../event/topics.ts'
import type { Log } from '../ports/log.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import { streamConfig } from '../stream/config.ts'
import { runStage } from '../stream/stream.ts'
import { datasetsConfig } from './config.ts'
import { readDatasetStages } from './datasets.ts'

test('what stands on the log is in the warehouse once, with its ledger and drops, through stops between insert and settle', async () => {
  await using tables = await openTables()
  await using test = await openTestLog()
  const specs = Object.values(topics).map((name) => ({ name, partitions: 1, retentionMs: 3_600_000 }))
  await test.log.ensureTopics(specs)
  let { log } = test
  const events = 500
  for (let number = 0; number < events; number += 50)
    await log.append(
      Array.from({ length: 50 }, (_, index) => ({
        topic: topics.readyEvents,
        key: null,
        value: Buffer.from(JSON.stringify(eventOf(number + index))),
        headers: { token: 'phc_7' },
      })),
    )

  for (let round = 0; round < 3; round++) {
    const kill = new AbortController()
    let inserts = 0
    const dying: Warehouse = Object.assign(Object.create(tables.warehouse), {
      async insert(insert: Parameters<Warehouse['insert']>[0]) {
        const answer = await tables.warehouse.insert(insert)
        if (insert.table === 'events' && ++inserts === 3) kill.abort()
        return answer
      },
    })
    await Promise.all(await startAll(log, dying, kill))
    log = await test.reopen()
  }

  const end = new AbortController()
  const runs = await startAll(log, tables.warehouse, end)
  await waitFor(async () => (await countOf(tables.warehouse, 'events')) === events - 5, {
    what: 'all events but the refused ones',
  })
  await waitFor(async () => (await countOf(tables.warehouse, 'drops')) === 5, { what: 'the drops' })
  const isSettled = async () => {
    const [position] = await log.positions('datasets-events')
    return position?.position === events
  }
  await waitFor(isSettled, { what: 'the events to be settled' })
  await waitFor(async () => (await ledgerOf(tables.warehouse)).until === events, { what: 'the ledger' })
  end.abort()
  await Promise.all(runs)
  assert.equal(await countOf(tables.warehouse, 'events'), events - 5)
  assert.deepEqual(await ledgerOf(tables.warehouse), { until: events, in: events, out: events - 5, dead: 5 })
  const drops = await tables.warehouse.query(
    'select distinct_id, token, event, stage, ended, reason, topic, offset from drops order by offset limit 1',
  )
  assert.deepEqual(drops, [
    {
      distinct_id: 'id-99',
      token: 'phc_7',
      event: 'tick',
      stage: 'datasets-events',
      ended: 'dead-letter',
      reason: 'row_refused',
      topic: topics.readyEvents,
      offset: '99',
    },
  ])
})

async function startAll(log: Log, warehouse: Warehouse, kill: AbortController): Promise<Promise<void>[]> {
  const config = datasetsConfig.parse({ batchRecordsMax: 60, batchWaitMs: 5 })
  const ground = { log, clock: createSystemClock(), random: createSeededRandom(), ...quietTelemetry() }
  const ports = { ...ground, warehouse, blobs: createMemoryBlobs(), resolveTeam: async () => undefined }
  const stages = (await readDatasetStages(ports, config)).filter(({ group }) =>
    /-(events|ledger|drops)$/.test(group),
  )
  return stages.map((stage) =>
    runStage(ground, stage, {
      config: streamConfig.parse({ retryDelayMs: 5, retryDelayMaxMs: 20 }),
      topics,
      stop: kill.signal,
      signal: kill.signal,
    }),
  )
}

/** Every hundredth has a row that no table takes. */
function eventOf(number: number): object {
  const uuid = `0189f7e0-0000-7000-8000-${String(number).padStart(12, '0')}`
  return {
    uuid: number % 100 === 99 ? 'none' : uuid,
    event: 'tick',
    properties: '{}',
    timestamp: '2026-01-02 03:04:05.678901',
    team_id: 7,
    distinct_id: `id-${number}`,
    person_mode: 'propertyless',
  }
}

async function countOf(warehouse: Warehouse, table: string): Promise<number> {
  const [row] = await warehouse.query<{ rows: string }>(`select count() as rows from ${table}`)
  return Number(row?.rows)
}

async function ledgerOf(warehouse: Warehouse) {
  const [row] = await warehouse.query<{ until: string; received: string; sent: string; dead: string }>(
    `select max(until_offset) as until, sum(\`in\`) as received, sum(\`out\`) as sent, sum(dead_lettered) as dead
     from ledger where stage = 'datasets-events'`,
  )
  return {
    until: Number(row?.until),
    in: Number(row?.received),
    out: Number(row?.sent),
    dead: Number(row?.dead),
  }
}
