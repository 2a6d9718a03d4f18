import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type AuditReport, audit } from '../../src/api/audit/audit.ts'
import { tailLog } from '../../src/api/tail/tail.ts'
import { type TraceStory, trace } from '../../src/api/trace/trace.ts'
import { topics } from '../../src/event/topics.ts'
import type { LogRecord, ScanOptions } from '../../src/ports/log.ts'
import { eventRow, insertRows, openTestApi, resultsOf, type TestApi } from '../support/api.ts'
import { createManualClock } from '../support/manual-clock.ts'

type State = Parameters<typeof fakeLog>[0]

/** A log of which the ends, the positions and how many records there are is asked; `gaps` are offsets without one. */
function fakeLog(state: {
  ends: Record<string, number>
  positions: Record<string, [group: string, position: number]>
  gaps?: Record<string, number[]>
}) {
  return {
    describe: async () =>
      Object.entries(state.ends).map(([name, end]) => ({
        name,
        partitions: 1,
        retentionMs: 1,
        bounds: [{ start: 0, end }],
      })),
    positions: async () =>
      Object.entries(state.positions).map(([topic, [group, position]]) => ({
        group,
        topic,
        partition: 0,
        position,
        intended: undefined,
      })),
    async *scan({ topic, from, until }: ScanOptions) {
      const end = until ?? state.ends[topic] ?? 0
      const offsets = Array.from({ length: end - from }, (_, at) => from + at)
      yield offsets.filter((offset) => state.gaps?.[topic]?.includes(offset) !== true).map(recordAt(topic))
    },
  }
}

const recordAt =
  (topic: string) =>
  (offset: number): LogRecord => ({
    ...{ topic, partition: 0, offset, timestampMs: 0, key: null, value: Buffer.alloc(0), headers: {} },
  })

const ledgerRow = (given: Record<string, unknown> = {}) => ({
  ...{ stage: 'ingest', topic: topics.captured, partition: 0, from_offset: 0, until_offset: 10 },
  ...{ in: 10, out: 8, dropped: 2, diverted: 0, dead_lettered: 0, outputs: { [topics.readyEvents]: 8 } },
  time: '2026-01-01 00:00:00',
  ...given,
})
const datasetRow = {
  stage: 'datasets-events',
  topic: topics.readyEvents,
  from_offset: 0,
  until_offset: 8,
  in: 8,
  out: 8,
  dropped: 0,
  outputs: {},
}
const atRest: State = {
  ends: { [topics.captured]: 10, [topics.readyEvents]: 8, [topics.drops]: 2 },
  positions: {
    [topics.captured]: ['ingest', 10],
    [topics.readyEvents]: ['datasets-events', 8],
    [topics.drops]: ['datasets-drops', 2],
  },
}
const eventRows = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => eventRow({ _offset: from + at, _partition: 0 }))
const dropRows = Array.from({ length: 2 }, (_, at) => ({
  uuid: `${at}`,
  reason: 'duplicate',
  ended: 'drop',
  stage: 'ingest',
  time: '2026-01-01 00:00:00',
  _offset: at,
}))

