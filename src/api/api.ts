/**
 * The API role: people and programs ask questions here, and SDKs learn what they may do.
 *
 * Every management route is one row of a list (`route.ts`); the server below authenticates, finds the
 * project, validates, runs the row and turns what it throws into a problem. SDK routes need no key.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import type { Log } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createAuditRoutes } from './audit/audit-routes.ts'
import { createAuthentication } from './auth/authenticate.ts'
import { createKeyRoutes } from './auth/key-routes.ts'
import type { ApiConfig } from './config.ts'
import { createDeletionRoutes } from './deletions/deletion-routes.ts'
import { createEventRoutes } from './events/event-routes.ts'
import { createGroupRoutes } from './groups/group-routes.ts'
import { createJobRoutes } from './jobs/job-routes.ts'
import { openApiDocument } from './openapi.ts'
import { createPersonRoutes } from './persons/person-routes.ts'
import { notFound, Problem, problemOf } from './problem.ts'
import type { ProjectChanges } from './projects/project-changes.ts'
import { createProjectRoutes } from './projects/project-routes.ts'
import { createQueryRoutes } from './query/query.ts'
import type { ApiRoute } from './route.ts'
import { runRoute } from './run-route.ts'
import { registerSdkRoutes } from './sdk/sdk-routes.ts'
import { createTopicRoutes } from './topics/topic-routes.ts'
import { createTraceRoutes } from './trace/trace-routes.ts'

export type ApiPorts = {
  database: Database
  warehouse: Warehouse
  log: Log
  clock: Clock
  random: Random
  logger: Logger
  /** The job queue; its routes are there only with it. */
  jobs?: Jobs | undefined
  /** Hears of projects that are changed here. */
  changes?: ProjectChanges
}

export interface Api extends AsyncDisposable {
  /** Serves one request of the program's HTTP server. */
  handle(request: IncomingMessage, response: ServerResponse): void
  readonly document: Record<string, unknown>
}

/** Every management route, in the order of the OpenAPI document. */
export function createApiRoutes(ports: ApiPorts, config: ApiConfig): ApiRoute[] {
  return [
    ...createProjectRoutes(ports),
    ...createKeyRoutes(ports),
    ...createQueryRoutes(ports, config),
    ...createEventRoutes(ports, config),
    ...createPersonRoutes(ports, config),
    ...createGroupRoutes(ports, config),
    ...createDeletionRoutes(ports),
    ...(ports.jobs === undefined ? [] : createJobRoutes(ports.jobs, config)),
    ...createAuditRoutes(ports),
    ...createTraceRoutes(ports),
    ...createTopicRoutes(ports),
  ]
}

/** With the scope `topics` it only feeds topics: for a program that has no role `api`. */
export async function openApi(
  ports: ApiPorts,
  config: ApiConfig,
  options: { version: string; scope?: 'all' | 'topics' },
): Promise<Api> {
  const isWhole = (options.scope ?? 'all') === 'all'
  const routes = isWhole ? createApiRoutes(ports, config) : createTopicRoutes(ports)
  const document = openApiDocument(routes, options.version)
  const authenticate = createAuthentication(ports, config)
  const app = fastify({
    bodyLimit: config.bodyBytesMax,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1000 },
    logger: false,
    frameworkErrors: (error, request, reply) => sendProblem(ports.logger, { error, request, reply }),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, request, reply) => sendProblem(ports.logger, { error, request, reply }))
  app.setNotFoundHandler((request, reply) =>
    sendProblem(ports.logger, {
      error: notFound(`There is no route ${request.method} ${request.url.split('?')[0]}.`),
      request,
      reply,
    }),
  )
  app.get('/api/openapi.json', async () => document)
  for (const route of routes) addRoute(app, route, { ports, authenticate })
  if (isWhole) registerSdkRoutes(app, ports, config)
  await app.ready()
  return {
    document,
    handle: (request, response) => app.routing(request, response),
    [Symbol.asyncDispose]: () => app.close(),
  }
}

type RouteContext = { ports: ApiPorts; authenticate: ReturnType<typeof createAuthentication> }

function addRoute(app: FastifyInstance, route: ApiRoute, { ports, authenticate }: RouteContext): void {
  app.route({
    method: route.method,
    url: route.path,
    handler: async (request, reply) => {
      const url = urlOf(request)
      const key = await authenticate(request.headers, url)
      const answer = await runRoute(ports.database, route, {
        key,
        url,
        path: request.params as Record<string, string>,
        body: Buffer.isBuffer(request.body) ? request.body : undefined,
        signal: gone(reply),
      })
      if ('stream' in answer) return reply.type(answer.contentType).send(answer.stream)
      return reply.code(answer.status).send(answer.body)
    },
  })
}

/** The request's URL as the client wrote it, for the links of pages; `localhost` where its Host is unusable. */
function urlOf(request: FastifyRequest): URL {
  const host = /^[\w.-]+(:\d{1,5})?$|^\[[\da-f:.]+\](:\d{1,5})?$/i.exec(request.headers.host ?? '')?.[0]
  const scheme = request.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
  const base = `${scheme}://${host ?? 'localhost'}`
  const [path = '/', query = ''] = request.url.split(/\?(.*)/s)
  const url = new URL(URL.canParse(base) ? base : `${scheme}://localhost`)
  url.pathname = path
  url.search = query
  return url
}

/** Aborts when the client goes away before its answer is complete. */
function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}

type Failure = { error: unknown; request: FastifyRequest; reply: FastifyReply }

function sendProblem(logger: Logger, { error, request, reply }: Failure): FastifyReply {
  const problem = toProblem(error)
  // Nobody waits for an answer any more: what failed is the client's going.
  if (reply.raw.destroyed) return reply
  if (problem.status >= 500)
    logger.error({ error, method: request.method, route: request.routeOptions.url }, 'an API request failed')
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
  if (problem.status === 503 || problem.status === 429) void reply.header('retry-after', '1')
  return reply.code(problem.status).send(problem.body)
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (isRowmillError(error)) return problemOf(error.code)
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500 && error instanceof Error)
    return new Problem(status, {
      type: 'invalid_request',
      code: status === 413 ? 'body_too_large' : 'invalid_request',
      detail: error.message,
    })
  return new Problem(500, {
    type: 'server_error',
    code: 'error',
    detail: 'A server error occurred; the log says more.',
  })
}
