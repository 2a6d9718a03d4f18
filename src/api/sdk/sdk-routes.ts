/** Routes that SDKs call without a personal key: flags, remote config and the browser SDK's own files. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'
import { createAuthentication } from '../auth/authenticate.ts'
import type { ProjectChanges } from '../projects/project-changes.ts'
import { findProjectByToken, type Project } from '../projects/projects.ts'
import { type BrowserFiles, openBrowserFiles } from './browser-files.ts'
import { decodeSdkBody } from './decode.ts'
import { evaluatedFlags, type FlagsQuery, minimalFlags, noFlagDefinitions } from './flags.ts'
import { remoteConfig, remoteConfigScript } from './remote-config.ts'

type SdkPorts = { database: Database; clock: Clock; random: Random; changes?: ProjectChanges }
type SdkConfig = { bodyBytesMax: number; keyCacheMs: number }
const allowed = 'GET, POST, OPTIONS, HEAD'
type FindProject = (token: string) => Promise<Project | undefined>

export function registerSdkRoutes(app: FastifyInstance, ports: SdkPorts, config: SdkConfig): void {
  const find = createProjectFinder(ports, config)
  app.addHook('onRequest', async (request, reply) => {
    if (!isSdkPath(request.url)) return
    allowOrigin(request, reply)
    if (request.method === 'OPTIONS') await reply.code(204).header('allow', allowed).send()
  })
  for (const endpoint of ['flags', 'decide'] as const) registerFlags(app, endpoint, { ports, config, find })
  for (const path of ['/api/feature_flag/local_evaluation', '/flags/definitions'])
    registerDefinitions(app, path, { ports, config, find })
  const files = openBrowserFiles()
  registerRemoteConfig(app, find, files)
  registerBrowserFiles(app, files)
}

function isSdkPath(url: string): boolean {
  return /^\/(flags|decide|array|static|api\/feature_flag)([/?]|$)/.test(url)
}

/** Any page may ask, as with PostHog: nothing here depends on who is signed in. */
function allowOrigin(request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers
  if (origin === undefined) return
  const asked = request.headers['access-control-request-headers']
  void reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': allowed,
    vary: 'origin',
    ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
  })
}

function createProjectFinder(ports: SdkPorts, config: SdkConfig): FindProject {
  const known = new LRUCache<string, { project: Project | undefined; until: number }>({ max: 10_000 })
  ports.changes?.subscribe((token) => void known.delete(token))
  return async (token) => {
    const remembered = known.get(token)
    if (remembered !== undefined && remembered.until > ports.clock.now()) return remembered.project
    const project = await findProjectByToken(ports.database, token)
    known.set(token, { project, until: ports.clock.now() + config.keyCacheMs })
    return project
  }
}

type SdkContext = { ports: SdkPorts; config: SdkConfig; find: FindProject }

function registerFlags(app: FastifyInstance, endpoint: 'flags' | 'decide', context: SdkContext): void {
  const queryOf = (request: FastifyRequest): FlagsQuery & { compression: string } => {
    const query = new URLSearchParams(request.url.split('?')[1] ?? '')
    return {
      endpoint,
      version: query.get('v') ?? query.get('version'),
      config: query.get('config'),
      compression: query.get('compression') ?? '',
    }
  }
  app.get(`/${endpoint}`, async (request) => minimalFlags(queryOf(request)))
  app.route({
    method: ['PUT', 'PATCH', 'DELETE'],
    url: `/${endpoint}`,
    handler: async (_request, reply) => text(reply.header('allow', allowed), 405, 'Method not allowed.'),
  })
  app.post(`/${endpoint}`, async (request, reply) => {
    const query = queryOf(request)
    const body = decodeSdkBody(
      Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      {
        contentType: request.headers['content-type'] ?? '',
        contentEncoding: request.headers['content-encoding'] ?? '',
        compression: query.compression,
      },
      { bytesMax: context.config.bodyBytesMax },
    )
    if (!body.ok) return text(reply, 400, body.message)
    const token = [body.value.token, body.value.$token, body.value.api_key].find(
      (value) => typeof value === 'string' && value !== '',
    )
    if (typeof token !== 'string') return text(reply, 401, 'No project token was provided.')
    const project = await context.find(token)
    if (project === undefined) return text(reply, 401, 'The project token is invalid.')
    const distinctId = body.value.distinct_id ?? body.value.$distinct_id
    if (typeof distinctId !== 'string' && typeof distinctId !== 'number')
      return text(reply, 400, 'The request needs a distinct_id.')
    const requestId = request.headers['x-request-id']
    return evaluatedFlags(query, {
      project,
      random: context.ports.random,
      nowMs: context.ports.clock.now(),
      requestId: typeof requestId === 'string' ? requestId : undefined,
    })
  })
}

function registerDefinitions(app: FastifyInstance, path: string, { ports, config, find }: SdkContext): void {
  const authenticate = createAuthentication(ports, config)
  app.get(path, async (request, reply) => {
    const url = new URL(request.url, 'http://localhost')
    const key = await authenticate(request.headers, url)
    const token = url.searchParams.get('token')
    if (token === null) return noFlagDefinitions
    const project = await find(token)
    if (project === undefined || !(key.projects?.includes(project.id) ?? true))
      return text(reply, 401, 'The project token is invalid.')
    return noFlagDefinitions
  })
}

function registerRemoteConfig(app: FastifyInstance, find: FindProject, files: BrowserFiles): void {
  app.get<{ Params: { token: string } }>('/array/:token/config', async (request, reply) => {
    const project = await find(request.params.token)
    if (project === undefined) return text(reply, 404, 'No project has this token.')
    return reply.header('cache-control', 'public, max-age=60').send(remoteConfig(project))
  })
  app.get<{ Params: { token: string } }>('/array/:token/config.js', async (request, reply) => {
    const project = await find(request.params.token)
    if (project === undefined) return text(reply, 404, 'No project has this token.')
    return script(reply, remoteConfigScript(project), 60)
  })
  app.get<{ Params: { token: string } }>('/array/:token/array.js', async (request, reply) => {
    const project = await find(request.params.token)
    if (project === undefined) return text(reply, 404, 'No project has this token.')
    const sdk = await files.read('array.js')
    return script(reply, `${remoteConfigScript(project)}${sdk?.toString('utf8') ?? ''}`, 60)
  })
}

function registerBrowserFiles(app: FastifyInstance, files: BrowserFiles): void {
  app.get<{ Params: { file: string } }>('/static/:file', async (request, reply) => {
    const file = await files.read(request.params.file)
    return file === undefined ? text(reply, 404, 'There is no such file.') : script(reply, file, 3600)
  })
}

function script(reply: FastifyReply, content: string | Buffer, maxAgeS: number): FastifyReply {
  return reply
    .header('cache-control', `public, max-age=${maxAgeS}`)
    .header('x-content-type-options', 'nosniff')
    .type('application/javascript; charset=utf-8')
    .send(content)
}

function text(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send(message)
}