suite('the audit', () => {
  let api: TestApi
  before(async () => {
    api = await openTestApi()
  })
  after(() => api[Symbol.asyncDispose]())

  type Rows = {
    ledger?: object[]
    events?: object[]
    drops?: object[]
    deleted?: { stage: string; events: number }
  }
  const auditOf = async (rows: Rows, state: State = atRest): Promise<AuditReport> => {
    const { warehouse, database } = api.ports
    for (const table of ['ledger', 'events', 'drops']) await warehouse.command(`truncate table ${table}`)
    await database.execute('delete from rowmill_deletion')
    await insertRows(warehouse, 'ledger', rows.ledger ?? [ledgerRow(), ledgerRow(datasetRow)])
    await insertRows(warehouse, 'events', rows.events ?? eventRows(8))
    await insertRows(warehouse, 'drops', rows.drops ?? dropRows)
    if (rows.deleted !== undefined)
      await database.execute(
        `insert into rowmill_deletion (team_id, person_uuid, delete_events, waits_for, stage, events_deleted) values (1, gen_random_uuid(), true, '{}', $1, $2)`,
        [rows.deleted.stage, rows.deleted.events],
      )
    return audit(api.ports, fakeLog(state))
  }

  test('sums that agree are balanced and settled', async () => {
    const report = await auditOf({})
    assert.deepEqual(report.problems, [])
    assert.deepEqual([report.isBalanced, report.isSettled, report.captured, report.rows], [true, true, 10, 8])
    assert.deepEqual(report.drops, { duplicate: 2 })
  })

  test('batches may lie in any order and in many pieces', async () => {
    const half = { in: 5, out: 4, dropped: 1, outputs: { [topics.readyEvents]: 4 } }
    const report = await auditOf({
      ledger: [
        ledgerRow({ ...half, from_offset: 5 }),
        ledgerRow(datasetRow),
        ledgerRow({ ...half, until_offset: 5 }),
      ],
    })
    assert.deepEqual(report.problems, [])
  })

  const faults: readonly [string, Rows, RegExp][] = [
    [
      'a gap',
      {
        ledger: [
          ledgerRow({ until_offset: 4, in: 4, out: 2 }),
          ledgerRow({ from_offset: 6, in: 4, out: 2 }),
          ledgerRow(datasetRow),
        ],
      },
      /a gap/,
    ],
    [
      'an overlap',
      {
        ledger: [
          ledgerRow({ until_offset: 6, in: 6, out: 4 }),
          ledgerRow({ from_offset: 4, in: 6, out: 4 }),
          ledgerRow(datasetRow),
        ],
      },
      /an overlap/,
    ],
    [
      'a sum that does not add up',
      { ledger: [ledgerRow({ dropped: 1 }), ledgerRow(datasetRow)] },
      /do not add up/,
    ],
    [
      'records that were not counted',
      { ledger: [ledgerRow({ in: 9, out: 7 }), ledgerRow(datasetRow)] },
      /9 records were counted between/,
    ],
    [
      'a ledger that goes beyond its position',
      { ledger: [ledgerRow({ until_offset: 11, in: 11, out: 9 }), ledgerRow(datasetRow)] },
      /beyond the position/,
    ],
    [
      'a ledger that ends too early',
      { ledger: [ledgerRow({ until_offset: 9, in: 9, out: 7 }), ledgerRow(datasetRow)] },
      /the ledger ends at 9/,
    ],
    ['a stage without a ledger', { ledger: [ledgerRow()] }, /datasets-events.*the ledger ends at 0/],
    [
      'outputs that are not on the log',
      { ledger: [ledgerRow({ outputs: { [topics.readyEvents]: 9 } }), ledgerRow(datasetRow)] },
      /ledger says that 9 were written/,
    ],
    ['rows that are missing', { events: eventRows(7) }, /events holds 7 rows/],
    ['rows that are too many', { events: [...eventRows(8), ...eventRows(1)] }, /events holds 9 rows/],
    ['drops that are missing', { drops: dropRows.slice(1) }, /drops holds 1 rows/],
  ]
  for (const [what, rows, expected] of faults)
    test(`finds ${what}`, async () => {
      const report = await auditOf(rows)
      assert.equal(report.isBalanced, false)
      assert.match(report.problems.join('\n'), expected)
    })

  test('events that were deleted on request are accounted for, finished or not', async () => {
    assert.deepEqual(
      (await auditOf({ events: eventRows(5), deleted: { stage: 'finished', events: 3 } })).problems,
      [],
    )
    assert.deepEqual(
      (await auditOf({ events: eventRows(5), deleted: { stage: 'collected', events: 3 } })).problems,
      [],
    )
    assert.deepEqual(
      (await auditOf({ events: eventRows(8), deleted: { stage: 'collected', events: 3 } })).problems,
      [],
    )
    assert.equal(
      (await auditOf({ events: eventRows(8), deleted: { stage: 'finished', events: 3 } })).isBalanced,
      false,
    )
  })

  test('rows that the warehouse refused are accounted for', async () => {
    const refused = {
      uuid: 'x',
      reason: 'row_refused',
      ended: 'dead-letter',
      stage: 'datasets-events',
      topic: topics.readyEvents,
      partition: 0,
      offset: 7,
      time: '2026-01-01 00:00:00',
      _offset: 2,
    }
    const state: State = {
      ends: { ...atRest.ends, [topics.drops]: 3 },
      positions: { ...atRest.positions, [topics.drops]: ['datasets-drops', 3] },
    }
    const rows = {
      events: eventRows(7),
      drops: [...dropRows, refused],
      ledger: [ledgerRow(), ledgerRow({ ...datasetRow, out: 7, dead_lettered: 1 })],
    }
    assert.deepEqual((await auditOf(rows, state)).problems, [])
  })

  // Two transactions have written the ready events and the drops, each with a marker behind its records.
  const withGaps: State = {
    ends: { [topics.captured]: 10, [topics.readyEvents]: 10, [topics.drops]: 4 },
    positions: {
      [topics.captured]: ['ingest', 10],
      [topics.readyEvents]: ['datasets-events', 9],
      [topics.drops]: ['datasets-drops', 3],
    },
    gaps: { [topics.readyEvents]: [4, 9], [topics.drops]: [1, 3] },
  }
  const ledgerOfGaps = [
    ledgerRow({ outputs: { [topics.readyEvents]: 8, [topics.drops]: 2 } }),
    ledgerRow({ ...datasetRow, until_offset: 9 }),
  ]
  const eventsOfGaps = [...eventRows(4), ...eventRows(4, 5)]
  const dropsOfGaps = [dropRows[0] ?? {}, { ...dropRows[1], _offset: 2 }]

  test('offsets without a record neither wait nor are missed', async () => {
    const rows = { ledger: ledgerOfGaps, events: eventsOfGaps, drops: dropsOfGaps }
    const report = await auditOf(rows, withGaps)
    assert.deepEqual(report.problems, [])
    assert.deepEqual([report.isSettled, report.captured, report.rows], [true, 10, 8])
    assert.deepEqual(report.waiting, [])
  })

  test('between such offsets a lost row, a lost drop and a lost record are found', async () => {
    const lost: [Rows, RegExp][] = [
      [{ events: eventsOfGaps.slice(1), drops: dropsOfGaps }, /events holds 7 rows .* but 8 records/],
      [{ events: eventsOfGaps, drops: dropsOfGaps.slice(1) }, /drops holds 1 rows .* but 2 records/],
      [
        {
          events: eventsOfGaps,
          drops: dropsOfGaps,
          ledger: [ledgerOfGaps[0] ?? {}, ledgerRow({ ...datasetRow, until_offset: 9, in: 7, out: 7 })],
        },
        /holds 7 records, but the ledger says that 8 were written/,
      ],
    ]
    for (const [rows, says] of lost) {
      const { problems } = await auditOf({ ledger: ledgerOfGaps, ...rows }, withGaps)
      assert.match(problems.join('\n'), says)
    }
  })

  test('what another log has filled before is left out', async () => {
    const { database } = api.ports
    await database.execute(
      `insert into rowmill_log (id, number, began_at) values (gen_random_uuid(), 0, '2020-01-01'), (gen_random_uuid(), 1, '2026-01-01')`,
    )
    const old = { time: '2025-06-01 00:00:00' }
    const report = await auditOf({
      ledger: [ledgerRow(old), ledgerRow(), ledgerRow(datasetRow)],
      events: [
        ...eventRows(8).map((row) => ({ ...row, _timestamp: '2026-01-01 00:00:00' })),
        ...eventRows(5).map((row) => ({ ...row, _timestamp: old.time })),
      ],
      drops: [...dropRows, ...dropRows.map((row) => ({ ...row, ...old }))],
    })
    await database.execute('delete from rowmill_log')
    assert.deepEqual(report.problems, [])
    assert.deepEqual([report.captured, report.rows, report.drops], [10, 8, { duplicate: 2 }])
  })

  test('groups and topics of other programs are none of its business', async () => {
    const report = await auditOf(
      {},
      {
        ends: { ...atRest.ends, 'somebody-elses': 7 },
        positions: { ...atRest.positions, 'somebody-elses': ['clickhouse-ingestion', 3] },
      },
    )
    assert.deepEqual([report.problems, report.isSettled, report.waiting], [[], true, []])
  })

  test('what waits and what arrives meanwhile is no fault', async () => {
    const report = await auditOf(
      { events: eventRows(8), ledger: [ledgerRow(), ledgerRow(datasetRow)] },
      {
        ends: { ...atRest.ends, [topics.captured]: 15 },
        positions: { ...atRest.positions, [topics.readyEvents]: ['datasets-events', 8] },
      },
    )
    assert.deepEqual([report.isBalanced, report.isSettled], [true, false])
    assert.deepEqual(report.waiting, [{ stage: 'ingest', topic: topics.captured, records: 5 }])
    const ahead = await auditOf({ events: eventRows(12), ledger: [ledgerRow(), ledgerRow(datasetRow)] })
    assert.deepEqual(ahead.problems, [])
  })
})

