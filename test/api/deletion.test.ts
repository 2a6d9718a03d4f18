import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doOpenDeletions } from '../../src/api/deletions/run-deletions.ts'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import { capturedTopics, topics } from '../../src/event/topics.ts'
import type { LogConsumer } from '../../src/ports/log.ts'
import type { Warehouse } from '../../src/ports/warehouse.ts'
import {
  eventRow,
  insertRows,
  openTestApi,
  readyTopicNames,
  resultsOf,
  type TestApi,
} from '../support/api.ts'

const uuid = '0190a0b0-0000-7000-8000-000000000001'
const config = { deletionAttemptsMax: 20 }

/** Settles everything that stands on these topics now, as a group of that name. */
async function settle(api: TestApi, group: string, names: readonly string[]): Promise<void> {
  const stop = new AbortController()
  await using consumer: LogConsumer = api.ports.log.consume({
    group,
    topics: names,
    start: 'earliest',
    signal: stop.signal,
  })
  const ends = (await api.ports.log.describe()).filter(({ name }) => names.includes(name))
  let left = ends.length
  for await (const lease of consumer.leases()) {
    await using held = lease
    const end = ends.find(({ name }) => name === held.topic)?.bounds[held.partition]?.end ?? 0
    if (end > held.position) await held.commit({ offset: end })
    left -= 1
    if (left === 0) break
  }
  stop.abort()
}

const settleIngest = (api: TestApi) => settle(api, 'ingest', capturedTopics)
const settleDatasets = (api: TestApi) => settle(api, 'datasets-all', readyTopicNames)
const advance = (api: TestApi, given: Partial<TestApi['ports']> = {}) =>
  doOpenDeletions({ ...api.ports, ...given }, config, { signal: new AbortController().signal })

async function world(): Promise<TestApi> {
  const api = await openTestApi()
  const { database, warehouse, log } = api.ports
  await database.execute(
    `insert into posthog_person (id, team_id, uuid, created_at, version) values (101, 1, $1, '2026-01-01', 3)`,
    [uuid],
  )
  await database.execute(
    `insert into posthog_persondistinctid (team_id, distinct_id, person_id) values (1, 'ann', 101), (1, 'anon', 101)`,
  )
  await database.execute(
    `insert into posthog_personlessdistinctid (team_id, distinct_id) values (1, 'anon'), (2, 'anon'), (1, 'bob')`,
  )
  await insertRows(warehouse, 'person', [
    { id: uuid, team_id: 1, properties: '{}', version: 3, created_at: '2026-01-01 00:00:00' },
  ])
  for (const table of ['person_distinct_id2', 'person_distinct_id_overrides'])
    await insertRows(warehouse, table, [
      { team_id: 1, distinct_id: 'ann', person_id: uuid, version: 1 },
      { team_id: 2, distinct_id: 'ann', person_id: uuid, version: 1 },
    ])
  await insertRows(warehouse, 'events', [
    eventRow({ distinct_id: 'ann' }),
    eventRow({ distinct_id: 'anon', captured_at: null }),
    eventRow({ distinct_id: 'ann', captured_at: '2099-01-01 00:00:00.000000' }),
    eventRow({ distinct_id: 'bob' }),
    eventRow({ distinct_id: 'ann', team_id: 2 }),
  ])
  await log.append([{ topic: topics.captured, key: null, value: Buffer.from('{}') }])
  await settleDatasets(api)
  return api
}

const countOf = async (warehouse: Warehouse, from: string) =>
  Number((await warehouse.query<{ n: string }>(`select count() as n from ${from}`))[0]?.n)

async function ask(
  api: TestApi,
  query = '?delete_events=true',
): Promise<() => Promise<Record<string, unknown>>> {
  const answer = await api.call('DELETE', `/api/projects/1/persons/${uuid}${query}`)
  assert.equal(answer.status, 202, answer.text)
  const { id } = answer.body as { id: string }
  return async () =>
    (await api.call('GET', `/api/projects/1/deletions/${id}`)).body as Record<string, unknown>
}

test('a deletion waits for what is on its way, and then the person and its events are really gone', async () => {
  await using api = await world()
  const { warehouse, log } = api.ports
  const state = await ask(api)
  await advance(api)
  assert.equal((await state()).stage, 'requested')
  assert.equal((await api.call('GET', `/api/projects/1/persons/${uuid}`)).status, 200)
  await settleIngest(api)
  await advance(api)
  assert.equal((await state()).stage, 'requested')
  await advance(api)
  assert.equal((await state()).stage, 'collected')
  assert.equal((await api.call('GET', `/api/projects/1/persons/${uuid}`)).status, 404)
  const personless = await api.ports.database.query(
    'select team_id, distinct_id from posthog_personlessdistinctid order by id',
  )
  assert.deepEqual(personless, [
    { team_id: 2, distinct_id: 'anon' },
    { team_id: 1, distinct_id: 'bob' },
  ])
  // A row that was on its way when the person was collected.
  await log.append([{ topic: topics.readyPersons, key: null, value: Buffer.from('{}') }])
  await advance(api)
  await advance(api)
  assert.equal((await state()).stage, 'collected')
  await insertRows(warehouse, 'person', [
    { id: uuid, team_id: 1, properties: '{}', version: 4, created_at: '2026-01-01 00:00:00' },
  ])
  await settleDatasets(api)
  await advance(api)
  const done = await state()
  assert.equal(done.stage, 'finished', JSON.stringify(done))
  assert.equal(done.events_deleted, 2)
  assert.notEqual(done.finished_at, null)
  assert.equal(await countOf(warehouse, 'person'), 0)
  assert.equal(await countOf(warehouse, 'person_distinct_id2'), 1)
  assert.equal(await countOf(warehouse, 'person_distinct_id_overrides'), 1)
  assert.deepEqual(
    resultsOf<string[]>(await api.query('select distinct_id from events order by distinct_id')),
    [['ann'], ['bob']],
  )
  assert.equal(await countOf(warehouse, 'events where team_id = 2'), 1)
  assert.equal((await api.call('DELETE', `/api/projects/1/persons/${uuid}`)).status, 404)
})

