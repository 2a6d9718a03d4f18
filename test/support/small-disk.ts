/** A small file system in memory that can be filled, for tests of what happens then. */
import { execFile } from 'node:child_process'
import { appendFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Mounts it at `path`. `undefined` where this user may not: it takes root on Linux. */
export async function openSmallDisk(path: string, megabytes: number): Promise<AsyncDisposable | undefined> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path])
  } catch {
    return undefined
  }
  return { [Symbol.asyncDispose]: async () => void (await run('umount', ['-l', path])) }
}

/** Takes what room is left. */
export async function fill(path: string): Promise<void> {
  for (const size of [65_536, 512])
    for (let isFull = false; !isFull; )
      await appendFile(path, Buffer.alloc(size)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error
        isFull = true
      })
}
