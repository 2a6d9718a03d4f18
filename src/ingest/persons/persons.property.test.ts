import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  emptyTables,
  type PersonTables,
  personBehind,
  personEvent,
  runOnTables,
} from '../../../test/support/person-tables.ts'
import type { PersonEvent } from './person-event.ts'

const ids = ['a', 'b', 'c', 'd', 'e', 'f']
const anyId = fc.constantFrom(...ids)
const anySet = fc.dictionary(fc.constantFrom('p', 'q', 'r'), fc.constantFrom(1, 2, null, 'x'), { maxKeys: 2 })
const anyEvent: fc.Arbitrary<PersonEvent> = fc
  .record({
    kind: fc.constantFrom('visit', 'visit', 'off', 'identify', 'alias', 'merge', 'exception', 'flag'),
    distinctId: anyId,
    other: anyId,
    set: anySet,
    once: anySet,
    unset: fc.subarray(['p', 'q', 'r']),
    hours: fc.integer({ min: 0, max: 30 }),
  })
  .map(({ kind, distinctId, other, set, once, unset, hours }) => {
    const timestampMs = Date.UTC(2026, 0, 1) + hours * 3_600_000
    const properties = { $set: set, $set_once: once, $unset: unset }
    const base = { distinctId, timestampMs, properties }
    if (kind === 'off') return personEvent({ ...base, processing: 'off', properties: {} })
    if (kind === 'identify')
      return personEvent({
        ...base,
        event: '$identify',
        properties: { ...properties, $anon_distinct_id: other },
      })
    if (kind === 'alias')
      return personEvent({ ...base, event: '$create_alias', properties: { ...properties, alias: other } })
    if (kind === 'merge')
      return personEvent({
        ...base,
        event: '$merge_dangerously',
        properties: { ...properties, alias: other },
      })
    const names: Record<string, string> = { exception: '$exception', flag: '$feature_flag_called' }
    return personEvent({ ...base, event: names[kind] ?? 'visited' })
  })

/** Everything but the versions of persons, which count batches. */
function summary(tables: PersonTables) {
  const behind = ids.map((id) => {
    const person = personBehind(tables, id)
    return person && { ...person, version: undefined }
  })
  return { behind, persons: tables.persons.size, personless: [...tables.personless].sort() }
}

test('a batch comes to the same people as its events one by one', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 25 }), fc.integer({ min: 1, max: 25 }), (events, size) => {
      const [together, apart, cut] = [emptyTables(), emptyTables(), emptyTables()]
      const one = runOnTables(together, events)
      const many = events.map((event) => runOnTables(apart, [event]))
      for (let at = 0; at < events.length; at += size) runOnTables(cut, events.slice(at, at + size))
      assert.deepEqual(summary(together), summary(apart))
      assert.deepEqual(summary(cut), summary(apart))
      assert.deepEqual(
        one.outcomes,
        many.flatMap((run) => run.outcomes),
      )
    }),
    { numRuns: 400 },
  )
})

test('merges come to the same sets of ids in any order', () => {
  const anyPairs = fc.array(fc.tuple(anyId, anyId), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(
      anyPairs.chain((pairs) =>
        fc.tuple(fc.constant(pairs), fc.shuffledSubarray(pairs, { minLength: pairs.length })),
      ),
      fc.subarray(ids),
      ([pairs, shuffled], known) => {
        const merge = ([distinctId, alias]: [string, string]) =>
          personEvent({ event: '$merge_dangerously', distinctId, properties: { alias } })
        const partition = (order: [string, string][]) => {
          const tables = emptyTables()
          runOnTables(
            tables,
            known.map((distinctId) => personEvent({ distinctId })),
          )
          runOnTables(tables, order.map(merge))
          const uuids = ids.map((id) => personBehind(tables, id)?.uuid)
          return ids.map((_, index) => (uuids[index] === undefined ? index : uuids.indexOf(uuids[index])))
        }
        assert.deepEqual(partition(shuffled), partition(pairs))
      },
    ),
    { numRuns: 300 },
  )
})

test('every id that carried another person before has an override, and versions only rise', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 25 }), (events) => {
      const tables = emptyTables()
      const carried = new Map<string, Set<string>>()
      const versions = new Map<string, number>()
      for (const event of events) {
        const { outcomes, records } = runOnTables(tables, [event])
        const uuid = outcomes[0]?.personId ?? ''
        carried.set(event.distinctId, (carried.get(event.distinctId) ?? new Set()).add(uuid))
        for (const record of records) {
          const message: { id?: string; distinct_id?: string; version: number } = JSON.parse(
            String(record.value),
          )
          const key = `${record.topic} ${message.id ?? message.distinct_id}`
          assert(message.version > (versions.get(key) ?? -1), `${key} went back`)
          versions.set(key, message.version)
        }
      }
      for (const [id, uuids] of carried) {
        const person = personBehind(tables, id)
        if (person === undefined) continue
        const isOverridden = [...uuids].some((uuid) => uuid !== person.uuid)
        if (isOverridden) assert(person.idVersion > 0, `${id} needs an override`)
      }
    }),
    { numRuns: 400 },
  )
})
