import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CapturedInput,
  capturedNowMs,
  capturedRecord,
  uuidOf,
} from '../../test/support/captured-records.ts'
import { openFakeIngest, teamRow } from '../../test/support/ingest-fakes.ts'
import { openIngestPartition, processBatch } from '../../test/support/ingest-stage.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { writeMmdb } from '../../test/support/mmdb.ts'
import { createSeededRandom } from '../../test/support/seeded-random.ts'
import { topics } from '../event/topics.ts'
import type { LogRecord } from '../ports/log.ts'
import { geoipConfig, ingestConfig } from './config.ts'
import { createGeoip } from './geoip.ts'

const geoip = createGeoip(
  writeMmdb({ '203.0.113.0/24': { country: { iso_code: 'SE' } } }),
  geoipConfig.parse({}),
)

/** The keys that some step looks at; whatever a client puts there must do no harm. */
const lookedAt =
  '$set $set_once $unset $groups $group_type $group_key $group_set $group_0 $ip $elements $elements_chain $heatmap_data $viewport_height $viewport_width $current_url $prev_pageview_pathname $prev_pageview_max_scroll $session_id $process_person_profile $anon_distinct_id alias $cookieless_mode $raw_user_agent $host $timezone $cookieless_extra $geoip_disable $os_name $is_server $browser utm_source __proto__ constructor toString'.split(
    ' ',
  )
const names =
  'visited $pageview $identify $create_alias $merge_dangerously $groupidentify $$heatmap $$client_ingestion_warning $exception $feature_flag_called $set'.split(
    ' ',
  )

const json = fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' })
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('\ud800', 'a\0b', '0', 'https://a.org/x'),
)
const properties = fc.dictionary(fc.oneof(fc.constantFrom(...lookedAt), text), fc.oneof(json, text), {
  maxKeys: 12,
})

const captured: fc.Arbitrary<CapturedInput> = fc.record(
  {
    uuid: fc.nat(20).map(uuidOf),
    event: fc.oneof(fc.constantFrom(...names), text),
    distinctId: fc.oneof(fc.constantFrom('ann', 'bob', '$posthog_cookieless', 'null'), text),
    token: fc.oneof({ weight: 9, arbitrary: fc.constant('phc_test') }, { weight: 1, arbitrary: text }),
    properties,
    data: fc.dictionary(fc.constantFrom('$set', '$set_once', 'timestamp', 'offset'), json),
    message: fc.dictionary(
      fc.constantFrom('timestamp', 'sent_at', 'now', 'ip', 'historical_migration'),
      json,
    ),
    headers: fc.dictionary(
      fc.constantFrom('timestamp', 'force_disable_person_processing', 'now'),
      fc.option(text),
    ),
  },
  { requiredKeys: ['event', 'properties'] },
)
const record: fc.Arbitrary<(offset: number) => LogRecord> = fc.oneof(
  { weight: 20, arbitrary: captured.map((input) => (offset: number) => capturedRecord(input, { offset })) },
  {
    weight: 1,
    arbitrary: fc
      .oneof(
        fc.uint8Array({ maxLength: 40 }),
        json.map((value) => Buffer.from(JSON.stringify(value))),
      )
      .map((value) => (offset: number) => ({ ...capturedRecord({}, { offset }), value: Buffer.from(value) })),
  },
)

test('whatever stands on the log, each record gets one outcome, each uuid one row, and the batch goes through', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 1, 2),
      fc.boolean(),
      async (makers, mode, isProcessedTwice) => {
        const given = { clock: createManualClock(capturedNowMs), random: createSeededRandom() }
        const teams = [teamRow({ cookieless_server_hash_mode: mode, drop_events_older_than_seconds: 1e9 })]
        await using ports = await openFakeIngest(given, { teams })
        const stage = await openIngestPartition(
          { ...ports, geoip },
          { topic: topics.captured, config: ingestConfig.parse({}) },
        )
        const records = makers.map((make, at) => make(at))
        const batch = { topic: topics.captured, partition: 0, from: 0, until: records.length, records }
        if (isProcessedTwice) await processBatch(stage, batch, { isSettled: false })
        const { outcomes, rows, ends } = await processBatch(stage, batch)
        assert.equal(outcomes.length, records.length)
        assert.equal(rows.length, ends.filter((end) => end === 'next').length)
        assert.equal(new Set(rows.map((row) => row.uuid)).size, rows.length)
        for (const row of rows) {
          assert.equal(typeof row.properties, 'object')
          assert.equal(String(row.distinct_id).isWellFormed() && String(row.event).isWellFormed(), true)
          assert.match(String(row.timestamp), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/)
        }
        assert.deepEqual(
          outcomes.flatMap((outcome) =>
            outcome.kind === 'dead-letter' && outcome.reason === 'processing_failed'
              ? [String(outcome.error)]
              : [],
          ),
          [],
          'no step fails on any input',
        )
        const settledAgain = await processBatch(stage, {
          ...batch,
          records: records.map((one, at) => ({ ...one, offset: 1000 + at })),
        })
        assert.equal(settledAgain.rows.length, 0, 'all of it has been seen')
      },
    ),
    { numRuns: 50 },
  )
})
