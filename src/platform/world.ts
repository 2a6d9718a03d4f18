import type { ProjectChanges } from '../api/projects/project-changes.ts'
import type { Blobs } from '../ports/blobs.ts'
import type { Cache } from '../ports/cache.ts'
import type { Log } from '../ports/log.ts'
import type { Config } from './config/config.ts'
import type { Engines } from './engines.ts'
import type { Ground } from './ground.ts'

/** What every role may use. */
export type World = Ground & {
  config: Config
  log: Log
  cache: Cache
  blobs: Blobs
  engines: Engines
  changes: ProjectChanges
}

export type StopSignals = {
  /** No new work. */
  stop: AbortSignal
  /** Abandon what is in hand. */
  abort: AbortSignal
}
