import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import { isCode } from './binaries.ts'
import { findProcess } from './processes.ts'

/** How a postmaster is asked, more and more firmly: no new work, no shutdown checkpoint, no choice. */
const requests = [
  { signal: 'SIGINT', withinMs: 10_000 },
  { signal: 'SIGQUIT', withinMs: 5_000 },
  { signal: 'SIGKILL', withinMs: 5_000 },
] as const

/**
 * Stops the postmaster that a killed Rowmill has left running on this cluster, and waits until it is gone.
 * A lock file whose process is not PostgreSQL on this cluster is removed: its number has been given to
 * another process since, and PostgreSQL itself would refuse to start because of that one.
 */
export async function stopLeftOver(
  context: { clock: Clock; logger: Logger },
  cluster: string,
  signal: AbortSignal,
): Promise<void> {
  const lockFile = join(cluster, 'postmaster.pid')
  const pid = await readPid(lockFile)
  if (pid === undefined) return
  if (!(await isPostmaster(pid, cluster))) {
    await rm(lockFile, { force: true })
    return
  }
  const { clock, logger } = context
  logger.warn({ pid }, 'A PostgreSQL that was left running is stopped.')
  for (const request of requests) {
    sendSignal(pid, request.signal)
    const deadlineMs = clock.monotonic() + request.withinMs
    while (clock.monotonic() < deadlineMs) {
      if (signal.aborted) return
      if (!(await isPostmaster(pid, cluster))) return
      await clock.sleep(10, { signal })
    }
  }
  throw new RowmillError(
    'ENGINE_FAILED',
    `The PostgreSQL with process ${pid} was left running and cannot be stopped; end it by hand.`,
  )
}

async function readPid(lockFile: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(lockFile, 'utf8'), 10)
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  const args = (await findProcess(pid))?.args ?? ''
  return args.includes('postgres') && args.includes(`-D ${cluster} `)
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!isCode(error, 'ESRCH')) throw error
  }
}
