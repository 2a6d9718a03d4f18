import { link, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Random } from '../../../ports/random.ts'
import { isCode } from './binaries.ts'
import { findProcess } from './processes.ts'

const claim = z.object({ pid: z.number().int(), startedAt: z.string(), id: z.string() })
type Claim = z.infer<typeof claim>

/** That this process, and no other that lives, runs the PostgreSQL of a folder. */
export interface Ownership extends AsyncDisposable {
  /** Fails with `ENGINE_FAILED` when another process has taken the folder over. */
  check(): Promise<void>
}

/**
 * Claims the folder by a file that names this process. The claim of a process that is gone, as after a
 * kill -9, is taken over. Fails with `ENGINE_FAILED` while the claimant lives.
 */
export async function openOwnership(context: { random: Random }, directory: string): Promise<Ownership> {
  const path = join(directory, 'owner.json')
  const self = await findProcess(process.pid)
  const mine: Claim = {
    pid: process.pid,
    startedAt: self?.startedAt ?? '',
    id: context.random.bytes(16).toString('hex'),
  }
  const draft = `${path}.${mine.id}`
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 })
  try {
    while (!(await isLinked(draft, path))) {
      const other = await readClaim(path)
      if (other === undefined) continue
      const claimant = await findProcess(other.pid)
      if (claimant?.startedAt === other.startedAt) throw inUse(directory, other.pid)
      await rm(path, { force: true })
    }
  } finally {
    await unlink(draft)
  }
  return {
    async check() {
      const now = await readClaim(path)
      if (now?.id !== mine.id) throw inUse(directory, now?.pid)
    },
    async [Symbol.asyncDispose]() {
      if ((await readClaim(path))?.id === mine.id) await rm(path, { force: true })
    },
  }
}

async function isLinked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

async function readClaim(path: string): Promise<Claim | undefined> {
  try {
    return claim.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function inUse(directory: string, pid: number | undefined): RowmillError {
  return new RowmillError(
    'ENGINE_FAILED',
    `The folder ${directory} is in use by the process ${pid ?? 'unknown'}; stop that Rowmill, or set ROWMILL_DATA_DIR to another folder.`,
  )
}
