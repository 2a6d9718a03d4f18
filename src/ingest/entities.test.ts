import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase } from '../../test/support/database.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { emptyTables, identify, personEvent, runOnTables } from '../../test/support/person-tables.ts'
import { quietTelemetry } from '../../test/support/quiet.ts'
import { createSeededRandom } from '../../test/support/seeded-random.ts'
import { topics } from '../event/topics.ts'
import type { Database } from '../ports/database.ts'
import type { NewRecord } from '../ports/log.ts'
import type { EntityView } from './entities/compute-batch.ts'
import { needsOf } from './entities/needs.ts'
import { createEntities, type Entities } from './entities.ts'
import { personsConfig } from './persons/config.ts'
import type { PersonEvent } from './persons/person-event.ts'
import { personUuid } from './persons/person-uuid.ts'

let opened: Awaited<ReturnType<typeof openTestDatabase>>
let teams = 0
before(async () => {
  opened = await openTestDatabase()
})
after(async () => {
  await opened[Symbol.asyncDispose]()
})

/** A program of its own on the shared database. Each test takes a team of its own, which keeps it apart. */
function setup(options: { database?: Database; attemptsMax?: number } = {}) {
  const database = options.database ?? opened.database
  const telemetry = quietTelemetry()
  const config = personsConfig.parse({ attemptsMax: options.attemptsMax ?? 5 })
  const entities = createEntities({ database, clock: createManualClock(), ...telemetry }, config)
  const ends = (end: string) => telemetry.metrics.value('ingest_entities_batches_total', { end })
  return { entities, ends }
}

function newTeam(): number {
  teams++
  return teams
}

const computeAll = (events: readonly PersonEvent[]) => (view: EntityView) =>
  events.map((event) => ({ person: view.applyPerson(event), groups: view.applyGroups(event) }))

let offset = 0
function run(
  entities: Entities,
  events: readonly PersonEvent[],
  options: { partition?: number; from?: number } = {},
) {
  const { partition = 0, from = offset++ } = options
  const range = { group: 'ingestion', topic: 'events', partition, from, until: from + 1 }
  return entities.run(range, needsOf(events), computeAll(events))
}

type Person = {
  uuid: string
  properties: Record<string, unknown>
  is_identified: boolean
  version: string
  created_at_ms: number
}
async function peopleOf(teamId: number) {
  const persons = await opened.database.query<Person>(
    `select uuid, properties, is_identified, version::text as version,
       (extract(epoch from created_at) * 1000)::float8 as created_at_ms
     from posthog_person where team_id = $1 order by uuid`,
    [teamId],
  )
  const ids = await opened.database.query<{ distinct_id: string; uuid: string; version: number }>(
    `select d.distinct_id, p.uuid, d.version::int4 as version from posthog_persondistinctid d
     join posthog_person p on p.id = d.person_id where d.team_id = $1 order by d.distinct_id collate "C"`,
    [teamId],
  )
  const personless = await opened.database.query<{ distinct_id: string; is_merged: boolean }>(
    `select distinct_id, is_merged from posthog_personlessdistinctid where team_id = $1
     order by distinct_id collate "C"`,
    [teamId],
  )
  return { persons, ids, personless }
}

function randomEvents(seed: number, teamId: number, count: number): PersonEvent[] {
  const random = createSeededRandom(seed)
  const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random.next() * list.length)] ?? list[0]
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const
  return Array.from({ length: count }, () => {
    const event = pick([
      'visited',
      'visited',
      'off',
      '$identify',
      '$create_alias',
      '$merge_dangerously',
      '$groupidentify',
    ])
    const other = pick(ids)
    const properties = {
      $set: { [pick(['p', 'q'])]: Math.floor(random.next() * 3), text: 'ünï "q" \\ \u{1F600}' },
      $anon_distinct_id: other,
      alias: other,
      $group_type: pick(['company', 'team']),
      $group_key: other,
      $group_set: { size: Math.floor(random.next() * 3) },
    }
    const processing = event === 'off' ? 'off' : 'on'
    const timestampMs = Date.UTC(2025, 0, 1) + Math.floor(random.next() * 100) * 60_000
    return personEvent({ teamId, event, distinctId: pick(ids), properties, processing, timestampMs })
  })
}

type Message = {
  id?: string
  distinct_id?: string
  person_id?: string
  version: number
  is_deleted: number
  properties?: string
}

/**
 * What a reader of the messages knows in the end: for each row the message of the highest version. Which of
 * two rows of one version the warehouse keeps is not known, so they have to say the same.
 */
