import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { createMemoryBlobs, openTables } from '../../test/support/datasets.ts'
import { quietTelemetry } from '../../test/support/quiet.ts'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { createSystemRandom } from '../adapters/embedded/random.ts'
import { topics } from '../event/topics.ts'
import type { LogBatch, LogRecord } from '../ports/log.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { StageResult } from '../stream/stage.ts'
import { datasetsConfig } from './config.ts'
import { readDatasetStages } from './datasets.ts'

const tables = await openTables()
const { warehouse } = tables

const uuid = '0189f7e0-0000-7000-8000-000000000001'
const person = '0189f7e0-0000-7000-8000-0000000000aa'
const time = '2026-01-02 03:04:05.678901'
/** Rows of one key would be one: each row needs its own. */
const uuidOf = (index: number) => `0189f7e0-0000-7000-8000-${String(index).padStart(12, '0')}`
const place = { _timestamp: '2026-01-02 00:00:00', _partition: 3 }

const ordinary = [
  {
    name: 'events',
    topic: topics.readyEvents,
    table: 'events',
    message: {
      uuid,
      event: 'signup "é\u0000"',
      properties: '{"$group_0":"acme","$session_id":"s1","n":1}',
      timestamp: time,
      team_id: 7,
      project_id: 7,
      distinct_id: 'ada',
      elements_chain: 'a.link:href="/x"text="Go"',
      created_at: time,
      person_id: person,
      person_created_at: '2026-01-01 00:00:00.000000',
      person_properties: '{}',
      person_mode: 'full',
      historical_migration: false,
      captured_at: time,
      source_topic: 'events_plugin_ingestion',
      source_partition: 1,
      source_offset: 12,
      group0_properties: '{}',
      group0_created_at: '2026-01-01 00:00:00.000000',
    },
    more: { $group_0: 'acme', $session_id: 's1', elements_chain_href: '/x', elements_chain_texts: ['Go'] },
  },
  {
    name: 'persons',
    topic: topics.readyPersons,
    table: 'person',
    message: {
      id: person,
      created_at: '2026-01-02 03:04:05',
      properties: '{"a":1}',
      team_id: 7,
      is_identified: 1,
      is_deleted: 0,
      version: 4,
    },
  },
  {
    name: 'groups',
    topic: topics.readyGroups,
    table: 'groups',
    message: { group_type_index: 0, group_key: 'acme', team_id: 7, group_properties: '{}', version: 2 },
  },
  {
    name: 'ingestion-warnings',
    topic: topics.readyWarnings,
    table: 'ingestion_warnings',
    message: {
      team_id: 7,
      source: 'ingest',
      type: 'event_dropped_too_old',
      details: '{"category":"event","severity":"info"}',
      timestamp: time,
    },
    more: { category: 'event', severity: 'info' },
  },
  {
    name: 'app-metrics',
    topic: topics.readyAppMetrics,
    table: 'app_metrics2',
    message: {
      team_id: 7,
      timestamp: '2099-01-02 03:04:05.678901',
      app_source: 'plugin',
      metric_name: 'succeeded',
      count: 3,
    },
  },
  {
    name: 'log-entries',
    topic: topics.readyLogEntries,
    table: 'log_entries',
    message: {
      team_id: 7,
      log_source: 'plugin',
      timestamp: '2099-01-02 03:04:05.678901',
      message: 'two\nlines',
    },
  },
  {
    name: 'heatmaps',
    topic: topics.readyHeatmaps,
    table: 'heatmaps',
    message: { team_id: 7, x: 3, y: 4, pointer_target_fixed: true, timestamp: '2099-01-02 03:04:05.678901' },
  },
  {
    name: 'ledger',
    topic: topics.ledger,
    table: 'ledger',
    message: { stage: 's', topic: 't', in: 3, out: 1, dropped: 2, reasons: { duplicate: 2 }, time },
  },
  {
    name: 'drops',
    topic: topics.drops,
    table: 'drops',
    message: { uuid: '', ended: 'dead-letter', reason: 'duplicate', details: '{}', offset: -1, time },
  },
]