suite('the trace and the tail', () => {
  const uuid = (at: number) => `0190a0b0-0000-7000-8000-00000000000${at}`
  const captured = (at: number, distinctId = 'ann') => ({
    topic: topics.captured,
    key: null,
    value: Buffer.from(
      JSON.stringify({
        uuid: uuid(at),
        data: JSON.stringify({ properties: { $lib: 'web', $lib_version: '1' } }),
      }),
    ),
    headers: { uuid: uuid(at), distinct_id: distinctId, event: 'e', now: '2026-01-01T00:00:00Z' },
  })
  let api: TestApi
  before(async () => {
    api = await openTestApi()
    const { log, warehouse } = api.ports
    await log.append([captured(0), captured(1), captured(2), captured(3)])
    await insertRows(warehouse, 'events', [
      eventRow({
        uuid: uuid(0),
        distinct_id: 'ann',
        source_topic: topics.captured,
        source_partition: 0,
        source_offset: 0,
      }),
      eventRow({
        uuid: uuid(4),
        distinct_id: 'old',
        source_topic: 'a topic of another time',
        source_offset: 7,
      }),
    ])
    const drop = {
      distinct_id: 'ann',
      event: 'e',
      topic: topics.captured,
      partition: 0,
      time: '2026-01-01 00:00:00',
    }
    await insertRows(warehouse, 'drops', [
      {
        ...drop,
        uuid: uuid(1),
        ended: 'drop',
        stage: 'ingest',
        reason: 'duplicate',
        details: '{"of":"x"}',
        offset: 1,
      },
      {
        ...drop,
        uuid: uuid(2),
        ended: 'dead-letter',
        stage: 'ingest',
        reason: 'processing_failed',
        details: '{}',
        offset: 2,
      },
    ])
    const consumer = log.consume({
      group: 'ingest',
      topics: [topics.captured],
      start: 'earliest',
      signal: new AbortController().signal,
    })
    for await (const lease of consumer.leases()) {
      await lease.commit({ offset: 3 })
      await lease[Symbol.asyncDispose]()
      break
    }
    await consumer[Symbol.asyncDispose]()
  })
  after(() => api[Symbol.asyncDispose]())

  const storyOf = async (at: number): Promise<TraceStory> => {
    const stories = await trace(api.ports, { uuid: uuid(at).toUpperCase() }, { storiesMax: 10 })
    assert.equal(stories.length, 1, JSON.stringify(stories))
    const [story] = stories
    assert.ok(story !== undefined)
    return story
  }

  test('a row, a drop, a dead letter and a waiting event each have their story', async () => {
    const row = await storyOf(0)
    assert.equal(row.ended, 'row')
    assert.deepEqual(
      row.steps.map(({ stage }) => stage),
      ['capture', 'ingest', 'datasets'],
    )
    assert.deepEqual(row.steps[0]?.facts, { record: `${topics.captured}/0@0`, sdk: 'web 1' })
    const dropped = await storyOf(1)
    assert.equal(dropped.ended, 'drop')
    assert.match(dropped.steps[1]?.what ?? '', /duplicate/)
    assert.deepEqual(dropped.steps[1]?.facts, { details: '{"of":"x"}' })
    assert.equal((await storyOf(2)).ended, 'dead-letter')
    const waiting = await storyOf(3)
    assert.equal(waiting.ended, 'waiting')
    assert.match(waiting.steps[1]?.what ?? '', /0 records before it/)
  })

  test('a row whose record has left the log is told from the row', async () => {
    assert.match((await storyOf(4)).steps[0]?.what ?? '', /left the log/)
  })

  test('all events of a distinct id are told, at most so many, and nothing of others', async () => {
    const stories = resultsOf(await api.call('GET', '/api/trace?distinct_id=ann'))
    assert.deepEqual(stories.map(({ ended }) => ended).sort(), ['dead-letter', 'drop', 'row', 'waiting'])
    assert.equal(resultsOf(await api.call('GET', '/api/trace?distinct_id=ann&limit=2')).length, 2)
    assert.deepEqual(resultsOf(await api.call('GET', '/api/trace?distinct_id=nobody')), [])
  })

  test('a drop that is not a row yet, and a ready event, are found on the log', async () => {
    const drop = {
      uuid: uuid(6),
      distinct_id: 'eve',
      event: 'e',
      stage: 'capture',
      ended: 'drop',
      reason: 'token_dropper',
      details: '{}',
      topic: '',
      partition: 0,
      offset: -1,
      time: '2026-01-01 00:00:00.000000',
    }
    const ready = { uuid: uuid(7), distinct_id: 'eve', event: 'e', team_id: 1, properties: '{}' }
    await api.ports.log.append([
      { topic: topics.drops, key: null, value: Buffer.from(JSON.stringify(drop)) },
      { topic: topics.readyEvents, key: null, value: Buffer.from(JSON.stringify(ready)) },
    ])
    assert.equal((await storyOf(6)).ended, 'drop')
    assert.equal((await storyOf(7)).ended, 'waiting')
    await insertRows(api.ports.warehouse, 'events', [
      eventRow({ uuid: uuid(7), distinct_id: 'eve', source_topic: topics.captured, source_offset: 3 }),
    ])
    assert.equal((await storyOf(7)).ended, 'row')
  })

  test('a tail shows events and drops by its filter, and says how many it left out', async () => {
    const ready = (at: number, event: string) => ({
      topic: topics.readyEvents,
      key: null,
      value: Buffer.from(
        JSON.stringify({
          uuid: uuid(at),
          event,
          distinct_id: `t${at}`,
          team_id: 1,
          properties: JSON.stringify({ at, plan: 'free' }),
        }),
      ),
    })
    const { log } = api.ports
    const records = [ready(0, 'page one'), ready(1, 'page two'), ready(2, 'other'), ready(3, 'page three')]
    const [first] = await log.append([
      ...records,
      { topic: topics.readyEvents, key: null, value: Buffer.from('no row') },
    ])
    const starting = {
      ...log,
      describe: () => log.describe(),
      scan: log.scan.bind(log),
      offsetAt: async (topic: string) => (topic === topics.readyEvents ? (first?.offset ?? 0) : 1e9),
    }
    const linesOf = async (filter: object, linesPerSecondMax: number, count: number) => {
      const clock = createManualClock()
      const stop = new AbortController()
      const lines = []
      const filters = { event: undefined, distinctId: undefined, properties: [], onlyDrops: false, ...filter }
      const tail = tailLog({ log: starting, clock }, filters, {
        sinceMs: 0,
        linesPerSecondMax,
        signal: stop.signal,
      })
      for await (const line of tail) {
        lines.push(line)
        if (lines.length === count) stop.abort()
      }
      return lines.map((line) => (line.kind === 'event' ? line.event : line.kind))
    }
    assert.deepEqual(await linesOf({}, 10, 4), ['page one', 'page two', 'other', 'page three'])
    assert.deepEqual(await linesOf({}, 2, 2), ['page one', 'page two', 'skipped'])
    assert.deepEqual(await linesOf({ event: 'page*' }, 10, 3), ['page one', 'page two', 'page three'])
    assert.deepEqual(await linesOf({ event: '*t*' }, 10, 3), ['page two', 'other', 'page three'])
    assert.deepEqual(await linesOf({ event: 'other' }, 10, 1), ['other'])
    assert.deepEqual(
      await linesOf(
        {
          properties: [
            ['at', '1'],
            ['plan', 'free'],
          ],
        },
        10,
        1,
      ),
      ['page two'],
    )
    assert.deepEqual(await linesOf({ distinctId: 't3' }, 10, 1), ['page three'])
  })
})
