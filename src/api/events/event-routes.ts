import { z } from 'zod'
import type { Warehouse } from '../../ports/warehouse.ts'
import { type Place, page, pageOf, pageQuery, placeIn } from '../page.ts'
import { invalidInput, notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'
import { propertyFilterSchema, propertyFilters } from './property-filters.ts'

const eventSchema = z.strictObject({
  id: z.guid(),
  distinct_id: z.string(),
  properties: z.record(z.string(), z.unknown()),
  event: z.string(),
  timestamp: z.string().meta({ description: 'RFC 3339, UTC, microseconds.' }),
  person: z
    .strictObject({ id: z.uuid(), properties: z.record(z.string(), z.unknown()), mode: z.string() })
    .meta({ description: 'As the person was when the event was ingested.' }),
  elements_chain: z.string(),
})

type EventRow = {
  uuid: string
  distinct_id: string
  properties: string
  event: string
  time: string
  person_id: string
  person_properties: string
  person_mode: string
  elements_chain: string
}

const columns = `uuid, distinct_id, properties, event, formatDateTime(timestamp, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC') as time,
  person_id, person_properties, toString(person_mode) as person_mode, elements_chain`

/** As `columns` writes it. */
const rowTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
const isoTime = z.union([z.iso.datetime({ offset: true, local: true }), z.iso.date()])

export function createEventRoutes(
  ports: { warehouse: Warehouse },
  config: { pageSizeMax: number },
): ApiRoute[] {
  const { warehouse } = ports
  const listQuery = z.object({
    ...pageQuery(config.pageSizeMax),
    event: plainText(1000).optional(),
    distinct_id: plainText(1000).optional(),
    person_id: z.guid().optional(),
    after: isoTime.optional().meta({ description: 'Only events later than this.' }),
    before: isoTime.optional().meta({ description: 'Only events earlier than this.' }),
    properties: plainText(100_000)
      .optional()
      .meta({ description: 'JSON: [{"key", "value", "operator", "type": "event" or "person"}].' }),
    order: z.enum(['asc', 'desc']).default('desc').meta({ description: 'By time.' }),
  })
  return [
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/events',
      summary: 'Events, newest first',
      tag: 'events',
      query: listQuery,
      answers: { 200: pageOf(eventSchema) },
      async run({ project, query, url, signal }) {
        const { rows, place } = await readEvents(warehouse, query, { teamId: project.id, signal })
        const keyOf = (event: z.output<typeof eventSchema>) => [event.timestamp, event.id]
        return { status: 200, body: page(rows.map(eventBody), { query, url, place, keyOf }) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/events/:event_uuid',
      summary: 'One event',
      tag: 'events',
      answers: { 200: eventSchema },
      async run({ project, path, signal }) {
        const uuid = z.guid().safeParse(path.event_uuid)
        if (!uuid.success) throw invalidInput('The event id must be a UUID.', 'event_uuid')
        const rows = await warehouse.query<EventRow>(
          `select ${columns} from events final where team_id = {team:Int64} and uuid = {uuid:UUID} limit 1`,
          { parameters: { team: project.id, uuid: uuid.data }, signal },
        )
        const [row] = rows
        if (row === undefined)
          throw notFound(
            'No row has this uuid. "rowmill trace" tells whether it was dropped, and why, or where it waits.',
          )
        return { status: 200, body: eventBody(row) }
      },
    }),
  ]
}

/** One row more than the page holds, from the query's place on, in the order they were read. */
async function readEvents(
  warehouse: Warehouse,
  query: ListQuery,
  { teamId, signal }: { teamId: number; signal: AbortSignal },
): Promise<{ rows: EventRow[]; place: Place | undefined }> {
  const place = placeIn(query.cursor, [z.string().regex(rowTime), z.guid()])
  const { where, parameters } = conditions(query)
  const isRising = (query.order === 'asc') !== (place?.isBackward === true)
  const direction = isRising ? 'asc' : 'desc'
  const beyond =
    place === undefined
      ? ''
      : ` and (timestamp, toString(uuid)) ${isRising ? '>' : '<'} (parseDateTime64BestEffort({placeTime:String}, 6, 'UTC'), {placeUuid:String})`
  const [placeTime = '', placeUuid = ''] = place?.after ?? []
  const rows = await warehouse.query<EventRow>(
    `select ${columns} from events final where team_id = {team:Int64}${where}${beyond}
     order by timestamp ${direction}, toString(uuid) ${direction} limit {take:UInt32} offset {skip:UInt32}`,
    {
      parameters: {
        ...parameters,
        ...(place === undefined ? {} : { placeTime, placeUuid }),
        team: teamId,
        take: query.limit + 1,
        skip: place === undefined ? query.offset : 0,
      },
      signal,
    },
  )
  return { rows, place }
}

type ListQuery = {
  limit: number
  offset: number
  order: 'asc' | 'desc'
  cursor?: string | undefined
  event?: string | undefined
  distinct_id?: string | undefined
  person_id?: string | undefined
  after?: string | undefined
  before?: string | undefined
  properties?: string | undefined
}

function conditions(query: ListQuery): { where: string; parameters: Record<string, unknown> } {
  const parts: string[] = []
  const parameters: Record<string, unknown> = {}
  const add = (condition: string, name: string, value: string | undefined): void => {
    if (value === undefined) return
    parts.push(condition)
    parameters[name] = value
  }
  add('event = {event:String}', 'event', query.event)
  add('distinct_id = {distinct:String}', 'distinct', query.distinct_id)
  add('person_id = {person:UUID}', 'person', query.person_id)
  add("timestamp > parseDateTime64BestEffort({after:String}, 6, 'UTC')", 'after', query.after)
  add("timestamp < parseDateTime64BestEffort({before:String}, 6, 'UTC')", 'before', query.before)
  if (query.properties !== undefined) {
    const filters = propertyFilters(parseFilters(query.properties))
    parts.push(...filters.conditions)
    Object.assign(parameters, filters.parameters)
  }
  return { where: parts.map((part) => ` and ${part}`).join(''), parameters }
}

function parseFilters(text: string): z.output<typeof propertyFilterSchema>[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalidInput(
      '"properties" must be JSON: [{"key": "plan", "value": "free", "operator": "exact"}].',
      'properties',
    )
  }
  const parsed = z.array(propertyFilterSchema).max(50).safeParse(value)
  if (!parsed.success) throw invalidInput(`"properties" ${z.prettifyError(parsed.error)}`, 'properties')
  return parsed.data
}

function eventBody(row: EventRow): z.output<typeof eventSchema> {
  return {
    id: row.uuid,
    distinct_id: row.distinct_id,
    properties: JSON.parse(row.properties || '{}') as Record<string, unknown>,
    event: row.event,
    timestamp: row.time,
    person: {
      id: row.person_id,
      properties: JSON.parse(row.person_properties || '{}') as Record<string, unknown>,
      mode: row.person_mode,
    },
    elements_chain: row.elements_chain,
  }
}
