import assert from 'node:assert/strict'
import type { ProjectChanges } from '../api/projects/project-changes.ts'
import type { Blobs } from '../ports/blobs.ts'
import type { Cache } from '../ports/cache.ts'
import type { Database } from '../ports/database.ts'
import type { Log } from '../ports/log.ts'
import type { Warehouse } from '../ports/warehouse.ts'
import type { StageWatch } from '../stream/stage-watch.ts'
import type { Config } from './config/config.ts'
import type { Engines } from './engines.ts'
import type { Ground } from './ground.ts'

/** What the roles of this process may use. What none of them needs is not there. */
export type World = Ground & {
  config: Config
  log: Log | undefined
  cache: Cache | undefined
  blobs: Blobs | undefined
  engines: Engines
  changes: ProjectChanges
  /** How the stages of this process are: for readiness. */
  watch: StageWatch
}

/** The engines that a role needs by `needs.ts`, all of them open. */
export function logOf({ log }: Pick<World, 'log'>): Log {
  assert(log !== undefined, 'a role that needs the log has it')
  return log
}

export function cacheOf({ cache }: Pick<World, 'cache'>): Cache {
  assert(cache !== undefined, 'a role that needs the cache has it')
  return cache
}

export function blobsOf({ blobs }: Pick<World, 'blobs'>): Blobs {
  assert(blobs !== undefined, 'a role that needs the blob store has it')
  return blobs
}

export function databaseOf({ engines }: Pick<World, 'engines'>): Database {
  assert(engines.database !== undefined, 'a role that needs the relational store has it')
  return engines.database
}

export function warehouseOf({ engines }: Pick<World, 'engines'>): Warehouse {
  assert(engines.warehouse !== undefined, 'a role that needs the warehouse has it')
  return engines.warehouse
}

export type StopSignals = {
  /** No new work. */
  stop: AbortSignal
  /** Abandon what is in hand. */
  abort: AbortSignal
}
