/** The folder in which the embedded engines keep everything. */
import { constants, existsSync } from 'node:fs'
import { access, chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RowmillError } from '../errors/rowmill-error.ts'

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

/** Whether Rowmill has ever run in the folder: a log is the first thing that `serve` makes. */
export function hasData(dataDir: string): boolean {
  return existsSync(join(dataDir, 'log'))
}

/** Keeps a command that only looks from making engines in a folder that was named by mistake. */
export function assertData(dataDir: string): void {
  if (hasData(dataDir)) return
  throw new RowmillError(
    'DATA_DIR_UNUSABLE',
    `There is no data of Rowmill in ${dataDir}. Start "rowmill serve" there first, or name the folder with --data-dir (ROWMILL_DATA_DIR).`,
  )
}
