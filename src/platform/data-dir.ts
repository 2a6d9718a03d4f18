/** The folder in which the embedded engines keep everything. */
import { constants, existsSync } from 'node:fs'
import { access, chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RowmillError } from '../errors/rowmill-error.ts'
import { type PlacesConfig, placesOf } from './needs.ts'

/**
 * Makes the folder if there is none. Closed to others, but where Rowmill runs as root PostgreSQL's own user has
 * to pass through it. Fails with `DATA_DIR_UNUSABLE`.
 */
export async function openDataDir(dataDir: string): Promise<void> {
  const isRoot = process.getuid?.() === 0
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    if (isRoot) await chmod(dataDir, 0o711)
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new RowmillError(
      'DATA_DIR_UNUSABLE',
      `The data folder ${dataDir} cannot be made or written; make it writable for this user, or set dataDir (ROWMILL_DATA_DIR).`,
      { cause },
    )
  }
}

/** Whether Rowmill has ever run in the folder: a log, or on another log the relational store, is what `serve` makes first. */
export function hasData(dataDir: string): boolean {
  return ['log', 'postgres', 'clickhouse'].some((name) => existsSync(join(dataDir, name)))
}

/** Whether there is something to look at: data in the folder, or engines elsewhere that hold all of it. */
export function canJoin(config: PlacesConfig & { dataDir: string }): boolean {
  const { log, database, warehouse } = placesOf(config)
  return [log, database, warehouse].every((place) => place === 'outside') || hasData(config.dataDir)
}

/** Keeps a command that only looks from making engines in a folder that was named by mistake. */
export function assertData(config: PlacesConfig & { dataDir: string }): void {
  if (canJoin(config)) return
  throw new RowmillError(
    'DATA_DIR_UNUSABLE',
    `There is no data of Rowmill in ${config.dataDir}. Start "rowmill serve" there first, or name the folder with --data-dir (ROWMILL_DATA_DIR); for a fleet set KAFKA_HOSTS, DATABASE_URL and CLICKHOUSE_HOST as its processes have them.`,
  )
}
