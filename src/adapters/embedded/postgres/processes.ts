import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** What the system knows of a process: its arguments, and when it started, in a form to be compared only. */
export type ProcessFacts = { args: string; startedAt: string }

/** `undefined` when there is no such process, or it has ended and only waits to be forgotten. */
export async function findProcess(pid: number): Promise<ProcessFacts | undefined> {
  if (!isKnown(pid)) return undefined
  return process.platform === 'linux' ? await readProc(pid) : await askPs(pid)
}

function isKnown(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Another user's process may be looked at, not signalled.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function readProc(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const [args, stat] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
    ])
    // The second field, the name, is in parentheses and may hold anything; the state follows it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    return { args: args.replaceAll('\0', ' '), startedAt: fields[19] ?? '' }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined
    throw error
  }
}

async function askPs(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=,args=', '-p', String(pid)])
    const line = stdout.trim()
    return line === '' ? undefined : { args: line.slice(24), startedAt: line.slice(0, 24) }
  } catch (error) {
    // ps ends with code 1 when it finds nothing.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined
    throw error
  }
}
