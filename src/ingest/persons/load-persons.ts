import type { DatabaseSession } from '../../ports/database.ts'
import { expectCount } from '../entities/conflict.ts'
import { isRecord } from '../entities/jsonb.ts'
import type { PersonCache } from './person-cache.ts'
import { idKey, type LoadedPersons, type StoredPerson } from './person-state.ts'
import { personUuid } from './person-uuid.ts'

export type DistinctId = { teamId: number; distinctId: string }

type PersonColumns = {
  id: string
  uuid: string
  team_id: number
  created_at_ms: number
  properties: string
  is_identified: boolean
  version: number
  last_seen_at_ms: number | null
}
type IdColumns = {
  n: number
  person_id: string | null
  person_version: number | null
  version: number | null
  is_merged: boolean | null
}

const personColumns = `p.id, p.uuid, p.team_id, p.properties::text as properties, p.is_identified,
  coalesce(p.version, 0)::float8 as version, (extract(epoch from p.created_at) * 1000)::float8 as created_at_ms,
  (extract(epoch from p.last_seen_at) * 1000)::float8 as last_seen_at_ms`

/**
 * Lateral look-ups with a limit keep the planner to one index search per id. Left to itself it reads whole
 * tables into a hash as long as they look small, and they look small until the next analyze.
 */
const idsStatement = `select b.n::int4 as n, p.id as person_id, p.version as person_version,
    coalesce(d.version, 0)::float8 as version, l.is_merged
  from unnest($1::int4[], $2::text[]) with ordinality as b(team_id, distinct_id, n)
  left join lateral (select person_id, version from posthog_persondistinctid
    where team_id = b.team_id and distinct_id = b.distinct_id limit 1) d on true
  left join lateral (select id, coalesce(version, 0)::float8 as version from posthog_person
    where id = d.person_id limit 1) p on true
  left join lateral (select is_merged from posthog_personlessdistinctid
    where team_id = b.team_id and distinct_id = b.distinct_id limit 1) l on true`

const personsStatement = `select ${personColumns} from unnest($1::int8[]) as b(id)
  join lateral (select * from posthog_person where id = b.id limit 1) p on true`

const uuidsStatement = `select ${personColumns} from unnest($1::int4[], $2::uuid[]) as b(team_id, uuid)
  join posthog_person p on p.team_id = b.team_id and p.uuid = b.uuid`

/**
 * What the database holds of these ids: one statement for the ids with the versions of their persons, one for
 * the persons that are not cached in that version. With `withUuids` also the persons that already have the
 * uuid which a new person of an unknown id would get: somebody took that person's id away.
 */
export async function loadPersons(
  session: DatabaseSession,
  distinctIds: readonly DistinctId[],
  options: { withUuids: boolean; cache: PersonCache },
): Promise<LoadedPersons> {
  const loaded: LoadedPersons = { ids: new Map(), persons: new Map(), byUuid: new Map() }
  if (distinctIds.length === 0) return loaded
  const wanted = new Set<string>()
  for (const row of await session.query<IdColumns>(idsStatement, columnsOf(distinctIds))) {
    const asked = distinctIds[row.n - 1]
    if (asked === undefined) continue
    const personId = row.person_id ?? undefined
    const personless = row.is_merged === null ? 'none' : row.is_merged ? 'merged' : 'seen'
    const id = { ...asked, personId, version: row.version ?? 0, personless } as const
    loaded.ids.set(idKey(asked.teamId, asked.distinctId), id)
    if (personId === undefined || loaded.persons.has(personId)) continue
    const cached = options.cache.get(personId, row.person_version ?? 0)
    if (cached === undefined) wanted.add(personId)
    else loaded.persons.set(personId, cached)
  }
  if (wanted.size > 0) await loadById(session, loaded, { wanted, cache: options.cache })
  if (options.withUuids) await loadByUuid(session, loaded)
  return loaded
}

async function loadById(
  session: DatabaseSession,
  loaded: LoadedPersons,
  options: { wanted: ReadonlySet<string>; cache: PersonCache },
): Promise<void> {
  const rows = await session.query<PersonColumns>(personsStatement, [[...options.wanted]])
  // A person that went between the two statements took its ids along: what was read of them is out of date.
  expectCount('load persons', rows.length, options.wanted.size)
  for (const row of rows) {
    const person = personOf(row)
    loaded.persons.set(person.id, person)
    options.cache.put(person)
  }
}

async function loadByUuid(session: DatabaseSession, loaded: LoadedPersons): Promise<void> {
  const unknown = [...loaded.ids.values()].filter((id) => id.personId === undefined)
  const teamIds = unknown.map((id) => id.teamId)
  const uuids = unknown.map((id) => personUuid(id.teamId, id.distinctId))
  for (const row of await session.query<PersonColumns>(uuidsStatement, [teamIds, uuids])) {
    const person = loaded.persons.get(row.id) ?? personOf(row)
    loaded.persons.set(row.id, person)
    loaded.byUuid.set(person.uuid, person)
  }
}

function columnsOf(distinctIds: readonly DistinctId[]): [number[], string[]] {
  return [distinctIds.map((id) => id.teamId), distinctIds.map((id) => id.distinctId)]
}

function personOf(row: PersonColumns): StoredPerson {
  const properties: unknown = JSON.parse(row.properties)
  return {
    id: row.id,
    uuid: row.uuid,
    teamId: row.team_id,
    createdAtMs: row.created_at_ms,
    properties: isRecord(properties) ? properties : {},
    propertiesText: row.properties,
    isIdentified: row.is_identified,
    version: row.version,
    lastSeenAtMs: row.last_seen_at_ms ?? undefined,
  }
}
