import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CapturedInput,
  capturedBatch,
  capturedNowMs,
  capturedRecord,
  uuidOf,
} from '../../test/support/captured-records.ts'
import { openFakeIngest, teamRow } from '../../test/support/ingest-fakes.ts'
import { openIngestPartition, processBatch } from '../../test/support/ingest-stage.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { createSeededRandom } from '../../test/support/seeded-random.ts'
import { topics } from '../event/topics.ts'
import type { LogRecord } from '../ports/log.ts'
import { ingestConfig } from './config.ts'
import { createIngestStages, ingestLanes } from './ingest.ts'
import { personUuid } from './persons/person-uuid.ts'
import type { TeamRow } from './teams.ts'
import { eachEvent, endEvent, type Step } from './work.ts'

type Options = {
  team?: Partial<TeamRow>
  topic?: string
  records?: LogRecord[]
  config?: Record<string, unknown>
  transform?: Step
}

async function setup(options: Options = {}) {
  const { topic = topics.captured, records = [], transform } = options
  const given = { clock: createManualClock(capturedNowMs + 500), random: createSeededRandom() }
  const ports = await openFakeIngest(given, { teams: [teamRow(options.team)], records })
  const config = ingestConfig.parse(options.config ?? {})
  const stage = await openIngestPartition({ ...ports, ...(transform && { transform }) }, { topic, config })
  return {
    ports,
    stage,
    run: (inputs: readonly CapturedInput[], from = 0) =>
      processBatch(stage, capturedBatch(inputs, { topic, from })),
    [Symbol.asyncDispose]: () => ports[Symbol.asyncDispose](),
  }
}

test("a browser's page view becomes this row", async () => {
  await using ingest = await setup()
  const { rows, ends } = await ingest.run([
    {
      event: '$pageview',
      distinctId: 'device-1',
      properties: {
        $current_url: 'https://shop.example.com/cart?utm_source=letter',
        $browser: 'Firefox',
        utm_source: 'letter',
        $session_id: 's-1',
        $process_person_profile: true,
        price: 3,
      },
      message: { sent_at: '2026-01-15T11:59:59.5Z' },
    },
  ])
  const page = 'https://shop.example.com/cart?utm_source=letter'
  const $set = { $browser: 'Firefox', $current_url: page, utm_source: 'letter' }
  const $set_once = { $initial_browser: 'Firefox', $initial_current_url: page, $initial_utm_source: 'letter' }
  assert.deepEqual(ends, ['next'])
  assert.deepEqual(rows, [
    {
      uuid: uuidOf(0),
      event: '$pageview',
      properties: {
        $current_url: page,
        $browser: 'Firefox',
        utm_source: 'letter',
        $session_id: 's-1',
        price: 3,
        $ip: '203.0.113.7',
        $sent_at: '2026-01-15T11:59:59.5Z',
        $set,
        $set_once,
      },
      timestamp: '2026-01-15 11:59:59.000000',
      team_id: 1,
      project_id: 1,
      distinct_id: 'device-1',
      elements_chain: '',
      created_at: '2026-01-15 12:00:00.500000',
      captured_at: '2026-01-15 12:00:00.000000',
      person_id: personUuid(1, 'device-1'),
      person_properties: { ...$set, ...$set_once, $creator_event_uuid: uuidOf(0) },
      person_created_at: '2026-01-15 11:59:59',
      person_mode: 'full',
      source_topic: topics.captured,
      source_partition: 0,
      source_offset: 0,
    },
  ])
})

test('autocapture, groups, a propertyless event and a migration show in their columns', async () => {
  await using ingest = await setup()
  const { rows } = await ingest.run([
    {
      event: '$autocapture',
      properties: { $elements_chain: 'a:href="/x"', $groups: { company: 'acme' }, $group_3: 'mine' },
    },
    {
      event: 'seen',
      distinctId: 'nobody',
      properties: { $process_person_profile: false, $set: { a: 1 }, $group_0: 'acme', $browser: 'Lynx' },
    },
    { event: 'old', message: { historical_migration: true }, timestampMs: Date.UTC(2020, 1, 3) },
  ])
  const [clicked, seen, old] = rows
  assert.equal(clicked?.elements_chain, 'a:href="/x"')
  assert.deepEqual(clicked?.properties, {
    $groups: { company: 'acme' },
    $group_3: 'mine',
    $ip: '203.0.113.7',
    $group_0: 'acme',
  })
  assert.deepEqual(seen?.properties, { $process_person_profile: false, $browser: 'Lynx', $ip: '203.0.113.7' })
  assert.equal(seen?.person_mode, 'propertyless')
  assert.deepEqual(seen?.person_properties, {})
  assert.equal(seen?.person_created_at, '1970-01-01 00:00:05')
  assert.equal(old?.historical_migration, true)
  assert.equal(old?.timestamp, '2020-02-03 00:00:00.000000')
})

