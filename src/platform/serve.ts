/**
 * Runs Rowmill: opens the ports, brings the tables up to date, runs the roles, listens. Everything is in scope
 * here and only here.
 *
 * Opened last, closed first: at a stop the server takes no new request, the stages finish and settle what they
 * have in hand, then the engines stop. What is not done after `shutdownMs` is abandoned and read again at the
 * next start. A role that fails for good stops everything, and `serve` throws what it failed with.
 */
import { join, resolve } from 'node:path'
import { openEmbeddedBlobs } from '../adapters/embedded/blobs.ts'
import { openEmbeddedCache } from '../adapters/embedded/cache.ts'
import { openEmbeddedLog } from '../adapters/embedded/log/log.ts'
import { openApi } from '../api/api.ts'
import { generateKey, listKeys, storeKey } from '../api/auth/keys.ts'
import { runDeletions } from '../api/deletions/run-deletions.ts'
import { ensureFirstProject, generateToken, type Project } from '../api/projects/projects.ts'
import { type HttpServer, openHttpServer } from '../http/http.ts'
import type { Route } from '../http/route.ts'
import type { Config } from './config/config.ts'
import { openDataDir } from './data-dir.ts'
import { openEngines } from './engines.ts'
import { createGround, type Ground } from './ground.ts'
import { migrateEngines, migrateOwnWarehouse } from './migrate.ts'
import { openCaptureRole } from './roles/capture-role.ts'
import { runDatasetsRole } from './roles/datasets-role.ts'
import { runIngestRole } from './roles/ingest-role.ts'
import type { RoleName } from './roles.ts'
import { writeRunFile } from './run-file.ts'
import { statusRoutes } from './status-routes.ts'
import { topicSpecs } from './topics.ts'
import { programVersion } from './version.ts'
import type { StopSignals, World } from './world.ts'

export type Ready = {
  url: string
  dataDir: string
  startMs: number
  project: Project | undefined
  /** Made at this start; undefined when keys were there already. */
  newApiKey: string | undefined
}

export async function serve(
  config: Config,
  options: { signal: AbortSignal; onReady: (ready: Ready) => void },
): Promise<void> {
  const ground = createGround(config)
  const startedAt = ground.clock.monotonic()
  const failed = new AbortController()
  const overdue = new AbortController()
  const signals: StopSignals = {
    stop: AbortSignal.any([options.signal, failed.signal]),
    abort: overdue.signal,
  }
  const failures: unknown[] = []
  const watch = (role: RoleName, running: Promise<void>): Promise<void> =>
    running.catch((error: unknown) => {
      ground.logger.error({ error, role }, 'a role failed, everything stops')
      failures.push(error)
      failed.abort()
    })

  await using stack = new AsyncDisposableStack()
  const world = await openWorld(ground, config, stack)
  const first = await prepare(world)
  const routes: Route[] = []
  if (hasRole(config, 'capture')) routes.push(...stack.use(await openCaptureRole(world, signals)).routes)
  const api = hasRole(config, 'api')
    ? stack.use(await openApi(apiPorts(world), config.api, { version: programVersion() }))
    : undefined
  // Before the roles begin: a port that is taken ends the start with nothing in hand.
  const server = stack.use(await listen(world, { routes, handle: api?.handle }))
  stack.use(
    await writeRunFile(resolve(config.dataDir), {
      pid: process.pid,
      url: server.address.url,
      ...world.engines.connections,
    }),
  )
  const running: Promise<void>[] = []
  if (hasRole(config, 'ingest')) running.push(watch('ingest', runIngestRole(world, signals)))
  if (hasRole(config, 'datasets')) running.push(watch('datasets', runDatasetsRole(world, signals)))
  if (api !== undefined)
    running.push(watch('api', runDeletions(apiPorts(world), config.api, { signal: signals.stop })))
  ground.logger.info({ url: server.address.url, roles: config.roles, version: programVersion() }, 'ready')
  options.onReady({
    url: server.address.url,
    dataDir: resolve(config.dataDir),
    startMs: ground.clock.monotonic() - startedAt,
    ...first,
  })

  await aborted(signals.stop)
  ground.logger.info('stopping')
  const deadline = new AbortController()
  const timer = ground.clock.sleep(config.shutdownMs, { signal: deadline.signal }).then(() => overdue.abort())
  await server.drain(overdue.signal)
  await Promise.all(running)
  deadline.abort()
  await timer
  await stack.disposeAsync()
  ground.logger.info('stopped')
  if (failures.length > 0)
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'Several roles failed.')
}

async function openWorld(ground: Ground, config: Config, stack: AsyncDisposableStack): Promise<World> {
  const dataDir = resolve(config.dataDir)
  await openDataDir(dataDir)
  const log = stack.use(await openEmbeddedLog({ ...ground, directory: join(dataDir, 'log') }, config.log))
  const engines = stack.use(
    await openEngines(
      ground,
      { ...config, dataDir },
      {
        prepareOwnWarehouse: (warehouse) => migrateOwnWarehouse(warehouse, ground.logger),
      },
    ),
  )
  await migrateEngines({ ...engines, logger: ground.logger })
  const cache = stack.use(await openEmbeddedCache({ ...ground, database: engines.database }, config.cache))
  const blobs = stack.use(
    await openEmbeddedBlobs({ directory: join(dataDir, 'blobs'), random: ground.random }),
  )
  return { ...ground, config, log, engines, cache, blobs }
}

/** Topics, project 1 and a key: what a first start creates and later ones find. */
async function prepare(world: World): Promise<Pick<Ready, 'project' | 'newApiKey'>> {
  const { config, log, engines, random } = world
  await log.ensureTopics(
    topicSpecs(config.log, {
      dedupWindowMs: config.ingest.dedup.windowMs,
      customTopics: [...config.capture.admission.customTopics, config.capture.admission.aiOverflowTopic],
    }),
  )
  const { project } = await ensureFirstProject(engines.database, () => ({
    apiToken: config.projectToken ?? generateToken(random),
  }))
  if (config.apiKey !== undefined)
    await storeKey(engines.database, { value: config.apiKey.reveal(), label: 'from ROWMILL_API_KEY' })
  if ((await listKeys(engines.database)).length > 0) return { project, newApiKey: undefined }
  const value = generateKey(random)
  await storeKey(engines.database, { value, label: 'first start' })
  return { project, newApiKey: value }
}

function apiPorts(world: World) {
  const { clock, random, logger, log, engines } = world
  return {
    clock,
    random,
    logger: logger.child({ role: 'api' }),
    log,
    database: engines.database,
    warehouse: engines.warehouse,
  }
}

type Listening = {
  routes: readonly Route[]
  handle:
    | ((...pair: Parameters<NonNullable<Parameters<typeof openHttpServer>[1]['fallback']>>) => void)
    | undefined
}

async function listen(world: World, { routes, handle }: Listening): Promise<HttpServer> {
  const { config } = world
  let server: HttpServer | undefined
  server = await openHttpServer(
    world,
    {
      ...config.http,
      host: config.host,
      port: config.port,
      ...(handle === undefined ? {} : { fallback: handle }),
    },
    [...statusRoutes(world, () => server?.isOpen ?? false), ...routes],
  )
  return server
}

export function hasRole(config: Config, role: RoleName): boolean {
  return config.roles.includes(role)
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
