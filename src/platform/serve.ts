/**
 * Runs Rowmill: opens the ports, brings the tables up to date, runs the roles, listens. Everything is in scope
 * here and only here.
 *
 * Files that settings name are read first. The port comes before the engines: one that is taken ends the start
 * with nothing made, and whoever asks in the
 * meantime hears that Rowmill is alive and starting. Only the log is opened before, because its lock tells of
 * another Rowmill on the same folder.
 *
 * At a stop the server takes no new request, the stages finish and settle what they have in hand, then the
 * engines stop. What is not done after `shutdownMs` is abandoned and read again at the next start. A role that fails for good stops everything, and `serve` throws what it failed with.
 */
import { join, resolve } from 'node:path'
import { openEmbeddedBlobs } from '../adapters/embedded/blobs.ts'
import { openEmbeddedCache } from '../adapters/embedded/cache.ts'
import { openEmbeddedLog } from '../adapters/embedded/log/log.ts'
import { type Api, openApi } from '../api/api.ts'
import { generateKey, listKeys, storeKey } from '../api/auth/keys.ts'
import { runDeletions } from '../api/deletions/run-deletions.ts'
import { createProjectChanges } from '../api/projects/project-changes.ts'
import { ensureFirstProject, generateToken, type Project } from '../api/projects/projects.ts'
import { type HttpServer, openHttpServer } from '../http/http.ts'
import type { Route } from '../http/route.ts'
import { openGeoip } from '../ingest/geoip.ts'
import type { Config } from './config/config.ts'
import { openDataDir } from './data-dir.ts'
import { openEngines } from './engines.ts'
import { createGround, type Ground } from './ground.ts'
import { migrateEngines, migrateOwnWarehouse } from './migrate.ts'
import { openCaptureRole } from './roles/capture-role.ts'
import { runDatasetsRole } from './roles/datasets-role.ts'
import { runIngestRole } from './roles/ingest-role.ts'
import { openStorageParts, runDeadLetters } from './roles/storage-parts.ts'
import type { RoleName } from './roles.ts'
import { writeRunFile } from './run-file.ts'
import { startingRoutes, statusRoutes } from './status-routes.ts'
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
  const done = new AbortController()
  const overdue = new AbortController()
  const signals: StopSignals = {
    stop: AbortSignal.any([options.signal, failed.signal, done.signal]),
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
  const dataDir = resolve(config.dataDir)
  const { geoip, server, world } = await openParts(ground, config, stack)
  const first = await prepare(world)
  const routes: Route[] = []
  if (hasRole(config, 'capture')) routes.push(...stack.use(await openCaptureRole(world, signals)).routes)
  const { consumer, routes: testRoutes } = await openStorageParts(world, signals, stack)
  const isAsked = hasRole(config, 'api') || consumer !== undefined
  const api = isAsked ? stack.use(await openApiOf(world)) : undefined
  server.replaceRoutes([...statusRoutes(world, () => server.isOpen), ...routes, ...testRoutes], api?.handle)
  const { url } = server.address
  stack.use(await writeRunFile(dataDir, { pid: process.pid, url, ...world.engines.connections }))
  const running: Promise<void>[] = []
  if (hasRole(config, 'ingest')) running.push(watch('ingest', runIngestRole(world, signals, geoip)))
  if (hasRole(config, 'datasets')) running.push(watch('datasets', runDatasetsRole(world, signals)))
  if (consumer !== undefined) running.push(watch('consumer', consumer.run(signals)).then(() => done.abort()))
  if (hasRole(config, 'datasets')) running.push(watch('datasets', runDeadLetters(world, signals)))
  else if (consumer !== undefined) running.push(watch('consumer', runDeadLetters(world, signals)))
  if (hasRole(config, 'api'))
    running.push(watch('api', runDeletions(apiPorts(world), config.api, { signal: signals.stop })))
  ground.logger.info({ url, roles: config.roles, version: programVersion() }, 'ready')
  options.onReady({
    url,
    dataDir,
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

/** In the order in which a start may fail: the prose above tells why. */
async function openParts(ground: Ground, config: Config, stack: AsyncDisposableStack) {
  const geoip = hasRole(config, 'ingest') ? await openGeoip(config.ingest.geoip) : undefined
  const dataDir = resolve(config.dataDir)
  await openDataDir(dataDir)
  const log = stack.use(await openEmbeddedLog({ ...ground, directory: join(dataDir, 'log') }, config.log))
  const server = stack.use(await listen(ground, config))
  return { geoip, server, world: await openWorld({ ...ground, config, log }, stack) }
}

type Begun = Ground & Pick<World, 'config' | 'log'>

async function openWorld(ground: Begun, stack: AsyncDisposableStack): Promise<World> {
  const { config } = ground
  const dataDir = resolve(config.dataDir)
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
  return { ...ground, engines, cache, blobs, changes: createProjectChanges() }
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

/** A consumer without the role `api` can still be fed: topics are written by whoever owns the log. */
function openApiOf(world: World): Promise<Api> {
  const scope = hasRole(world.config, 'api') ? 'all' : 'topics'
  return openApi(apiPorts(world), world.config.api, { version: programVersion(), scope })
}

function apiPorts(world: World) {
  const { clock, random, logger, log, engines, changes } = world
  return {
    clock,
    random,
    logger: logger.child({ role: 'api' }),
    log,
    database: engines.database,
    warehouse: engines.warehouse,
    changes,
  }
}

function listen(ground: Ground, config: Config): Promise<HttpServer> {
  const { host, port, http } = config
  return openHttpServer(ground, { ...http, host, port }, startingRoutes(ground.metrics))
}

export function hasRole(config: Config, role: RoleName): boolean {
  return config.roles.includes(role)
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
