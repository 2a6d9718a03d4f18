import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import type { Log } from '../../ports/log.ts'
import { deletionBody, deletionSchema, requestDeletion } from '../deletions/deletions.ts'
import { type PageFrame, type Place, page, pageOf, pageQuery, placeIn } from '../page.ts'
import { invalidInput, notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'

const personSchema = z.strictObject({
  id: z.guid(),
  uuid: z.guid(),
  name: z.string().meta({ description: 'The e-mail or name property, else the first distinct id.' }),
  distinct_ids: z.array(z.string()),
  properties: z.record(z.string(), z.unknown()),
  is_identified: z.boolean(),
  created_at: z.string(),
})

type PersonRow = {
  number: string
  /** `created_at` in microseconds since the epoch, for cursors. */
  born: string
  uuid: string
  properties: Record<string, unknown>
  is_identified: boolean
  created_at: string
  distinct_ids: string[]
}

const born = '(extract(epoch from p.created_at) * 1000000)::bigint'

const select = `select p.id as number, ${born} as born, p.uuid, p.properties, p.is_identified, p.created_at,
  array(select d.distinct_id from posthog_persondistinctid d where d.person_id = p.id and d.team_id = p.team_id order by d.id limit 1000) as distinct_ids
  from posthog_person p`

export function createPersonRoutes(
  ports: { database: Database; log: Log },
  config: { pageSizeMax: number },
): ApiRoute[] {
  const { database } = ports
  return [
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/persons',
      summary: 'Persons, newest first',
      tag: 'persons',
      query: z.object({
        ...pageQuery(config.pageSizeMax),
        distinct_id: plainText(1000).optional(),
        email: plainText(1000).optional(),
        search: plainText(200).optional().meta({ description: 'Part of a distinct id, e-mail or name.' }),
      }),
      answers: { 200: pageOf(personSchema) },
      async run({ project, query, url }) {
        const { rows, place } = await readPersons(database, project.id, query)
        return { status: 200, body: pageOfPersons(rows, { query, url, place }) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/persons/:person_uuid',
      summary: 'One person',
      tag: 'persons',
      answers: { 200: personSchema },
      async run({ project, path }) {
        const row = await findPerson(database, project.id, path.person_uuid)
        return { status: 200, body: personBody(row) }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/projects/:project_id/persons/:person_uuid',
      summary:
        'Delete a person, and on request all their events; the answer tells where to see when it is done',
      tag: 'persons',
      query: z.object({ delete_events: z.enum(['true', 'false']).default('false') }),
      answers: { 202: deletionSchema },
      async run({ project, path, query }) {
        const person = await findPerson(database, project.id, path.person_uuid)
        const deletion = await requestDeletion(ports, {
          teamId: project.id,
          personUuid: person.uuid,
          deleteEvents: query.delete_events === 'true',
        })
        return { status: 202, body: deletionBody(deletion) }
      },
    }),
  ]
}

type ListQuery = {
  limit: number
  offset: number
  cursor?: string | undefined
  distinct_id?: string | undefined
  email?: string | undefined
  search?: string | undefined
}

/** One row more than the page holds, from the query's place on, in the order they were read. */
async function readPersons(
  database: Database,
  teamId: number,
  query: ListQuery,
): Promise<{ rows: PersonRow[]; place: Place | undefined }> {
  const place = placeIn(query.cursor, [bigint, bigint])
  const skip = place === undefined ? query.offset : 0
  const values: unknown[] = [teamId, query.limit + 1, skip]
  const valueAt = (value: unknown): string => `$${values.push(value)}`
  const conditions = ['p.team_id = $1']
  if (query.distinct_id !== undefined)
    conditions.push(
      `p.id in (select person_id from posthog_persondistinctid where team_id = $1 and distinct_id = ${valueAt(query.distinct_id)})`,
    )
  if (query.email !== undefined) conditions.push(`p.properties->>'email' = ${valueAt(query.email)}`)
  if (query.search !== undefined) {
    const text = valueAt(query.search)
    conditions.push(`(strpos(lower(p.properties->>'email'), lower(${text})) > 0 or strpos(lower(p.properties->>'name'), lower(${text})) > 0
      or p.id in (select person_id from posthog_persondistinctid where team_id = $1 and strpos(lower(distinct_id), lower(${text})) > 0))`)
  }
  const isBackward = place?.isBackward === true
  if (place !== undefined) {
    const [bornAt, number] = place.after.map((value) => `${valueAt(value)}::bigint`)
    const moment = `(timestamptz 'epoch' + ${bornAt} * interval '1 microsecond')`
    conditions.push(
      isBackward
        ? `p.created_at >= ${moment} and (p.created_at > ${moment} or p.id < ${number})`
        : `p.created_at <= ${moment} and (p.created_at < ${moment} or p.id > ${number})`,
    )
  }
  const order = isBackward ? 'p.created_at, p.id desc' : 'p.created_at desc, p.id'
  const rows = await database.query<PersonRow>(
    `${select} where ${conditions.join(' and ')} order by ${order} limit $2 offset $3`,
    values,
    { mayBeStale: true },
  )
  return { rows, place }
}

/** A bigint of PostgreSQL as text. */
const bigint = z.string().regex(/^-?\d{1,18}$/)

function pageOfPersons(rows: readonly PersonRow[], frame: Omit<PageFrame<PersonRow>, 'keyOf'>) {
  const found = page(rows, { ...frame, keyOf: (row) => [row.born, row.number] })
  return { ...found, results: found.results.map(personBody) }
}

async function findPerson(
  database: Database,
  teamId: number,
  uuidText: string | undefined,
): Promise<PersonRow> {
  const uuid = z.guid().safeParse(uuidText)
  if (!uuid.success) throw invalidInput('The person id must be a UUID.', 'person_uuid')
  const [row] = await database.query<PersonRow>(`${select} where p.team_id = $1 and p.uuid = $2`, [
    teamId,
    uuid.data,
  ])
  if (row === undefined) throw notFound()
  return row
}

function personBody(row: PersonRow): z.output<typeof personSchema> {
  const name = [row.properties.email, row.properties.name, row.properties.username, row.distinct_ids[0]].find(
    (candidate) => typeof candidate === 'string' && candidate !== '',
  )
  return {
    id: row.uuid,
    uuid: row.uuid,
    name: String(name ?? ''),
    distinct_ids: row.distinct_ids,
    properties: row.properties,
    is_identified: row.is_identified,
    created_at: row.created_at,
  }
}
