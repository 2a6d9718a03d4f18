/** What became of the events and the people of a run: asked of the engines themselves, not of Rowmill. */
import pg from 'pg'
import type { Fleet } from '../fleet-processes.ts'
import type { Journeys } from './journeys.ts'

/** Everything that must not be, with a few examples of each. Empty when all is well. */
export async function findFaults(fleet: Fleet, journeys: Journeys): Promise<string[]> {
  return [...(await findEventFaults(fleet, journeys)), ...(await findPersonFaults(fleet, journeys))]
}

type Faults = { add(kind: string, example: string): void; list(): string[] }

function createFaults(): Faults {
  const found = new Map<string, string[]>()
  return {
    add(kind, example) {
      const examples = found.get(kind) ?? []
      found.set(kind, examples)
      examples.push(example)
    },
    list: () =>
      [...found].map(
        ([kind, examples]) => `${kind}: ${examples.length} times, such as ${examples.slice(0, 5).join(', ')}`,
      ),
  }
}

async function findEventFaults(fleet: Fleet, { events }: Journeys): Promise<string[]> {
  const faults = createFaults()
  const rows = new Map(
    (await ask(fleet, 'select toString(uuid), count() from events group by uuid')).map(([uuid, count]) => [
      String(uuid),
      Number(count),
    ]),
  )
  const reasons = await readReasons(fleet, faults)
  for (const [uuid, fate] of events) {
    const count = rows.get(uuid) ?? 0
    const reason = reasons.get(uuid)
    if (count > 1) faults.add('an event has several rows', uuid)
    if (count === 0 && reason === undefined) faults.add('an event is lost', uuid)
    if (fate === 'row' && reason !== undefined) faults.add('an event was dropped', `${uuid} ${reason}`)
    if (fate === 'drop' && count > 0) faults.add('an event should have been dropped', uuid)
  }
  for (const uuid of [...rows.keys(), ...reasons.keys()])
    if (!events.has(uuid)) faults.add('an event was never sent', uuid)
  return faults.list()
}

/** Reasons of events that are no copies. Each record of the log has one drop at most; a copy of an event is another record. */
async function readReasons(fleet: Fleet, faults: Faults): Promise<Map<string, string>> {
  const drops = await ask(
    fleet,
    "select uuid, reason, concat(topic, '/', toString(partition), '/', toString(offset)) from drops",
  )
  const places = new Set<string>()
  const reasons = new Map<string, string>()
  for (const [uuid, reason, place] of drops.map((row) => row.map(String))) {
    if (uuid === undefined || reason === undefined || place === undefined) continue
    if (places.has(place)) faults.add('a record was dropped twice', `${uuid} ${reason} ${place}`)
    places.add(place)
    if (reason !== 'duplicate') reasons.set(uuid, reason)
  }
  return reasons
}

type PersonRow = { distinct_id: string; uuid: string; first: string | null; last: string | null }

async function findPersonFaults(fleet: Fleet, { owners, numbers }: Journeys): Promise<string[]> {
  const faults = createFaults()
  const { rows, persons } = await readPersons(fleet)
  const byId = new Map(rows.map((row) => [row.distinct_id, row]))
  if (byId.size !== rows.length) faults.add('a distinct id has several persons', String(rows.length))
  for (const [id, owner] of owners) {
    const uuid = byId.get(id)?.uuid
    if (uuid === undefined) faults.add('a distinct id has no person', id)
    else if (uuid !== byId.get(owner)?.uuid) faults.add('a merge got lost', `${id} of ${owner}`)
  }
  for (const id of byId.keys()) if (!owners.has(id)) faults.add('a person that nobody named', id)
  const wanted = new Set(owners.values()).size
  if (persons.size !== wanted) faults.add('persons', `${persons.size}, not ${wanted}`)
  for (const [id, { first, last }] of numbers) {
    const row = byId.get(id)
    if (row?.first !== String(first)) faults.add('$set_once went wrong', `${id}: ${row?.first}, not ${first}`)
    if (row?.last !== String(last)) faults.add('$set went wrong', `${id}: ${row?.last}, not ${last}`)
  }
  await compareWarehouse(fleet, { byId, persons }, faults)
  return faults.list()
}

/** The warehouse must tell the same as the relational store, also of events from before a merge. */
async function compareWarehouse(
  fleet: Fleet,
  { byId, persons }: { byId: ReadonlyMap<string, PersonRow>; persons: ReadonlySet<string> },
  faults: Faults,
): Promise<void> {
  const stored = await ask(fleet, 'select toString(id) from persons')
  if (stored.length !== persons.size || stored.some(([uuid]) => !persons.has(String(uuid))))
    faults.add('persons in the warehouse', `${stored.length}, not ${persons.size}`)
  const ids = await ask(
    fleet,
    'select distinct_id, toString(person_id) from person_distinct_id2 final where is_deleted = 0',
  )
  if (ids.length !== byId.size) faults.add('distinct ids in the warehouse', `${ids.length}, not ${byId.size}`)
  for (const [id, uuid] of ids)
    if (byId.get(String(id))?.uuid !== uuid) faults.add('the warehouse knows another person', String(id))
  const used = await ask(
    fleet,
    'select distinct_id, groupUniqArray(toString(person_id)) from events_with_person group by distinct_id',
  )
  for (const [id, uuids] of used)
    if (JSON.stringify(uuids) !== JSON.stringify([byId.get(String(id))?.uuid]))
      faults.add('events belong to another person', `${id}: ${JSON.stringify(uuids)}`)
}

async function readPersons(fleet: Fleet): Promise<{ rows: PersonRow[]; persons: Set<string> }> {
  const client = new pg.Client({ connectionString: fleet.postgres.url })
  await client.connect()
  try {
    const { rows } = await client.query<PersonRow>(
      `select distinct_id, uuid, properties->>'first' as first, properties->>'last' as last
       from posthog_persondistinctid join posthog_person on posthog_person.id = person_id`,
    )
    const { rows: persons } = await client.query<{ uuid: string }>('select uuid from posthog_person')
    return { rows, persons: new Set(persons.map(({ uuid }) => uuid)) }
  } finally {
    await client.end()
  }
}

async function ask({ clickhouse }: Fleet, sql: string): Promise<unknown[][]> {
  const { url, user, password, database } = clickhouse
  const parameters = new URLSearchParams({ database, default_format: 'JSONCompactEachRow' })
  const answer = await fetch(`${url}/?${parameters}`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': password },
    body: sql,
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