suite('datasets', () => {
  after(() => tables[Symbol.asyncDispose]())

  for (const { name, topic, table, message, more } of ordinary)
    test(`a message of ${name} becomes one row of ${table}, once, however often its batch is read`, async () => {
      const batch = batchOf(topic, [message])
      for (let attempt = 0; attempt < 3; attempt++) {
        const { outcomes } = await run(name, batch)
        assert.deepEqual(outcomes, [{ kind: 'next', records: [] }])
      }
      const expected = { ...message, ...more, ...place, _offset: '0' }
      const columns = Object.keys(expected).map((column) => `\`${column}\``)
      const rows = await warehouse.query(`select ${columns.join(', ')} from ${table}`)
      assert.equal(rows.length, 1)
      assert.deepEqual(loosely(rows[0]), loosely(expected))
    })

  test('distinct ids that have changed hands go into the overrides, and events find their person through them', async () => {
    const message = { team_id: 7, distinct_id: 'ada', person_id: uuid, version: 1, is_deleted: 0 }
    const batch = batchOf(topics.readyDistinctIds, [{ ...message, distinct_id: 'bob', version: 0 }, message])
    for (let attempt = 0; attempt < 2; attempt++) await run('distinct-ids', batch)
    assert.equal(await count('person_distinct_id2'), 2)
    assert.equal(await count('person_distinct_id_overrides'), 1)
    const found = await warehouse.query<{ person_id: string }>('select person_id from events_with_person')
    assert.deepEqual(found, [{ person_id: uuid }])
  })

  test('rows that the warehouse refuses are found one by one, the others stay, and a second reading adds nothing', async () => {
    const messages = Array.from({ length: 40 }, (_, index) => ({
      id: index % 13 === 5 ? 'no uuid' : uuidOf(index),
      team_id: 8,
      version: index,
    }))
    const batch = batchOf(topics.readyPersons, messages, 100)
    for (let attempt = 0; attempt < 2; attempt++) {
      const { outcomes } = await run('persons', batch)
      const refused = outcomes.flatMap((outcome, index) => (outcome.kind === 'dead-letter' ? [index] : []))
      assert.deepEqual(refused, [5, 18, 31])
      assert(outcomes.every((outcome) => outcome.kind !== 'dead-letter' || outcome.reason === 'row_refused'))
    }
    assert.equal(await count('person', 'team_id = 8'), 37)
  })

  test('a crash in the middle of finding refused rows leaves no row twice', async () => {
    const messages = Array.from({ length: 16 }, (_, index) => ({
      id: index === 11 ? 'no uuid' : uuidOf(index),
      team_id: 9,
      version: index,
    }))
    const batch = batchOf(topics.readyPersons, messages, 200)
    let inserts = 0
    const dying: Warehouse = {
      ...warehouse,
      insert: (insert) => {
        if (++inserts === 4) throw new Error('killed')
        return warehouse.insert(insert)
      },
    }
    await assert.rejects(run('persons', batch, dying), /killed/)
    await run('persons', batch)
    assert.equal(await count('person', 'team_id = 9'), 15)
  })

  test('a message that is no object is a dead letter; one over several lines is written on one', async () => {
    const values = ['no json', '[1]', '{}', '', `{\n"id":"${person}",\n"team_id":10}`, '{broken}']
    const batch = batchOf(topics.readyPersons, values, 300)
    const { outcomes } = await run('persons', batch)
    const reasons = outcomes.map((outcome) =>
      outcome.kind === 'dead-letter' ? outcome.reason : outcome.kind,
    )
    assert.deepEqual(reasons, [
      'invalid_message',
      'invalid_message',
      'invalid_message',
      'invalid_message',
      'next',
      'row_refused',
    ])
    assert.equal(await count('person', 'team_id = 10'), 1)
  })

  test('events of many months fit into one batch', async () => {
    const messages = Array.from({ length: 150 }, (_, index) => ({
      uuid,
      event: 'old',
      team_id: 11,
      timestamp: `${1990 + Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, '0')}-01 00:00:00.000000`,
    }))
    await run('events', batchOf(topics.readyEvents, messages, 400))
    assert.equal(await count('events', 'team_id = 11'), 150)
  })

  test('an empty batch writes nothing and has no outcomes', async () => {
    const before = await count('events')
    const { outcomes, records } = await run('events', batchOf(topics.readyEvents, []))
    assert.deepEqual([outcomes, records], [[], []])
    assert.equal(await count('events'), before)
  })

  test('replay snapshots become one block and one row per session and batch, under the same key each time', async () => {
    const blobs = createMemoryBlobs()
    const move = { type: 3, timestamp: 1_767_322_801_000, data: { source: 1 } }
    const click = { type: 3, timestamp: 1_767_322_803_000, data: { source: 2, type: 2 } }
    const page = { type: 4, timestamp: 1_767_322_800_000, data: { href: 'https://a.test/' } }
    const error = {
      type: 6,
      timestamp: 1_767_322_890_000,
      data: { plugin: 'rrweb/console@1', payload: { level: 'error' } },
    }
    const typing = { type: 3, timestamp: 1_767_322_891_000, data: { source: 5 } }
    const values = [
      snapshot('s1', [page, move]),
      snapshot('s2/ü', [typing]),
      snapshot('s1', [click, error, typing]),
      { ...snapshot('s1', [move]), token: 'phc_nobody' },
      'no json',
      snapshot('s1', [{ type: 3 }]),
    ]
    const batch = batchOf(topics.replay, values, 50)
    for (let attempt = 0; attempt < 2; attempt++) {
      const { outcomes } = await run('session-replay', batch, warehouse, blobs)
      assert.deepEqual(
        outcomes.map((outcome) => ('reason' in outcome ? outcome.reason : outcome.kind)),
        ['next', 'next', 'next', 'unknown_token', 'replay_invalid', 'replay_invalid'],
      )
    }
    assert.deepEqual(
      [...blobs.stored.keys()].filter((key) => key.startsWith('replay/7/s1/')),
      [`replay/7/s1/${topics.replay}-3-50-56.ndjson.gz`],
    )
    assert.equal(blobs.stored.size, 2)
    const [row] = await warehouse.query(`select * from session_replays where session_id = 's1'`)
    const bytes = blobs.stored.get(`replay/7/s1/${topics.replay}-3-50-56.ndjson.gz`)
    const lines = gunzipSync(bytes ?? Buffer.alloc(0))
      .toString()
      .trimEnd()
      .split('\n')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [page, move, click, error, typing].map((event) => ['w1', event]),
    )
    assert.deepEqual(loosely(row), {
      session_id: 's1',
      team_id: '7',
      distinct_id: 'ada',
      start_time: '2026-01-02 03:00:00',
      end_time: '2026-01-02 03:01:31',
      first_url: 'https://a.test/',
      all_urls: ['https://a.test/'],
      click_count: '1',
      keypress_count: '1',
      mouse_activity_count: '2',
      active_milliseconds: '2000',
      console_log_count: '0',
      console_warn_count: '0',
      console_error_count: '1',
      size: String(lines.join('\n').length + 1),
      message_count: '2',
      event_count: '5',
      snapshot_source: 'web',
      snapshot_library: 'posthog-js',
      block_urls: [`replay/7/s1/${topics.replay}-3-50-56.ndjson.gz`],
    })
  })
})