function lastMessages(records: readonly NewRecord[]) {
  const last = new Map<string, Message[]>()
  for (const record of records) {
    if (record.topic === topics.readyGroups) continue
    const message: Message = JSON.parse(record.value.toString())
    const key = `${record.topic} ${message.id ?? message.distinct_id}`
    const known = last.get(key) ?? []
    const version = known[0]?.version ?? -1
    if (message.version > version) last.set(key, [message])
    else if (message.version === version) known.push(message)
  }
  for (const messages of last.values()) for (const message of messages) assert.deepEqual(message, messages[0])
  const messages = [...last.values()].flatMap(([message]) => (message === undefined ? [] : [message]))
  return {
    persons: messages.filter(({ id, is_deleted }) => id !== undefined && is_deleted === 0),
    ids: messages
      .filter(({ distinct_id }) => distinct_id !== undefined)
      .map(({ distinct_id, person_id, version }) => [distinct_id, person_id, version])
      .sort(),
  }
}

describe('people and groups on PostgreSQL', () => {
  test('the statements write what was computed', async () => {
    const { entities } = setup()
    for (const seed of [1, 2, 3, 4]) {
      const teamId = newTeam()
      const tables = emptyTables()
      const events = randomEvents(seed, teamId, 60)
      for (let at = 0; at < events.length; at += 15) {
        const batch = events.slice(at, at + 15)
        const expected = runOnTables(tables, batch)
        const { result } = await run(entities, batch)
        assert.deepEqual(
          result.map(({ person }) => person),
          expected.outcomes,
        )
        assert.deepEqual(
          result.map(({ groups }) => groups.groupProperties),
          expected.groupProperties,
        )
      }
      const { persons, ids, personless } = await peopleOf(teamId)
      const model = [...tables.persons.values()].map((person) => ({
        uuid: person.uuid,
        properties: person.properties,
        is_identified: person.isIdentified,
        version: String(person.version),
        created_at_ms: person.createdAtMs,
      }))
      assert.deepEqual(
        persons,
        model.sort((left, right) => (left.uuid < right.uuid ? -1 : 1)),
      )
      const modelIds = [...tables.ids.values()].map(({ distinctId, personId, version }) => {
        return { distinct_id: distinctId, uuid: tables.persons.get(personId)?.uuid, version }
      })
      assert.deepEqual(
        ids,
        modelIds.sort((left, right) => (left.distinct_id < right.distinct_id ? -1 : 1)),
      )
      const modelUse = [...tables.personless].map(([key, isMerged]) => {
        return { distinct_id: key.split(':')[1] ?? '', is_merged: isMerged }
      })
      assert.deepEqual(
        personless,
        modelUse.sort((left, right) => (left.distinct_id < right.distinct_id ? -1 : 1)),
      )
      const groups = await opened.database.query(
        `select group_type_index::int4 as "typeIndex", group_key as "groupKey", group_properties as properties,
           version::int4 as version from posthog_group where team_id = $1 order by 1, 2`,
        [teamId],
      )
      const modelGroups = [...tables.groups.values()].map(({ typeIndex, groupKey, properties, version }) => {
        return { typeIndex, groupKey, properties, version }
      })
      const byKey = (group: { typeIndex: number; groupKey: string }) => `${group.typeIndex} ${group.groupKey}`
      assert.deepEqual(
        groups,
        modelGroups.sort((left, right) => (byKey(left) < byKey(right) ? -1 : 1)),
      )
    }
  })

  test('text and times that PostgreSQL is particular about are stored, and found again', async () => {
    const teamId = newTeam()
    const { entities, ends } = setup()
    const odd = 'NUL \0, half \uD800, "quotes", \\u0000, \u{1F600}'
    const properties = {
      $set: { [odd]: odd, deep: { [odd]: [odd] }, number: 1e300, tiny: 5e-324 },
      $groups: { [odd]: odd },
      $group_type: odd,
      $group_key: odd,
      $group_set: { [odd]: odd },
    }
    const events = ['0000-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'].map(
      (time) => {
        const timestampMs = Date.parse(time)
        return personEvent({
          teamId,
          event: '$groupidentify',
          distinctId: `${odd} ${time}`,
          timestampMs,
          properties,
        })
      },
    )
    await run(entities, events)
    const people = await peopleOf(teamId)
    assert.deepEqual(
      people.persons.map((person) => Math.round(person.created_at_ms)).sort((left, right) => left - right),
      events.map((event) => event.timestampMs),
    )
    await run(setup().entities, events)
    const again = await peopleOf(teamId)
    assert.deepEqual(again.ids, people.ids)
    assert.equal(await ends('conflict'), 0)
  })

  test('a batch that comes again after a crash has the same outcomes and records and writes nothing', async () => {
    for (const seed of [11, 12, 13]) {
      const teamId = newTeam()
      const [first, second] = [setup(), setup()]
      const events = randomEvents(seed, teamId, 60)
      await run(first.entities, events.slice(0, 20))
      const from = offset++
      const once = await run(first.entities, events.slice(20, 40), { from })
      const stored = await peopleOf(teamId)
      const again = await run(second.entities, events.slice(20, 40), { from })
      assert.deepEqual(again.result, once.result)
      const texts = (records: readonly NewRecord[]) =>
        records.map((record) => `${record.topic} ${record.value.toString()}`).sort()
      assert.deepEqual(texts(again.records), texts(once.records))
      assert.deepEqual(again.warnings, once.warnings)
      assert.deepEqual(await peopleOf(teamId), stored)
      assert.equal(await second.ends('repeated'), 1)
    }
  })

  test('a batch that comes again after others have written keeps what they wrote', async () => {
    const teamId = newTeam()
    const { entities } = setup()
    const set = (plan: number) => personEvent({ teamId, distinctId: 'a', properties: { $set: { plan } } })
    await run(entities, [set(0)])
    const from = offset++
    const first = await run(entities, [set(1)], { from })
    const other = await run(entities, [set(2)], { partition: 1 })
    const again = await run(entities, [set(1)], { from })
    assert.equal(again.result[0]?.person.personProperties.plan, 1)
    assert.equal((await peopleOf(teamId)).persons[0]?.properties.plan, 2)
    const last = lastMessages([...other.records, ...first.records, ...again.records])
    assert.equal(JSON.parse(last.persons[0]?.properties ?? '{}').plan, 2)
  })

  for (const attemptsMax of [5, 1])
    test(`writers that crash on the same people end in one consistent state, after ${attemptsMax} attempts side by side`, async () => {
      const teamId = newTeam()
      const records: NewRecord[] = []
      const writers = [1, 2, 3].map(async (partition) => {
        const random = createSeededRandom(partition)
        const events = randomEvents(20 + partition, teamId, 150)
        let { entities } = setup({ attemptsMax })
        for (let at = 0; at < events.length; at += 10) {
          const batch = { partition: teamId * 10 + partition, from: at }
          if (random.next() < 0.4) {
            // A crash between the two commits: the records of this run are lost, and the range comes again.
            await run(entities, events.slice(at, at + 10), batch)
            entities = setup({ attemptsMax }).entities
          }
          const done = await run(entities, events.slice(at, at + 10), batch)
          records.push(...done.records)
        }
      })
      await Promise.all(writers)
      const { persons, ids } = await peopleOf(teamId)
      const orphans = await opened.database.query(
        `select p.uuid from posthog_person p left join posthog_persondistinctid d on d.person_id = p.id
         where p.team_id = $1 and d.id is null`,
        [teamId],
      )
      assert.deepEqual(orphans, [])
      const last = lastMessages(records)
      assert.deepEqual(
        last.persons
          .map((message) => ({ uuid: message.id ?? '', properties: JSON.parse(message.properties ?? '') }))
          .sort(byUuid),
        persons.map(({ uuid, properties }) => ({ uuid, properties })).sort(byUuid),
      )
      assert.deepEqual(last.ids, ids.map((id) => [id.distinct_id, id.uuid, id.version]).sort())
    })
})