test('an identify writes persons and their ids in the same batch', async () => {
  await using ingest = await setup()
  const { rows, written } = await ingest.run([
    { event: 'visited', distinctId: 'anonymous-1' },
    {
      event: '$identify',
      distinctId: 'ann',
      properties: { $anon_distinct_id: 'anonymous-1', $set: { name: 'Ann' } },
    },
    { event: 'visited', distinctId: 'ann' },
  ])
  assert.equal(new Set(rows.map((row) => row.person_id)).size, 1)
  assert.equal(Object(rows[2]?.person_properties).name, 'Ann')
  assert.equal(written[topics.readyPersons]?.at(-1)?.is_identified, 1)
  assert.deepEqual(
    written[topics.readyDistinctIds]?.map((row) => row.distinct_id).sort(),
    ['anonymous-1', 'ann'].sort(),
  )
})

test('each exit has its reason', async () => {
  await using ingest = await setup({ team: { drop_events_older_than_seconds: 3600 } })
  const { ends, rows, written } = await ingest.run([
    { token: 'phc_stranger' },
    { message: { data: 'no json' } },
    { distinctId: 'x'.repeat(401) },
    { event: '$groupidentify', properties: { $group_type: 'company', $group_key: 'k'.repeat(401) } },
    { event: '$identify', properties: { $anon_distinct_id: { id: 1 } } },
    { event: '$identify', properties: { $process_person_profile: false } },
    { timestampMs: capturedNowMs - 2 * 3_600_000 },
    { event: '$$client_ingestion_warning', properties: { $$client_ingestion_warning_message: 'oh' } },
    {
      event: '$$heatmap',
      properties: {
        $viewport_height: 10,
        $viewport_width: 10,
        $heatmap_data: { 'https://a.org/': [{ x: 1, y: 1, target_fixed: true, type: 'click' }] },
      },
    },
    { event: '$$heatmap', properties: { $heatmap_data: 'x' } },
    { properties: { $cookieless_mode: true }, distinctId: '$posthog_cookieless' },
    { event: '$exception', properties: { $exception_list: [] } },
  ])
  assert.deepEqual(ends, [
    'drop unknown_token',
    'dead-letter invalid_message',
    'drop invalid_distinct_id',
    'drop group_key_too_long',
    'drop invalid_distinct_id',
    'drop person_processing_off',
    'drop too_old',
    'drop client_warning',
    'drop heatmap_only',
    'drop invalid_heatmap',
    'drop cookieless_disabled',
    'next',
  ])
  assert.equal(rows[0]?.event, '$exception')
  assert.equal(written[topics.readyHeatmaps]?.length, 1)
  assert.deepEqual(written[topics.readyWarnings]?.map((row) => row.type).sort(), [
    'client_ingestion_warning',
    'event_dropped_too_old',
    'group_key_too_long',
    'invalid_anon_distinct_id',
    'invalid_event_when_process_person_profile_is_false',
    'invalid_heatmap_data',
    'skipping_event_invalid_distinct_id',
  ])
})

test('a second event with the same token and uuid is dropped, with the difference from the first', async () => {
  const first = capturedRecord({ uuid: uuidOf(7), properties: { a: 1 } }, { offset: 0 })
  await using ingest = await setup({ records: [first], config: { duplicateComparisonsMax: 1 } })
  await ingest.run([{ uuid: uuidOf(7), properties: { a: 1 } }])
  const { outcomes, ends } = await ingest.run(
    [{ uuid: uuidOf(7), properties: { a: 2 } }, { uuid: uuidOf(8) }, { uuid: uuidOf(8) }],
    1,
  )
  assert.deepEqual(ends, ['drop duplicate', 'next', 'drop duplicate'])
  const [one, , two] = outcomes
  assert.equal(one?.kind, 'drop')
  const details = one?.kind === 'drop' ? one.details : undefined
  assert.deepEqual(details?.first, { topic: topics.captured, partition: 0, offset: 0 })
  assert.deepEqual(details?.differingProperties, ['a'])
  const place = { topic: topics.captured, partition: 0, offset: 2 }
  assert.deepEqual(
    two?.kind === 'drop' ? two.details : undefined,
    { first: place },
    'comparisons are bounded',
  )
})

test('a batch that is processed again before it is settled comes to the same', async () => {
  await using ingest = await setup({ team: { drop_events_older_than_seconds: 3600 } })
  const batch = capturedBatch([{}, { timestampMs: 0 }, { uuid: uuidOf(0) }])
  const first = await processBatch(ingest.stage, batch, { isSettled: false })
  const again = await processBatch(ingest.stage, batch)
  assert.deepEqual(again.ends, ['next', 'drop too_old', 'drop duplicate'])
  assert.deepEqual(again.ends, first.ends)
  assert.deepEqual(again.rows, first.rows)
  assert.deepEqual(again.written[topics.readyWarnings], first.written[topics.readyWarnings])
})

