/**
 * The last step of a deletion: the rows in the warehouse. It may be repeated after a crash: the events are
 * counted before they go, the count is kept, and what is written again has versions that replace themselves.
 */
import type { Database } from '../../ports/database.ts'
import type { Warehouse } from '../../ports/warehouse.ts'
import { clickhouseTime } from '../../std/time.ts'
import type { Deletion } from './deletions.ts'

type Ports = { database: Database; warehouse: Warehouse }

/** Bytes of distinct ids in one statement, whose parameters travel in its address. */
const idBytesMax = 4000

export async function removeRows({ database, warehouse }: Ports, deletion: Deletion): Promise<void> {
  const settings = { mutations_sync: 1 }
  const scope = { team: deletion.team_id, until: deletion.requested_at }
  const pieces = piecesOf(deletion.distinct_ids)
  let deleted = 0
  if (deletion.delete_events) {
    deleted = await countEvents({ database, warehouse }, deletion, { scope, pieces })
    for (const ids of pieces)
      await warehouse.command(`alter table events delete where ${oldEvents}`, {
        parameters: { ...scope, ids },
        settings,
      })
  }
  await warehouse.command('alter table person delete where team_id = {team:Int64} and id = {person:UUID}', {
    parameters: { team: deletion.team_id, person: deletion.person_uuid },
    settings,
  })
  for (const table of ['person_distinct_id2', 'person_distinct_id_overrides'] as const)
    for (const ids of pieces)
      await warehouse.command(
        `alter table ${table} delete where team_id = {team:Int64} and distinct_id in {ids:Array(String)}`,
        { parameters: { team: deletion.team_id, ids }, settings },
      )
  await writeSuccessor({ database, warehouse }, deletion)
  await database.execute(
    `update rowmill_deletion set stage = 'finished', finished_at = now(), events_deleted = $2, error = null where id = $1`,
    [deletion.id, deleted],
  )
}

const oldEvents = `team_id = {team:Int64} and distinct_id in {ids:Array(String)}
  and ifNull(captured_at, created_at) <= parseDateTime64BestEffort({until:String}, 6, 'UTC')`

/** Keeps the count before anything goes, so that a repetition does not count what is left. */
async function countEvents(
  { database, warehouse }: Ports,
  deletion: Deletion,
  { scope, pieces }: { scope: Record<string, unknown>; pieces: readonly string[][] },
): Promise<number> {
  if (deletion.events_deleted !== null) return Number(deletion.events_deleted)
  let count = 0
  for (const ids of pieces) {
    const [found] = await warehouse.query<{ events: string }>(
      `select count() as events from events where ${oldEvents}`,
      { parameters: { ...scope, ids } },
    )
    count += Number(found?.events ?? 0)
  }
  await database.execute('update rowmill_deletion set events_deleted = $2 where id = $1', [
    deletion.id,
    count,
  ])
  return count
}

type PersonRow = {
  uuid: string
  created_at: string
  properties: Record<string, unknown>
  is_identified: boolean
  version: string
  last_seen_at: string | null
}
type DistinctIdRow = { distinct_id: string; uuid: string; version: string }

/** Writes what PostgreSQL holds now under the same uuid and ids: the person that later events have made. */
async function writeSuccessor({ database, warehouse }: Ports, deletion: Deletion): Promise<void> {
  const persons = await database.query<PersonRow>(
    'select uuid, created_at, properties, is_identified, version, last_seen_at from posthog_person where team_id = $1 and uuid = $2',
    [deletion.team_id, deletion.person_uuid],
  )
  await insertRows(
    warehouse,
    'person',
    persons.map((row) => ({
      id: row.uuid,
      team_id: deletion.team_id,
      created_at: warehouseTime(row.created_at),
      properties: JSON.stringify(row.properties),
      is_identified: row.is_identified ? 1 : 0,
      is_deleted: 0,
      version: row.version,
      last_seen_at: row.last_seen_at === null ? null : warehouseTime(row.last_seen_at),
    })),
  )
  const ids = await database.query<DistinctIdRow>(
    `select d.distinct_id, p.uuid, d.version from posthog_persondistinctid d join posthog_person p on p.id = d.person_id
     where d.team_id = $1 and d.distinct_id = any($2::text[])`,
    [deletion.team_id, deletion.distinct_ids],
  )
  const rows = ids.map((row) => ({
    team_id: deletion.team_id,
    distinct_id: row.distinct_id,
    person_id: row.uuid,
    is_deleted: 0,
    version: row.version,
  }))
  await insertRows(warehouse, 'person_distinct_id2', rows)
  await insertRows(
    warehouse,
    'person_distinct_id_overrides',
    rows.filter((row) => Number(row.version) > 0),
  )
}

async function insertRows(warehouse: Warehouse, table: string, rows: readonly object[]): Promise<void> {
  if (rows.length === 0) return
  const body = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  await warehouse.insert({ table, format: 'JSONEachRow', body })
}

function warehouseTime(iso: string): string {
  return clickhouseTime(Date.parse(iso)).slice(0, 23)
}

function piecesOf(ids: readonly string[]): string[][] {
  const pieces: string[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const id of ids) {
    const size = encodeURIComponent(id.toWellFormed()).length + 8
    if (bytes + size > idBytesMax) {
      pieces.push([])
      bytes = 0
    }
    pieces.at(-1)?.push(id)
    bytes += size
  }
  return pieces
}
