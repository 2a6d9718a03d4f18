import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Random } from '../../../ports/random.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import { type Binaries, isCode } from './binaries.ts'
import { findClosedFolder, type Owner } from './owner.ts'

/** The files of one PostgreSQL: `data` is PostgreSQL's own, `socket` holds its socket, `password` its password. */
export type Cluster = { directory: string; data: string; socket: string; password: string }

export const superuser = 'rowmill'
const initTimeoutMs = 120_000

/** Makes the folders, for nobody but PostgreSQL's user. Fails with `ENGINE_FAILED` when that user cannot reach them. */
export async function openFolders(directory: string, owner: Owner | undefined): Promise<void> {
  for (const folder of [directory, join(directory, 'socket')]) {
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o700)
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
  }
  const closed = owner === undefined ? undefined : await findClosedFolder(directory, owner)
  if (closed !== undefined)
    throw new RowmillError(
      'ENGINE_FAILED',
      `PostgreSQL does not run as root, and its user ${owner?.uid} may not enter ${closed}; run Rowmill as an ordinary user, allow others to pass (chmod o+x ${closed}), or set ROWMILL_DATA_DIR to a folder elsewhere.`,
    )
}

/**
 * The cluster of a folder, made when there is none: UTF-8, ordered by code point, checksums on, so that it
 * behaves alike on every machine. One that was begun and not finished is begun again. Fails with
 * `ENGINE_FAILED` when the data belongs to another major version.
 */
export async function openCluster(
  context: { random: Random; logger: Logger },
  options: { directory: string; binaries: Binaries; owner: Owner | undefined },
): Promise<Cluster> {
  const { directory, binaries } = options
  const data = join(directory, 'data')
  const found = await readOptional(join(data, 'PG_VERSION'))
  if (found === undefined) await initialise(context, { ...options, data })
  const major = binaries.version.split('.')[0]
  if (found !== undefined && found !== major)
    throw new RowmillError(
      'ENGINE_FAILED',
      `The data in ${data} was written by PostgreSQL ${found}, this Rowmill brings ${major}; move it with pg_dumpall or pg_upgrade of your system, or use the Rowmill that wrote it.`,
    )
  const password = (await readOptional(join(directory, 'password'))) ?? ''
  return { directory, data, socket: join(directory, 'socket'), password }
}

async function initialise(
  context: { random: Random; logger: Logger },
  options: { directory: string; data: string; binaries: Binaries; owner: Owner | undefined },
): Promise<void> {
  const { directory, data, binaries, owner } = options
  context.logger.info({ directory: data }, 'A PostgreSQL cluster is made.')
  const unfinished = join(directory, 'data.unfinished')
  const passwordFile = join(directory, 'password')
  await rm(unfinished, { recursive: true, force: true })
  await writeFile(passwordFile, context.random.bytes(24).toString('hex'), { mode: 0o600 })
  if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid)
  const args = [
    `--pgdata=${unfinished}`,
    `--username=${superuser}`,
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--auth-local=trust',
    '--auth-host=scram-sha-256',
    '--no-instructions',
  ]
  try {
    await promisify(execFile)(binaries.initdb, args, {
      env: { TZ: 'UTC', LC_ALL: 'C' },
      cwd: directory,
      timeout: initTimeoutMs,
      ...owner,
    })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new RowmillError('ENGINE_FAILED', `PostgreSQL's data folder ${data} could not be made: ${said}`, {
      cause: error,
    })
  }
  await rename(unfinished, data)
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}
