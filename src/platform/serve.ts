/**
 * Runs Rowmill: opens the ports, brings the tables up to date, runs the roles, listens. Everything is in scope
 * here and only here. What none of the roles needs is not opened.
 *
 * Files that settings name are read first. The port comes before the engines: one that is taken ends the start
 * with nothing made, and whoever asks in the meantime hears that Rowmill is alive and starting. Only the embedded
 * log is opened before, because its lock tells of another Rowmill on the same folder. Engines on other machines
 * are waited for (`startWaitMs`).
 *
 * At a stop the server takes no new request, the stages finish and settle what they have in hand, then the
 * engines stop. What is not done after `shutdownMs`, or at a second signal, is abandoned and read again at the
 * next start. A role that fails for good stops everything, and `serve` throws what it failed with.
 */
import { resolve } from 'node:path'
import { type Api, openApi } from '../api/api.ts'
import { runDeletions } from '../api/deletions/run-deletions.ts'
import { createProjectChanges } from '../api/projects/project-changes.ts'
import type { Project } from '../api/projects/projects.ts'
import { type HttpServer, openHttpServer } from '../http/http.ts'
import type { Route } from '../http/route.ts'
import { type Geoip, openGeoip } from '../ingest/geoip.ts'
import { runJobJanitor } from '../jobs/janitor.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Log } from '../ports/log.ts'
import { createStageWatch } from '../stream/stage-watch.ts'
import type { Config } from './config/config.ts'
import { openDataDir } from './data-dir.ts'
import { openBlobs } from './engines/blobs.ts'
import { openCache } from './engines/cache.ts'
import { openLog } from './engines/log.ts'
import { openEngines } from './engines.ts'
import { createGround, type Ground } from './ground.ts'
import { openJobs } from './jobs/open-jobs.ts'
import { migrateEngines, migrateOwnWarehouse } from './migrate.ts'
import { needsDataDir, needsOf, placesOf } from './needs.ts'
import { openCaptureRole } from './roles/capture-role.ts'
import { runDatasetsRole } from './roles/datasets-role.ts'
import { runIngestRole } from './roles/ingest-role.ts'
import { openStorageParts, runDeadLetters } from './roles/storage-parts.ts'
import type { RoleName } from './roles.ts'
import { writeRunFile } from './run-file.ts'
import { doubtfulCombinations } from './start/combinations.ts'
import { prepareStores } from './start/first-start.ts'
import { openPatiently } from './start/patience.ts'
import { startingRoutes, statusRoutes } from './status-routes.ts'
import { programVersion } from './version.ts'
import { databaseOf, logOf, type StopSignals, type World, warehouseOf } from './world.ts'

export type Ready = {
  url: string
  dataDir: string
  startMs: number
  project: Project | undefined
  /** Made at this start; undefined when keys were there already. */
  newApiKey: string | undefined
}

export type ServeOptions = {
  /** Gentle: no new work, what is in hand is finished. */
  signal: AbortSignal
  /** Abandons what is in hand; the engines still stop in order. */
  abort?: AbortSignal
  onReady: (ready: Ready) => void
}

export async function serve(config: Config, options: ServeOptions): Promise<void> {
  const ground = createGround(config)
  const startedAt = ground.clock.monotonic()
  const failed = new AbortController()
  const done = new AbortController()
  const overdue = new AbortController()
  const abort = AbortSignal.any([overdue.signal, ...(options.abort === undefined ? [] : [options.abort])])
  const stop = AbortSignal.any([options.signal, abort, failed.signal, done.signal])
  const signals: StopSignals = { stop, abort }
  const failures: unknown[] = []
  const watch = (role: RoleName, running: Promise<void>): Promise<void> =>
    running.catch((error: unknown) => {
      ground.logger.error({ error, role }, 'a role failed, everything stops')
      failures.push(error)
      failed.abort()
    })

  await using stack = new AsyncDisposableStack()
  const dataDir = resolve(config.dataDir)
  const { geoip, server, world } = await openParts(ground, config, { stack, signals })
  const first = await openPatiently(ground, () => prepareStores(world), {
    engine: 'all',
    startWaitMs: config.startWaitMs,
    signal: stop,
  })
  const { routes, consumer, api, jobs } = await openRoles(world, signals, stack)
  server.replaceRoutes([...statusRoutes(world, () => server.isOpen), ...routes], api?.handle)
  const { url } = server.address
  if (needsDataDir(config))
    stack.use(await writeRunFile(dataDir, { pid: process.pid, url, ...world.engines.connections }))
  const running = runRoles(world, { signals, geoip, jobs, watch })
  if (consumer !== undefined) {
    running.push(watch('consumer', consumer.run(signals)).then(() => done.abort()))
    if (!hasRole(config, 'datasets')) running.push(watch('consumer', runDeadLetters(world, signals)))
  }
  ground.logger.info({ url, roles: config.roles, version: programVersion() }, 'ready')
  options.onReady({
    url,
    dataDir,
    startMs: ground.clock.monotonic() - startedAt,
    ...first,
  })

  await untilAborted(stop)
  ground.logger.info('stopping')
  const deadline = new AbortController()
  const timer = ground.clock.sleep(config.shutdownMs, { signal: deadline.signal }).then(() => overdue.abort())
  await server.drain(abort)
  await Promise.all(running)
  deadline.abort()
  await timer
  await stack.disposeAsync()
  ground.logger.info('stopped')
  if (failures.length > 0)
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'Several roles failed.')
}

