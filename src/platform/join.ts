/**
 * Opens the engines for a command beside, or instead of, `serve`: those that the config names, else those of the
 * running program of the same data folder; it starts them for itself when none runs. The embedded log is opened to
 * read only, because it has one writer; Kafka has many.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { openLogReader } from '../adapters/embedded/log/log-reader.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import type { Log } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Config } from './config/config.ts'
import { assertData, canJoin, openDataDir } from './data-dir.ts'
import { openLog } from './engines/log.ts'
import { openEngines } from './engines.ts'
import { createGround, type Ground } from './ground.ts'
import { type EngineName, placesOf } from './needs.ts'
import { readRunFile } from './run-file.ts'

/** What reads the log without owning it. */
export type LogView = Pick<Log, 'describe' | 'positions' | 'read' | 'scan' | 'offsetAt'> & AsyncDisposable

export type JoinedEngines = AsyncDisposable & {
  clock: Clock
  random: Random
  logger: Logger
  database: Database
  warehouse: Warehouse
  log: LogView
  /** Address of the running program, if one runs. */
  url: string | undefined
}

/**
 * A folder in which Rowmill has never run is refused with `DATA_DIR_UNUSABLE`, unless `isNewAllowed`: then it
 * is made.
 */
export async function joinEngines(
  config: Config,
  options: { isNewAllowed?: boolean } = {},
): Promise<JoinedEngines> {
  if (options.isNewAllowed !== true) assertData(config)
  else if (!canJoin(config)) await openDataDir(config.dataDir)
  const ground = createGround(
    { ...config, logLevel: config.logLevel === 'info' ? 'warn' : config.logLevel },
    { isToStderr: true },
  )
  const running = readRunFile(config.dataDir)
  await using stack = new AsyncDisposableStack()
  const needs = new Set<EngineName>(['database', 'warehouse'])
  const engines = stack.use(await openEngines(ground, { ...config, startWaitMs: 0 }, { needs, running }))
  const { database, warehouse } = engines
  assert(database !== undefined && warehouse !== undefined, 'what was asked for is open')
  const log = stack.use(await openLogView(ground, config))
  const owned = stack.move()
  return {
    clock: ground.clock,
    random: ground.random,
    logger: ground.logger,
    database,
    warehouse,
    log,
    url: running?.url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Without waiting for what is away: whoever gave the command wants to know. */
export async function openLogView(ground: Ground, config: Config): Promise<LogView> {
  if (placesOf(config).log === 'outside') return await openLog(ground, { ...config, startWaitMs: 0 })
  return await openLogReader({ directory: join(config.dataDir, 'log') })
}
