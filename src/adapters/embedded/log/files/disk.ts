/**
 * What the log asks of the file system, on plain file descriptors. A seam: the tests of write errors hand
 * in a disk that fails.
 */
import * as fs from 'node:fs'
import { promisify } from 'node:util'

export interface Disk {
  open(path: string, flags: string): Promise<number>
  close(fd: number): Promise<void>
  /** Reads up to `into.length` bytes; fewer only at the end of the file. */
  read(fd: number, into: Buffer, position: number): Promise<number>
  /** Writes all of `bytes`. */
  write(fd: number, bytes: Buffer, position: number): Promise<void>
  /** Data and the size of the file are durable when it resolves. */
  sync(fd: number): Promise<void>
  truncate(fd: number, size: number): Promise<void>
  size(fd: number): Promise<number>
  rename(from: string, to: string): Promise<void>
  /** A file that is not there is fine. */
  remove(path: string): Promise<void>
  list(directory: string): Promise<string[]>
  makeDirectory(directory: string): Promise<void>
  /** What the file system of `directory` has in all, and for this user. */
  room(directory: string): Promise<{ freeBytes: number; totalBytes: number }>
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(directory: string): Promise<void>
}

const open = promisify(fs.open)
const close = promisify(fs.close)
const sync = promisify(fs.fdatasync)

export const nodeDisk: Disk = {
  open: (path, flags) => open(path, flags),
  close: (fd) => close(fd),
  async read(fd, into, position) {
    let total = 0
    while (total < into.length) {
      const count = await readOnce(fd, total === 0 ? into : into.subarray(total), position + total)
      if (count === 0) break
      total += count
    }
    return total
  },
  async write(fd, bytes, position) {
    let total = 0
    while (total < bytes.length)
      total += await writeOnce(fd, total === 0 ? bytes : bytes.subarray(total), position + total)
  },
  sync: (fd) => sync(fd),
  truncate: (fd, size) => promisify(fs.ftruncate)(fd, size),
  size: async (fd) => (await promisify(fs.fstat)(fd)).size,
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.rm(path, { force: true }),
  list: (directory) => fs.promises.readdir(directory),
  async makeDirectory(directory) {
    await fs.promises.mkdir(directory, { recursive: true })
  },
  async room(directory) {
    const { bavail, blocks, bsize } = await fs.promises.statfs(directory)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
  async syncDirectory(directory) {
    const fd = await open(directory, 'r')
    try {
      await sync(fd)
    } finally {
      await close(fd)
    }
  },
}

function readOnce(fd: number, into: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, 0, into.length, position, (error, count) => {
      if (error === null) resolve(count)
      else reject(error)
    })
  })
}

function writeOnce(fd: number, bytes: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, 0, bytes.length, position, (error, count) => {
      if (error === null) resolve(count)
      else reject(error)
    })
  })
}

/** The system's code of a failed call: `ENOENT`, `ENOSPC`, … */
export function diskErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether the disk, or this user's share of it, is used up. */
export function isDiskFullError(error: unknown): boolean {
  const code = diskErrorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}