test('a crash between the steps loses and doubles nothing, and the number of events is kept', async () => {
  await using api = await world()
  const { warehouse, database } = api.ports
  const state = await ask(api)
  await settleIngest(api)
  for (let step = 0; step < 3; step++) await advance(api)
  await settleDatasets(api)
  // Each time the warehouse fails at a later statement.
  for (let statements = 0; (await state()).stage !== 'finished'; statements++) {
    assert.ok(statements < 12)
    let left = statements
    const failing = new Proxy(warehouse, {
      get(target, name) {
        if (name !== 'command') {
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
        return async (...args: Parameters<Warehouse['command']>) => {
          if (left-- <= 0) throw new Error('the warehouse is gone')
          await target.command(...args)
        }
      },
    })
    await advance(api, { warehouse: failing })
  }
  assert.equal((await state()).events_deleted, 2)
  assert.equal((await state()).error, null)
  assert.equal(await countOf(warehouse, "events where team_id = 1 and distinct_id in ('ann', 'anon')"), 1)
  const before = await database.query('select * from rowmill_deletion')
  await advance(api)
  assert.deepEqual(await database.query('select * from rowmill_deletion'), before)
})

test('a person that came again meanwhile stays, and the warehouse shows it', async () => {
  await using api = await world()
  const { warehouse, database } = api.ports
  const state = await ask(api, '')
  await settleIngest(api)
  for (let step = 0; step < 3; step++) await advance(api)
  await database.execute(
    `insert into posthog_person (id, team_id, uuid, created_at, version, properties) values (201, 1, $1, '2026-02-02', 0, '{"new":true}')`,
    [uuid],
  )
  await database.execute(
    `insert into posthog_persondistinctid (team_id, distinct_id, person_id, version) values (1, 'ann', 201, 1)`,
  )
  await settleDatasets(api)
  await advance(api)
  assert.deepEqual([(await state()).stage, (await state()).events_deleted], ['finished', 0])
  const people = await warehouse.query(
    'select id, properties, version, is_deleted, toString(created_at) as born from person final',
  )
  assert.deepEqual(people, [
    { id: uuid, properties: '{"new":true}', version: '0', is_deleted: 0, born: '2026-02-02 00:00:00.000' },
  ])
  assert.equal(
    await countOf(warehouse, "person_distinct_id_overrides where team_id = 1 and distinct_id = 'ann'"),
    1,
  )
  assert.equal(await countOf(warehouse, 'events where team_id = 1'), 4)
})

test('a deletion that always fails is tried so often, and one whose engine is away for ever', async () => {
  await using api = await world()
  const state = await ask(api)
  await settleIngest(api)
  for (let step = 0; step < 3; step++) await advance(api)
  const failing = new Proxy(api.ports.warehouse, {
    get: () => async () => {
      throw new Error('the warehouse is gone')
    },
  })
  await settleDatasets(api)
  const away = new Proxy(api.ports.warehouse, {
    get: () => async () => {
      throw new RowmillError('WAREHOUSE_UNAVAILABLE', 'it is away')
    },
  })
  for (let attempt = 0; attempt < 25; attempt++) await advance(api, { warehouse: away })
  assert.equal((await state()).error, 'it is away')
  for (let attempt = 0; attempt < 25; attempt++) await advance(api, { warehouse: failing })
  assert.equal((await state()).error, 'the warehouse is gone')
  const [row] = await api.ports.database.query<{ attempts: number }>('select attempts from rowmill_deletion')
  assert.equal(row?.attempts, 20)
})

test('unknown persons and deletions, and a wrong choice, are told', async () => {
  await using api = await openTestApi({ hasWarehouse: false })
  assert.equal((await api.call('DELETE', `/api/projects/1/persons/${uuid}`)).status, 404)
  assert.equal((await api.call('DELETE', '/api/projects/1/persons/x')).status, 400)
  assert.equal((await api.call('DELETE', `/api/projects/1/persons/${uuid}?delete_events=maybe`)).status, 400)
  for (const id of [uuid, 'x'])
    assert.equal((await api.call('GET', `/api/projects/1/deletions/${id}`)).status, 404)
})