async function openRoles(world: World, signals: StopSignals, stack: AsyncDisposableStack) {
  const { config } = world
  const routes: Route[] = []
  if (hasRole(config, 'capture')) routes.push(...stack.use(await openCaptureRole(world, signals)).routes)
  const { consumer, routes: testRoutes } = await openStorageParts(world, signals, stack)
  const isAsked = hasRole(config, 'api') || consumer !== undefined
  const jobs = hasRole(config, 'api')
    ? stack.use(await openJobs({ ...world, database: databaseOf(world) }, config.jobs))
    : undefined
  const api = isAsked ? stack.use(await openApiOf(world, jobs)) : undefined
  return { routes: [...routes, ...testRoutes], consumer, api, jobs }
}

type Running = {
  signals: StopSignals
  geoip: Geoip | undefined
  jobs: Jobs | undefined
  watch: (role: RoleName, running: Promise<void>) => Promise<void>
}

function runRoles(world: World, { signals, geoip, jobs, watch }: Running): Promise<void>[] {
  const { config } = world
  const running: Promise<void>[] = []
  if (hasRole(config, 'ingest')) running.push(watch('ingest', runIngestRole(world, signals, geoip)))
  if (hasRole(config, 'datasets')) running.push(watch('datasets', runDatasetsRole(world, signals)))
  if (hasRole(config, 'datasets')) running.push(watch('datasets', runDeadLetters(world, signals)))
  if (hasRole(config, 'api'))
    running.push(watch('api', runDeletions(apiPorts(world), config.api, { signal: signals.stop })))
  if (jobs !== undefined)
    running.push(watch('api', runJobJanitor({ ...world, jobs }, { signal: signals.stop })))
  return running
}

type Opening = { stack: AsyncDisposableStack; signals: StopSignals }

/** In the order in which a start may fail: the prose above tells why. */
async function openParts(ground: Ground, config: Config, { stack, signals }: Opening) {
  const geoip = hasRole(config, 'ingest') ? await openGeoip(config.ingest.geoip) : undefined
  for (const sentence of doubtfulCombinations(config)) ground.logger.warn(sentence)
  if (needsDataDir(config)) await openDataDir(resolve(config.dataDir))
  const needs = needsOf(config)
  const openOwn = async () => stack.use(await openLog(ground, config, { signal: signals.stop }))
  const isOwnLog = placesOf(config).log === 'embedded'
  const ownLog = needs.has('log') && isOwnLog ? await openOwn() : undefined
  const server = stack.use(await listen(ground, config))
  const log = needs.has('log') && !isOwnLog ? await openOwn() : ownLog
  return { geoip, server, world: await openWorld({ ...ground, config, log }, { stack, signals }) }
}

type Begun = Ground & { config: Config; log: Log | undefined }

async function openWorld(ground: Begun, { stack, signals }: Opening): Promise<World> {
  const { config } = ground
  const needs = needsOf(config)
  const signal = signals.stop
  const engines = stack.use(
    await openEngines(
      ground,
      { ...config, dataDir: resolve(config.dataDir) },
      {
        needs,
        prepareOwnWarehouse: (warehouse) => migrateOwnWarehouse(warehouse, ground.logger),
        signal,
      },
    ),
  )
  const { database, warehouse } = engines
  // An engine may go away again between its opening and this.
  if (database !== undefined)
    await openPatiently(ground, () => migrateEngines({ database, warehouse, logger: ground.logger }), {
      engine: 'tables',
      startWaitMs: config.startWaitMs,
      signal,
    })
  const cache = needs.has('cache') ? stack.use(await openCache(ground, config, database)) : undefined
  const blobs = needs.has('blobs') ? stack.use(await openBlobs(ground, config, { signal })) : undefined
  const watch = createStageWatch(ground.clock)
  return { ...ground, engines, cache, blobs, watch, changes: createProjectChanges() }
}

/** A consumer without the role `api` can still be fed: topics are written by whoever owns the log. */
function openApiOf(world: World, jobs: Jobs | undefined): Promise<Api> {
  const scope = hasRole(world.config, 'api') ? 'all' : 'topics'
  return openApi({ ...apiPorts(world), jobs }, world.config.api, { version: programVersion(), scope })
}

function apiPorts(world: World) {
  const { clock, random, logger, changes } = world
  return {
    clock,
    random,
    logger: logger.child({ role: 'api' }),
    log: logOf(world),
    database: databaseOf(world),
    warehouse: warehouseOf(world),
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

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