test('what ended in the dead letters or on another lane may come again, what was dropped may not', async () => {
  const fail = eachEvent('transform', (_work, event) => {
    if (event.event === 'bad') throw new Error('cannot take this one')
  })
  await using ingest = await setup({
    transform: fail,
    config: { overflow: { isEnabled: true, burstMax: 2 } },
  })
  const first = await ingest.run([
    { event: 'bad', uuid: uuidOf(1) },
    { event: 'good', uuid: uuidOf(2) },
    { distinctId: 'noisy', uuid: uuidOf(3) },
    { distinctId: 'noisy', uuid: uuidOf(4) },
    { distinctId: 'noisy', uuid: uuidOf(5) },
  ])
  const diverted = 'divert noisy_key'
  assert.deepEqual(first.ends, ['dead-letter processing_failed', 'next', diverted, diverted, diverted])
  const overflow = await openIngestPartition(ingest.ports, { topic: topics.overflow })
  const second = await processBatch(
    overflow,
    capturedBatch([{ uuid: uuidOf(1) }, { uuid: uuidOf(2) }, { uuid: uuidOf(3), distinctId: 'noisy' }], {
      topic: topics.overflow,
    }),
  )
  assert.deepEqual(second.ends, ['next', 'drop duplicate', 'next'])
})

test('a transformation can change and drop events', async () => {
  const transform = eachEvent('transform', (work, event) => {
    if (event.event === 'secret') endEvent(work, event, { kind: 'drop', reason: 'event_restriction' })
    event.properties.utm_source = 'changed'
  })
  await using ingest = await setup({ transform })
  const { ends, rows } = await ingest.run([{ event: 'secret' }, { event: 'open' }])
  assert.deepEqual(ends, ['drop event_restriction', 'next'])
  assert.equal(Object(rows[0]?.properties).$set.utm_source, 'changed')
})

test('heatmap data of another event becomes rows beside its own, unless capture has split it off', async () => {
  const properties = {
    $viewport_height: 10,
    $viewport_width: 10,
    $heatmap_data: { 'https://a.org/': [{ x: 1, y: 1, target_fixed: true, type: 'click' }] },
  }
  await using ingest = await setup()
  const { rows, written } = await ingest.run([
    { properties },
    { properties, headers: { skip_heatmap_processing: 'true' } },
  ])
  assert.equal(written[topics.readyHeatmaps]?.length, 1)
  for (const row of rows) assert.equal(Object.hasOwn(Object(row.properties), '$heatmap_data'), false)
  await using off = await setup({ team: { heatmaps_opt_in: false } })
  assert.equal((await off.run([{ properties }])).written[topics.readyHeatmaps], undefined)
})

test('a project that keeps no addresses gets none, and an unusable time gives way to the time of arrival', async () => {
  await using ingest = await setup({ team: { anonymize_ips: true } })
  const { rows, written } = await ingest.run([
    { message: { timestamp: 'soon' }, headers: { timestamp: null } },
  ])
  assert.equal(Object.hasOwn(Object(rows[0]?.properties), '$ip'), false)
  assert.equal(rows[0]?.timestamp, '2026-01-15 12:00:00.500000')
  assert.deepEqual(
    written[topics.readyWarnings]?.map((row) => row.type),
    ['ignored_invalid_timestamp'],
  )
})

test('a row that no record of the log can hold is set aside with a warning', async () => {
  await using ingest = await setup({ config: { rowBytesMax: 100_000 } })
  const { ends, written } = await ingest.run([{ properties: { text: 'x'.repeat(120_000) } }, {}])
  assert.deepEqual(ends, ['dead-letter row_too_large', 'next'])
  assert.deepEqual(
    written[topics.readyWarnings]?.map((row) => row.type),
    ['message_size_too_large'],
  )
})

test('lost infrastructure fails the batch as a whole', async () => {
  await using ingest = await setup()
  const lost = { ...ingest.ports, entities: { run: () => Promise.reject(new Error('the database is away')) } }
  const stage = await openIngestPartition(lost, { topic: topics.captured })
  await assert.rejects(processBatch(stage, capturedBatch([{}])), /the database is away/)
})

test('every captured topic has one lane, and the overflow topic one of its own', () => {
  assert.deepEqual(ingestLanes['ingestion-overflow'], [topics.overflow])
  assert.equal(new Set(Object.values(ingestLanes).flat()).size, 7)
})

test('a record is told apart by its headers and, without them, by its message', async () => {
  await using ingest = await setup()
  const [stage] = createIngestStages(ingest.ports, ingestConfig.parse({}))
  const record = capturedRecord({ distinctId: 'ann', event: 'visited' })
  const identity = { uuid: uuidOf(0), distinct_id: 'ann', token: 'phc_test', event: 'visited' }
  assert.deepEqual(stage?.identify?.({ ...record, headers: {} }), identity)
  assert.deepEqual(stage?.identify?.({ ...record, value: Buffer.from('x') }), identity)
})