describe('a batch that another writer crosses', () => {
  /** A database on which somebody else writes just before each of the first `times` transactions. */
  function crossed(times: number, cross: (database: Database) => Promise<unknown>): Database {
    let left = times
    const { database } = opened
    return {
      query: (text, values) => database.query(text, values),
      execute: (text, values) => database.execute(text, values),
      transaction: async (work) => {
        if (left-- > 0) await cross(database)
        return await database.transaction(work)
      },
      withLock: (name, work, options) => database.withLock(name, work, options),
      listen: (channel, options) => database.listen(channel, options),
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  test('is computed again over what the other wrote', async () => {
    const teamId = newTeam()
    await run(setup().entities, [personEvent({ teamId, distinctId: 'a', properties: { $set: { mine: 0 } } })])
    const other = () =>
      run(setup().entities, [personEvent({ teamId, distinctId: 'a', properties: { $set: { other: 1 } } })])
    const { entities, ends } = setup({ database: crossed(1, other) })
    const { result } = await run(entities, [
      personEvent({ teamId, distinctId: 'a', properties: { $set: { mine: 1 } } }),
    ])
    assert.equal(result[0]?.person.personProperties.other, 1)
    assert.equal(await ends('conflict'), 1)
    const { $creator_event_uuid: _, ...properties } = (await peopleOf(teamId)).persons[0]?.properties ?? {}
    assert.deepEqual(properties, { mine: 1, other: 1 })
  })

  test('takes the person that the other made of the same id', async () => {
    const teamId = newTeam()
    const other = () =>
      run(
        setup().entities,
        [identify('named', 'a')].map((event) => ({ ...event, teamId })),
      )
    const { entities } = setup({ database: crossed(1, other) })
    const { result } = await run(entities, [personEvent({ teamId, distinctId: 'a' })])
    assert.equal(result[0]?.person.personId, personUuid(teamId, 'named'))
  })

  test('notices that its id was used without a profile meanwhile, and writes the override', async () => {
    const teamId = newTeam()
    const other = () => run(setup().entities, [personEvent({ teamId, distinctId: 'a', processing: 'off' })])
    const { entities } = setup({ database: crossed(1, other) })
    await run(entities, [personEvent({ teamId, distinctId: 'b' }), { ...identify('b', 'a'), teamId }])
    assert.deepEqual(
      (await peopleOf(teamId)).ids.map((id) => [id.distinct_id, id.version]),
      [
        ['a', 1],
        ['b', 0],
      ],
    )
  })

  test('gives way to a group type that the other made', async () => {
    const teamId = newTeam()
    const member = (type: string) =>
      personEvent({ teamId, distinctId: type, properties: { $groups: { [type]: 'x' } } })
    const { entities } = setup({ database: crossed(1, () => run(setup().entities, [member('theirs')])) })
    const { result } = await run(entities, [member('mine')])
    assert.deepEqual(result[0]?.groups.groupProperties, { $group_1: 'x' })
  })

  test('again and again ends alone under the lock', async () => {
    const teamId = newTeam()
    await run(setup().entities, [personEvent({ teamId, distinctId: 'a' })])
    let crossings = 0
    const other = (database: Database) =>
      database.execute(
        'update posthog_person set version = version + 1 where team_id = $1 and $2::int4 > 0',
        [teamId, ++crossings],
      )
    const { entities, ends } = setup({ database: crossed(3, other), attemptsMax: 3 })
    await run(entities, [personEvent({ teamId, distinctId: 'a', properties: { $set: { done: true } } })])
    assert.deepEqual([await ends('conflict'), await ends('alone'), crossings], [3, 1, 3])
    assert.equal((await peopleOf(teamId)).persons[0]?.properties.done, true)
  })
})

describe('what a batch loads', () => {
  test('is made up for when its needs were incomplete', async () => {
    const teamId = newTeam()
    const { entities } = setup()
    const events = randomEvents(31, teamId, 20)
    await run(entities, events.slice(0, 10))
    const range = { group: 'ingestion', topic: 'events', partition: 9, from: 0, until: 10 }
    const tables = emptyTables()
    runOnTables(tables, events.slice(0, 10))
    const expected = runOnTables(tables, events.slice(10))
    const { result } = await entities.run(range, needsOf([]), computeAll(events.slice(10)))
    assert.deepEqual(
      result.map(({ person }) => person),
      expected.outcomes,
    )
  })

  test('includes the person that an id was taken from, when the id comes again', async () => {
    const teamId = newTeam()
    const { entities } = setup()
    await run(entities, [{ ...identify('a', 'b'), teamId }])
    await opened.database.execute(
      `delete from posthog_persondistinctid where team_id = $1 and distinct_id = 'a'`,
      [teamId],
    )
    const { result } = await run(entities, [personEvent({ teamId, distinctId: 'a' })])
    assert.equal(result[0]?.person.personId, personUuid(teamId, 'a'))
    assert.deepEqual(
      (await peopleOf(teamId)).ids.map((id) => id.distinct_id),
      ['a', 'b'],
    )
  })

  test('is little: a batch that changes nothing is two statements, and a computation that throws writes nothing', async () => {
    const teamId = newTeam()
    const { entities, ends } = setup()
    const event = personEvent({ teamId, distinctId: 'a', properties: { $set: { a: 1 } } })
    await run(entities, [event])
    await run(entities, [event])
    assert.equal(await ends('unchanged'), 1)
    const stored = await peopleOf(teamId)
    const range = { group: 'ingestion', topic: 'events', partition: 8, from: 0, until: 1 }
    await assert.rejects(
      entities.run(range, needsOf([event]), (view) => {
        view.applyPerson({ ...event, properties: { $set: { a: 2 } } })
        throw new Error('a bug')
      }),
      /a bug/,
    )
    assert.deepEqual(await peopleOf(teamId), stored)
  })
})

function byUuid(left: { uuid: string }, right: { uuid: string }): number {
  return left.uuid < right.uuid ? -1 : 1
}
