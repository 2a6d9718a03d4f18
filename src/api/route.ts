/**
 * A route of the API as data: what it takes and answers as schemas, and what it does. The server, the
 * validation and the OpenAPI document all follow from the same list, so they cannot disagree.
 */
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { ApiKey } from './auth/keys.ts'
import type { Project } from './projects/projects.ts'

export type RouteRequest<Path, Query, Body> = {
  path: Path
  query: Query
  body: Body
  /** The key that signed the request. */
  key: ApiKey
  /** The project in the path, if there is one and the key may see it. */
  project: Project
  url: URL
  signal: AbortSignal
}

export type StreamedAnswer = { stream: Readable; contentType: string }
export type Answer = { status: number; body: unknown } | StreamedAnswer

export type ApiRoute = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With `:name` parameters; `:project_id` loads the project. */
  path: string
  summary: string
  tag:
    | 'projects'
    | 'keys'
    | 'query'
    | 'events'
    | 'persons'
    | 'groups'
    | 'deletions'
    | 'jobs'
    | 'topics'
    | 'proof'
  query: z.ZodType | undefined
  body: z.ZodType | undefined
  /** Status of success and its body. */
  answers: Readonly<Record<number, z.ZodType>>
  run: (request: RouteRequest<Record<string, string>, unknown, unknown>) => Promise<Answer>
}

type Definition<Q extends z.ZodType | undefined, B extends z.ZodType | undefined> = Omit<
  ApiRoute,
  'query' | 'body' | 'run'
> & {
  query?: Q
  body?: B
  run: (
    request: RouteRequest<
      Record<string, string>,
      Q extends z.ZodType ? z.output<Q> : undefined,
      B extends z.ZodType ? z.output<B> : undefined
    >,
  ) => Promise<Answer>
}

/** Gives a route's handler the types of its schemas. */
export function defineRoute<
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: Definition<Q, B>): ApiRoute {
  // The server calls `run` only with what the two schemas have parsed.
  return {
    ...definition,
    query: definition.query,
    body: definition.body,
    run: definition.run as ApiRoute['run'],
  }
}
