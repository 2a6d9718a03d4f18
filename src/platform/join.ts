/**
 * Opens the engines for a command beside, or instead of, `serve`: joins those of the running program of the
 * same data folder, and starts them for itself when none runs. The log is opened to read only, because it
 * has one writer.
 */
import { openLogReader } from '../adapters/embedded/log/log-reader.ts'
import type { Clock } from '../ports/clock.ts'
import type { Database } from '../ports/database.ts'
import type { Log } from '../ports/log.ts'
import type { Random } from '../ports/random.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Config } from './config/config.ts'
import { assertData, openDataDir } from './data-dir.ts'
import { openEngines } from './engines.ts'
import { createGround } from './ground.ts'
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
  if (options.isNewAllowed === true) await openDataDir(config.dataDir)
  else assertData(config.dataDir)
  const ground = createGround(
    { ...config, logLevel: config.logLevel === 'info' ? 'warn' : config.logLevel },
    { isToStderr: true },
  )
  const running = readRunFile(config.dataDir)
  await using stack = new AsyncDisposableStack()
  const engines = stack.use(await openEngines(ground, config, { running }))
  const log = stack.use(await openLogReader({ directory: engines.logDirectory }))
  const owned = stack.move()
  return {
    clock: ground.clock,
    random: ground.random,
    logger: ground.logger,
    database: engines.database,
    warehouse: engines.warehouse,
    log,
    url: running?.url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
