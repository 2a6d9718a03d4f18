import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  emptyTables,
  loadTables,
  personEvent,
  runOnTables,
  writeTables,
} from '../../../test/support/person-tables.ts'
import { personsConfig } from '../persons/config.ts'
import type { PersonEvent } from '../persons/person-event.ts'
import { beforeText, loadBefore, rewind } from './before.ts'
import { changeRecords, changesWrittenBefore, computeBatch, type EntityView } from './compute-batch.ts'
import { needsOf } from './needs.ts'

const anyEvent: fc.Arbitrary<PersonEvent> = fc
  .record({
    event: fc.constantFrom('visited', '$identify', '$merge_dangerously', '$groupidentify', '$set', 'off'),
    distinctId: fc.constantFrom('a', 'b', 'c', 'd'),
    other: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.integer({ min: 1, max: 3 }),
    minute: fc.integer({ min: 0, max: 200 }),
  })
  .map(({ event, distinctId, other, value, minute }) =>
    personEvent({
      event,
      distinctId,
      processing: event === 'off' ? 'off' : 'on',
      timestampMs: Date.UTC(2026, 0, 1) + minute * 60_000,
      properties: {
        $set: { value, [`by-${distinctId}`]: value, text: 'ünï "quoted" \uD800 \0' },
        $anon_distinct_id: other,
        alias: other,
        $groups: { [`type-${value}`]: other },
        $group_type: `type-${value}`,
        $group_key: other,
        $group_set: { value },
      },
    }),
  )

test('a batch that is computed again from its start comes to the same outcomes and records', async () => {
  const config = personsConfig.parse({})
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyEvent, { maxLength: 12 }),
      fc.array(anyEvent, { minLength: 1, maxLength: 12 }),
      async (earlier, events) => {
        const tables = emptyTables()
        runOnTables(tables, earlier)
        const needs = needsOf(events)
        const compute = (view: EntityView) =>
          events.map((event) => [view.applyPerson(event), view.applyGroups(event)])
        const loaded = loadTables(tables, needs)
        const first = computeBatch(loaded, config, compute)
        const moved = writeTables(tables, first.changes)

        const text = beforeText(loaded, first.changes, moved)
        const rows: object[] = [{ before: text }]
        const session = { query: async () => rows as never[], execute: async () => 0 }
        const range = { group: 'g', topic: 't', partition: 0, from: 0, until: 1 }
        const before = await loadBefore(session, range)
        assert(before !== undefined)
        const second = computeBatch(rewind(loadTables(tables, needs), before), config, compute)
        assert.deepEqual(second.result, first.result)
        const records = (from: typeof first.changes) =>
          changeRecords(from, moved)
            .map((record) => `${record.topic} ${String(record.key)} ${String(record.value)}`)
            .sort()
        assert.deepEqual(records(changesWrittenBefore(second.changes, before)), records(first.changes))
        assert.deepEqual(before.moved, moved)
      },
    ),
    { numRuns: 300 },
  )
})
