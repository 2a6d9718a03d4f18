/** The whole stage on real engines: the embedded log, PostgreSQL, the stream engine, people and de-duplication. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CapturedInput,
  capturedRecord,
  capturedToken,
  uuidOf,
} from '../../test/support/captured-records.ts'
import { openTestDatabase } from '../../test/support/database.ts'
import { openTestLog } from '../../test/support/embedded-log.ts'
import { openTestCache } from '../../test/support/ingest-fakes.ts'
import { createSeededRandom } from '../../test/support/seeded-random.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { topics } from '../event/topics.ts'
import type { Database } from '../ports/database.ts'
import type { Log, LogRecord } from '../ports/log.ts'
import { streamConfig } from '../stream/config.ts'
import { runStage } from '../stream/stream.ts'
import { ingestConfig } from './config.ts'
import { dedupConfigSchema } from './dedup/config.ts'
import { openDedup } from './dedup/dedup.ts'
import { createEntities } from './entities.ts'
import { createIngestStages, ingestLanes } from './ingest.ts'
import { personUuid } from './persons/person-uuid.ts'

const settlementTopics = { deadLetters: topics.deadLetters, drops: topics.drops, ledger: topics.ledger }

async function setup() {
  await using stack = new AsyncDisposableStack()
  const opened = stack.use(await openTestDatabase())
  const log = stack.use(await openTestLog())
  const retentionMs = 3_600_000
  await log.log.ensureTopics(Object.values(topics).map((name) => ({ name, partitions: 2, retentionMs })))
  await opened.database.execute(
    "insert into posthog_team (project_id, name, api_token) values (1, 'Shop', $1)",
    [capturedToken],
  )
  const statements: string[] = []
  const context = {
    ...log.deps,
    random: createSeededRandom(),
    database: countStatements(opened.database, statements),
  }
  const cache = stack.use(await openTestCache(context))
  const owned = stack.move()
  return {
    log: log.log,
    statements,
    database: opened.database,
    /** A process of its own: nothing in memory from before. */
    async openStages() {
      const signal = new AbortController().signal
      const dedup = await openDedup(
        { ...context, log: log.log },
        dedupConfigSchema.parse({ idsMax: 100_000 }),
        { signal },
      )
      const config = ingestConfig.parse({})
      const entities = createEntities(context, config.persons)
      return createIngestStages(
        { ...context, log: log.log, cache, entities, dedup, geoip: undefined },
        config,
      )
    },
    /** Runs both lanes until everything captured is settled. */
    async ingestAll() {
      const stop = new AbortController()
      const options = {
        config: streamConfig.parse({}),
        topics: settlementTopics,
        stop: stop.signal,
        signal: new AbortController().signal,
      }
      const ports = { ...context, log: log.log }
      const runs = (await this.openStages()).map((stage) => runStage(ports, stage, options))
      await waitFor(() => isSettled(log.log), { withinMs: 20_000 })
      stop.abort()
      await Promise.all(runs)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

test('events of the log become rows with their person, and the same events again are dropped', async () => {
  await using its = await setup()
  const inputs: CapturedInput[] = [
    { distinctId: 'anonymous-1', uuid: uuidOf(1) },
    {
      event: '$identify',
      distinctId: 'ann',
      uuid: uuidOf(2),
      properties: { $anon_distinct_id: 'anonymous-1', $set: { name: 'Ann' } },
      key: 'together',
    },
    {
      event: '$groupidentify',
      distinctId: 'ann',
      uuid: uuidOf(3),
      properties: {
        $group_type: 'company',
        $group_key: 'acme',
        $group_set: { size: 3 },
        $groups: { company: 'acme' },
      },
      key: 'together',
    },
    { distinctId: 'ann', uuid: uuidOf(4), key: 'together', properties: { $groups: { company: 'acme' } } },
    { token: 'phc_stranger', uuid: uuidOf(5) },
  ]
  await append(
    its.log,
    inputs.map((input) => ({ ...input, key: 'together' })),
  )
  await its.ingestAll()
  const rows = await readAll(its.log, topics.readyEvents)
  assert.deepEqual(rows.map((row) => row.uuid).sort(), [1, 2, 3, 4].map(uuidOf))
  assert.deepEqual([...new Set(rows.map((row) => row.person_id))], [personUuid(1, 'anonymous-1')])
  assert.equal(JSON.parse(String(rows.find((row) => row.uuid === uuidOf(4))?.properties)).$group_0, 'acme')
  assert.equal((await readAll(its.log, topics.readyGroups)).at(-1)?.group_key, 'acme')
  assert.ok((await readAll(its.log, topics.readyPersons)).length > 0)

  await append(
    its.log,
    inputs.slice(0, 4).map((input) => ({ ...input, key: 'another partition?' })),
  )
  await its.ingestAll()
  assert.equal((await readAll(its.log, topics.readyEvents)).length, 4, 'known from the changelog')
  const drops = await readAll(its.log, topics.drops)
  assert.deepEqual(drops.map((drop) => drop.reason).sort(), [
    'duplicate',
    'duplicate',
    'duplicate',
    'duplicate',
    'unknown_token',
  ])
  const duplicate = drops.find((drop) => drop.reason === 'duplicate' && drop.uuid === uuidOf(1))
  assert.equal(JSON.parse(String(duplicate?.details)).verdict, 'same_event')
  const [team] = await its.database.query<{ ingested_event: boolean }>(
    'select ingested_event from posthog_team',
  )
  assert.equal(team?.ingested_event, true)
  const ledger = await readAll(its.log, topics.ledger)
  const sum = (key: string) => ledger.reduce((total, row) => total + Number(row[key]), 0)
  assert.deepEqual([sum('in'), sum('out'), sum('dropped')], [9, 4, 5])
})

test('a batch whose people were written before a crash comes to the same rows', async () => {
  await using its = await setup()
  await append(
    its.log,
    [
      { distinctId: 'ann' },
      { distinctId: 'ann', event: '$set', properties: { $set: { plan: 'pro' } } },
      { distinctId: 'bob' },
    ],
    0,
  )
  const processOnce = async () => {
    const [stage] = await its.openStages()
    const signal = new AbortController().signal
    await using partition = await stage?.openPartition({
      topic: topics.captured,
      partition: 0,
      position: 0,
      signal,
    })
    const records = await readRecords(its.log, topics.captured, 0)
    const batch = { topic: topics.captured, partition: 0, from: 0, until: records.length, records }
    const result = await partition?.process(batch, { signal })
    const written =
      result?.outcomes.flatMap((outcome) => (outcome.kind === 'next' ? outcome.records : [])) ?? []
    return {
      rows: written.map((record) => ({ ...JSON.parse(record.value.toString()), created_at: '' })),
      people: result?.records
        ?.filter((record) => record.topic === topics.readyPersons)
        .map(({ value }) => value.toString()),
    }
  }
  const first = await processOnce()
  const again = await processOnce()
  assert.deepEqual(again, first)
  assert.equal(first.rows.length, 3)
  const versions = await its.database.query<{ version: string }>(
    'select version from posthog_person order by id',
  )
  assert.deepEqual(
    versions.map(({ version }) => Number(version)),
    [0, 0],
    'nobody was written twice',
  )
})

test('a batch takes a handful of statements, however many events it has', async () => {
  await using its = await setup()
  await append(
    its.log,
    Array.from({ length: 300 }, (_, at) => ({
      uuid: uuidOf(at),
      distinctId: `person-${at}`,
      properties: { $set: { at } },
    })),
    0,
  )
  its.statements.length = 0
  await its.ingestAll()
  assert.equal((await readAll(its.log, topics.readyEvents)).length, 300)
  assert.ok(its.statements.length < 40, `${its.statements.length} statements`)
})

async function append(log: Log, inputs: readonly CapturedInput[], partition?: number): Promise<void> {
  await log.append(
    inputs.map((input, at) => {
      const { key, value, headers } = capturedRecord({ uuid: uuidOf(at), ...input })
      return {
        topic: topics.captured,
        key,
        value,
        headers,
        ...(partition === undefined ? {} : { partition }),
      }
    }),
  )
}

async function isSettled(log: Log): Promise<boolean> {
  const positions = await log.positions()
  const described = await log.describe()
  return Object.entries(ingestLanes).every(([group, laneTopics]) =>
    laneTopics.every((topic: string) =>
      described
        .find(({ name }) => name === topic)
        ?.bounds.every(({ end }, partition) => {
          const found = positions.find(
            (one) => one.group === group && one.topic === topic && one.partition === partition,
          )
          return (found?.position ?? 0) >= end
        }),
    ),
  )
}

async function readRecords(log: Log, topic: string, partition: number): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for await (const chunk of log.scan({ topic, partition, from: 0 })) records.push(...chunk)
  return records
}

async function readAll(log: Log, topic: string): Promise<Record<string, unknown>[]> {
  const records = [...(await readRecords(log, topic, 0)), ...(await readRecords(log, topic, 1))]
  return records.map((record) => JSON.parse(record.value.toString()))
}

function countStatements(database: Database, statements: string[]): Database {
  const counted = (text: string) => {
    statements.push(text)
    return text
  }
  return Object.assign(Object.create(database), {
    query: (text: string, values?: readonly unknown[]) => database.query(counted(text), values),
    execute: (text: string, values?: readonly unknown[]) => database.execute(counted(text), values),
    transaction: <T>(run: Parameters<Database['transaction']>[0]) =>
      database.transaction((session) =>
        run({
          query: (text, values) => session.query(counted(text), values),
          execute: (text, values) => session.execute(counted(text), values),
        }),
      ) as Promise<T>,
  })
}
