import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import { page, pageOf, pageQuery, placeIn } from '../page.ts'
import { notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'
import { plainText } from '../text.ts'

const groupSchema = z.strictObject({
  group_type_index: z.number().int(),
  group_key: z.string(),
  group_properties: z.record(z.string(), z.unknown()),
  created_at: z.string(),
})
const groupTypeSchema = z.strictObject({ group_type: z.string(), group_type_index: z.number().int() })
const typeIndex = z.coerce.number().int().min(0).max(4)

const columns = 'group_type_index, group_key, group_properties, created_at'
/** `created_at` in microseconds since the epoch, for cursors. */
const born = '(extract(epoch from created_at) * 1000000)::bigint'
type GroupRow = z.output<typeof groupSchema>

export function createGroupRoutes(
  ports: { database: Database },
  config: { pageSizeMax: number },
): ApiRoute[] {
  const { database } = ports
  return [
    createGroupTypesRoute(database),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/groups',
      summary: 'Groups of one type, newest first',
      tag: 'groups',
      query: z.object({
        ...pageQuery(config.pageSizeMax),
        group_type_index: typeIndex,
        search: plainText(400).optional(),
      }),
      answers: { 200: pageOf(groupSchema) },
      async run({ project, query, url }) {
        const place = placeIn(query.cursor, [z.string().regex(/^-?\d{1,18}$/), plainText(1000)])
        const isBackward = place?.isBackward === true
        const [bornBefore = null, keyAfter = null] = place?.after ?? []
        const rows = await database.query<GroupRow & { born: string }>(
          `select ${columns}, ${born} as born from posthog_group where team_id = $1 and group_type_index = $2
           and ($5 = '' or strpos(lower(group_key), lower($5)) > 0 or strpos(lower(group_properties->>'name'), lower($5)) > 0)
           and ($6::bigint is null or (-${born}, group_key) ${isBackward ? '<' : '>'} (-$6::bigint, $7::text))
           order by -${born} ${isBackward ? 'desc' : 'asc'}, group_key ${isBackward ? 'desc' : 'asc'} limit $3 offset $4`,
          [
            ...[project.id, query.group_type_index, query.limit + 1],
            ...[place === undefined ? query.offset : 0, query.search ?? '', bornBefore, keyAfter],
          ],
          { mayBeStale: true },
        )
        const found = page(rows, { query, url, place, keyOf: (row) => [row.born, row.group_key] })
        return {
          status: 200,
          body: { ...found, results: found.results.map(({ born: _, ...row }) => row) },
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/groups/find',
      summary: 'One group',
      tag: 'groups',
      query: z.object({ group_type_index: typeIndex, group_key: plainText(1000, 1) }),
      answers: { 200: groupSchema },
      async run({ project, query }) {
        const [row] = await database.query<GroupRow>(
          `select ${columns} from posthog_group where team_id = $1 and group_type_index = $2 and group_key = $3`,
          [project.id, query.group_type_index, query.group_key],
        )
        if (row === undefined) throw notFound()
        return { status: 200, body: row }
      },
    }),
  ]
}

function createGroupTypesRoute(database: Database): ApiRoute {
  return defineRoute({
    method: 'GET',
    path: '/api/projects/:project_id/groups_types',
    summary: 'The group types of the project, at most five',
    tag: 'groups',
    answers: { 200: z.array(groupTypeSchema) },
    async run({ project }) {
      const body = await database.query<z.output<typeof groupTypeSchema>>(
        'select group_type, group_type_index from posthog_grouptypemapping where team_id = $1 order by group_type_index',
        [project.id],
        { mayBeStale: true },
      )
      return { status: 200, body }
    },
  })
}