function snapshot(sessionId: string, items: object[]) {
  const properties = {
    distinct_id: 'ada',
    $session_id: sessionId,
    $window_id: 'w1',
    $snapshot_source: 'web',
    $snapshot_items: items,
    $lib: 'posthog-js',
  }
  return {
    token: 'phc_7',
    distinct_id: 'ada',
    data: JSON.stringify({ event: '$snapshot_items', properties }),
  }
}

/** A batch of partition 3; a text stands for itself, anything else for its JSON. */
function batchOf(topic: string, messages: readonly unknown[], from = 0): LogBatch {
  const records = messages.map(
    (message, index): LogRecord => ({
      topic,
      partition: 3,
      offset: from + index,
      timestampMs: Date.UTC(2026, 0, 2) + 5,
      key: null,
      value: Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)),
      headers: {},
    }),
  )
  return { topic, partition: 3, from, until: from + messages.length, records }
}

async function run(
  name: string,
  batch: LogBatch,
  into: Warehouse = warehouse,
  blobs = createMemoryBlobs(),
): Promise<StageResult> {
  const resolveTeam = async (token: string) => (token === 'phc_7' ? { teamId: 7 } : undefined)
  const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
  const ports = { ...ground, warehouse: into, blobs, resolveTeam }
  const stages = await readDatasetStages(ports, datasetsConfig.parse({}))
  const stage = stages.find(({ group }) => group === `datasets-${name}`)
  assert(stage !== undefined)
  const signal = new AbortController().signal
  await using partition = await stage.openPartition({ topic: batch.topic, partition: 3, position: 0, signal })
  return await partition.process(batch, { signal })
}

async function count(table: string, where = '1'): Promise<number> {
  const [row] = await warehouse.query<{ rows: string }>(`select count() as rows from ${table} where ${where}`)
  return Number(row?.rows)
}

/** Numbers as text and times without their trailing zeros: what an answer's JSON form leaves open. */
function loosely(row: object | undefined): unknown {
  return JSON.parse(JSON.stringify(row ?? {}), (_, value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return String(Number(value))
    return typeof value === 'string'
      ? value.replace(/^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.?(\d*?)0*$/, '$1.$2').replace(/\.$/, '')
      : value
  })
}
