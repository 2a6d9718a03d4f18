/** Takes a request through a route's schemas to its handler. */
import type { z } from 'zod'
import type { Database } from '../ports/database.ts'
import type { ApiKey } from './auth/keys.ts'
import { invalidInput, notFound, Problem } from './problem.ts'
import { findProject, listProjects, type Project } from './projects/projects.ts'
import type { Answer, ApiRoute } from './route.ts'

type RawRequest = {
  key: ApiKey
  url: URL
  path: Record<string, string>
  body: Buffer | undefined
  signal: AbortSignal
}

export async function runRoute(database: Database, route: ApiRoute, request: RawRequest): Promise<Answer> {
  const project = route.path.includes(':project_id') ? await projectFor(database, request) : noProject
  const query =
    route.query === undefined
      ? undefined
      : check(route.query, Object.fromEntries(request.url.searchParams), 'query')
  const body = route.body === undefined ? undefined : check(route.body, parseJson(request.body), 'body')
  return route.run({ ...request, project, query, body })
}

/** Stands in routes without a project in their path, which do not look at it. */
const noProject = Object.freeze({ id: 0 }) as Project

async function projectFor(database: Database, { key, path }: RawRequest): Promise<Project> {
  const text = path.project_id ?? ''
  if (text === '@current') {
    const project = (await listProjects(database)).find(({ id }) => key.projects?.includes(id) ?? true)
    if (project !== undefined) return project
  }
  const id = /^\d{1,9}$/.test(text) ? Number(text) : undefined
  if (id === undefined) throw invalidInput('The project must be a number or @current.', 'project_id')
  const project =
    key.projects === null || key.projects.includes(id) ? await findProject(database, id) : undefined
  if (project === undefined) throw notFound(`There is no project ${id} that this key may see.`)
  return project
}

function parseJson(body: Buffer | undefined): unknown {
  if (body === undefined || body.length === 0) throw invalidInput('The request needs a JSON body.')
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unreadable'
    throw new Problem(400, {
      type: 'validation_error',
      code: 'parse_error',
      detail: `The body is not JSON: ${reason}`,
    })
  }
}

function check(schema: z.ZodType, value: unknown, part: 'query' | 'body'): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const attr = issue?.path.join('.') ?? ''
  const unknownKeys = issue?.code === 'unrecognized_keys' ? ` (${issue.keys.join(', ')})` : ''
  throw invalidInput(
    `${attr === '' ? `The ${part}` : `"${attr}"`}: ${issue?.message ?? 'invalid'}${unknownKeys}`,
    attr === '' ? part : attr,
  )
}
