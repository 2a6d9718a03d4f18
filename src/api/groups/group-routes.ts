import { z } from 'zod'
import type { Database } from '../../ports/database.ts'
import { page, pageOf, pageQuery } from '../page.ts'
import { notFound } from '../problem.ts'
import { type ApiRoute, defineRoute } from '../route.ts'

const groupSchema = z.strictObject({
  group_type_index: z.number().int(),
  group_key: z.string(),
  group_properties: z.record(z.string(), z.unknown()),
  created_at: z.string(),
})
const groupTypeSchema = z.strictObject({ group_type: z.string(), group_type_index: z.number().int() })
const typeIndex = z.coerce.number().int().min(0).max(4)

const columns = 'group_type_index, group_key, group_properties, created_at'
type GroupRow = z.output<typeof groupSchema>

export function createGroupRoutes(
  ports: { database: Database },
  config: { pageSizeMax: number },
): ApiRoute[] {
  const { database } = ports
  return [
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/groups_types',
      summary: 'The group types of the project, at most five',
      tag: 'groups',
      answers: { 200: z.array(groupTypeSchema) },
      async run({ project }) {
        const body = await database.query<z.output<typeof groupTypeSchema>>(
          'select group_type, group_type_index from posthog_grouptypemapping where team_id = $1 order by group_type_index',
          [project.id],
        )
        return { status: 200, body }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/groups',
      summary: 'Groups of one type, newest first',
      tag: 'groups',
      query: z.object({
        ...pageQuery(config.pageSizeMax),
        group_type_index: typeIndex,
        search: z.string().max(400).optional(),
      }),
      answers: { 200: pageOf(groupSchema) },
      async run({ project, query, url }) {
        const rows = await database.query<GroupRow>(
          `select ${columns} from posthog_group where team_id = $1 and group_type_index = $2
           and ($5 = '' or strpos(lower(group_key), lower($5)) > 0 or strpos(lower(group_properties->>'name'), lower($5)) > 0)
           order by created_at desc, group_key limit $3 offset $4`,
          [project.id, query.group_type_index, query.limit + 1, query.offset, query.search ?? ''],
        )
        return { status: 200, body: page(rows, query, url) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/projects/:project_id/groups/find',
      summary: 'One group',
      tag: 'groups',
      query: z.object({ group_type_index: typeIndex, group_key: z.string().min(1) }),
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
