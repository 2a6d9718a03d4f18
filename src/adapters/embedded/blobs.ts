/**
 * The Blobs port in a folder.
 *
 * An object is written beside, made durable, and renamed into its place, whose folder is made durable too; so
 * readers and crashes see whole objects. Symbolic links are not followed: the folder may not lead out of
 * itself. What a killed process left half-written is removed when the folder is opened next.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { type Blobs, checkBlobKey } from '../../ports/blobs.ts'
import type { Random } from '../../ports/random.ts'
import { keyOfName, pathOfKey } from './blobs/blob-paths.ts'

const unfinishedFolder = '~unfinished'

/** Fails with `BLOBS_UNAVAILABLE` when the folder cannot be made or written. */
export async function openEmbeddedBlobs(options: { directory: string; random: Random }): Promise<Blobs> {
  const { random } = options
  return await reported('opened', async () => {
    await mkdir(join(options.directory, unfinishedFolder), { recursive: true, mode: 0o700 })
    const root = await realpath(options.directory)
    await removeUnfinished(join(root, unfinishedFolder))
    await syncFolder(root)
    return createBlobs(root, random)
  })
}

function createBlobs(root: string, random: Random): Blobs {
  let isClosed = false
  const run = <T>(what: string, call: () => Promise<T>): Promise<T> => {
    if (isClosed) throw new RowmillError('BLOBS_UNAVAILABLE', 'The blob store has been closed.')
    return reported(what, call)
  }
  return {
    async put(key, bytes) {
      const path = join(root, pathOfKey(key))
      const draft = join(root, unfinishedFolder, `${process.pid}-${random.bytes(12).toString('hex')}`)
      await run('written', () => writeWhole({ root, path, draft, bytes }))
    },
    async get(key) {
      const path = join(root, pathOfKey(key))
      return await run('read', () => readWhole(root, path))
    },
    async delete(key) {
      const path = join(root, pathOfKey(key))
      return await run('deleted', async () => {
        if (!(await isInside(root, dirname(path)))) return false
        const isThere = await orMissing(unlink(path).then(() => true))
        if (isThere === true) await syncFolder(dirname(path))
        return isThere ?? false
      })
    },
    async presign(key) {
      checkBlobKey(key)
      return undefined
    },
    list: (prefix, listing = {}) => listKeys(run, { root, prefix, ...listing }),
    async [Symbol.asyncDispose]() {
      isClosed = true
    },
  }
}

async function writeWhole(write: {
  root: string
  path: string
  draft: string
  bytes: Buffer
}): Promise<void> {
  const { root, path, draft, bytes } = write
  const folder = dirname(path)
  const firstMade = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (!(await isInside(root, folder))) throw new Error(`${folder} leads out of the folder of blobs.`)
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncFolder(folder)
  // A new folder is durable only when the one that holds it is.
  for (let made = folder; firstMade !== undefined && made.length >= firstMade.length; made = dirname(made))
    await syncFolder(dirname(made))
}

async function readWhole(root: string, path: string): Promise<Buffer | undefined> {
  if (!(await isInside(root, dirname(path)))) return undefined
  const file = await orMissing(open(path, constants.O_RDONLY | constants.O_NOFOLLOW))
  if (file === undefined) return undefined
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** False when the folder does not exist or a symbolic link lies on the way to it. */
async function isInside(root: string, folder: string): Promise<boolean> {
  const real = await orMissing(realpath(folder))
  return real === folder && (folder === root || folder.startsWith(`${root}/`))
}

type Listing = { root: string; prefix: string; signal?: AbortSignal }
type Found = { key: string; bytes: number }
type Run = <T>(what: string, call: () => Promise<T>) => Promise<T>

async function* listKeys(run: Run, listing: Listing): AsyncGenerator<Found, void, undefined> {
  yield* walkFolder(run, listing, { folder: listing.root, base: '' })
}

/** Keys of a folder in byte order. Only folders on the way to the prefix, or below it, are read. */
async function* walkFolder(
  run: Run,
  listing: Listing,
  place: { folder: string; base: string },
): AsyncGenerator<Found, void, undefined> {
  const { prefix, signal } = listing
  const names = (await run('listed', () => orMissing(readdir(place.folder, { withFileTypes: true })))) ?? []
  const found = names.flatMap((name) => {
    const part = name.isSymbolicLink() ? undefined : keyOfName(name.name)
    if (part === undefined || name.isDirectory() !== (part.kind === 'folder')) return []
    const key = place.base + part.text
    const isWanted = key.startsWith(prefix) || (part.kind === 'folder' && prefix.startsWith(key))
    return isWanted ? [{ ...part, key, path: join(place.folder, name.name) }] : []
  })
  found.sort((left, right) => compareKeys(left.key, right.key))
  // Keys that go on from a cut segment mix with those of other names, so they are sorted together.
  const isCut = found.some((entry) => entry.kind === 'folder' && !entry.key.endsWith('/'))
  const mixed: Found[] = []
  for (const entry of found) {
    if (signal?.aborted === true) return
    const inner =
      entry.kind === 'folder'
        ? walkFolder(run, listing, { folder: entry.path, base: entry.key })
        : sized(run, entry)
    for await (const item of inner) {
      if (isCut) mixed.push(item)
      else yield item
    }
  }
  yield* mixed.sort((left, right) => compareKeys(left.key, right.key))
}

async function* sized(
  run: Run,
  entry: { key: string; path: string },
): AsyncGenerator<Found, void, undefined> {
  const facts = await run('listed', () => orMissing(stat(entry.path)))
  if (facts !== undefined) yield { key: entry.key, bytes: facts.size }
}

/** Keys are ASCII, where the order of code units is the order of bytes. */
function compareKeys(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number.parseInt(name, 10)
    if (pid === process.pid || isRunning(pid)) continue
    await rm(join(folder, name), { force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function orMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error))) return undefined
    throw error
  }
}

/** Failures of the file system as `BLOBS_UNAVAILABLE`. */
async function reported<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (cause instanceof RowmillError) throw cause
    const reason = codeOf(cause) === 'ENOSPC' ? ': the disk is full' : ''
    throw new RowmillError('BLOBS_UNAVAILABLE', `A blob could not be ${what}${reason}.`, { cause })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
