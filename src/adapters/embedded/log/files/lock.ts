/**
 * One process at a time owns a log directory. The lock is a file that names its owner by pid, start time
 * and boot, so that the lock of a killed process is recognised and taken over, and a pid that was given to
 * another program since does not count as the owner. Processes in different pid namespaces (two containers
 * on one volume) cannot see each other: do not share a directory between them.
 */
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { RowmillError } from '../../../../errors/rowmill-error.ts'
import { diskErrorCode } from './disk.ts'

type Owner = { pid: number; startedTicks: string; bootId: string }

const attemptsMax = 5

/** Fails with `LOG_LOCKED` if a living process has the directory. */
export async function openLock(directory: string): Promise<AsyncDisposable> {
  const path = join(directory, 'lock')
  const mine = JSON.stringify(await describeProcess(process.pid))
  const draft = `${path}.${process.pid}`
  await fs.writeFile(draft, mine)
  try {
    for (let attempt = 1; ; attempt++) {
      if (await tryLink(draft, path)) break
      const held = await readOrEmpty(path)
      const owner = parseOwner(held)
      if ((owner !== undefined && (await isAlive(owner))) || attempt === attemptsMax)
        throw new RowmillError(
          'LOG_LOCKED',
          `${directory} is open in process ${owner?.pid ?? 'unknown'}; stop that one, or use another data directory.`,
          { details: { directory, pid: owner?.pid } },
        )
      await moveStaleAway(path, held)
    }
  } finally {
    await fs.rm(draft, { force: true })
  }
  let isHeld = true
  return {
    async [Symbol.asyncDispose]() {
      if (!isHeld) return
      isHeld = false
      if ((await readOrEmpty(path)) === mine) await fs.rm(path, { force: true })
    },
  }
}

async function tryLink(draft: string, path: string): Promise<boolean> {
  try {
    await fs.link(draft, path)
    return true
  } catch (error) {
    if (diskErrorCode(error) === 'EEXIST') return false
    throw new RowmillError('LOG_UNAVAILABLE', `The lock ${path} could not be made.`, { cause: error })
  }
}

/** Another process may have taken the stale lock over meanwhile: then what was moved is put back. */
async function moveStaleAway(path: string, stale: string): Promise<void> {
  const aside = `${path}.stale.${process.pid}`
  try {
    await fs.rename(path, aside)
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return
    throw error
  }
  if ((await readOrEmpty(aside)) !== stale) await tryLink(aside, path)
  await fs.rm(aside, { force: true })
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return ''
    throw error
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner: Owner = JSON.parse(text)
    return typeof owner.pid === 'number' ? owner : undefined
  } catch (error) {
    // A lock that was cut off by a power loss names nobody.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if (diskErrorCode(error) === 'ESRCH') return false
    if (diskErrorCode(error) !== 'EPERM') throw error
  }
  const now = await describeProcess(owner.pid)
  return now.startedTicks === owner.startedTicks && now.bootId === owner.bootId
}

/** Start time and boot come from /proc; where there is none, the pid alone decides. */
async function describeProcess(pid: number): Promise<Owner> {
  const stat = await readOrEmpty(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const bootId = (await readOrEmpty('/proc/sys/kernel/random/boot_id')).trim()
  return { pid, startedTicks: fields[19] ?? '', bootId }
}
