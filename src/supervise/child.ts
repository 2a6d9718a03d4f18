import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { LineLog } from './line-log.ts'

export type SupervisedCommand = {
  command: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
  uid?: number
  gid?: number
  cwd?: string
  /** Opens a channel for `child.send` and messages. */
  ipc?: boolean
}

/** How a child is asked to stop; after `graceMs` it is killed. */
export type StopRequest = ({ signal: NodeJS.Signals } | { message: Readonly<Record<string, unknown>> }) & {
  graceMs: number
}

export type Exit = { code: number | null; signal: NodeJS.Signals | null; error?: Error }

export interface RunningChild {
  process: ChildProcess
  /** Resolves when the child has ended, or could not be started; its output has been read by then. */
  exited: Promise<Exit>
  /** Asks the child to stop, kills it when it does not, and resolves when it is gone. */
  stop(request: StopRequest): Promise<void>
}

/** How long output may still come after the end: a grandchild can hold the pipe open for ever. */
const outputGraceMs = 250

/** Starts a process that leads its own group, with its output going to `lines`. */
export function startChild(
  context: { clock: Clock; logger: Logger },
  command: SupervisedCommand,
  lines: LineLog,
): RunningChild {
  const child = spawn(command.command, [...command.args], {
    env: { ...command.env },
    stdio: command.ipc === true ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  })
  if (child.stdout !== null) lines.read(child.stdout)
  if (child.stderr !== null) lines.read(child.stderr)
  const exited = exitOf(context, child)
  return { process: child, exited, stop: (request) => stopChild(context, { child, exited, request }) }
}

function exitOf(context: { clock: Clock; logger: Logger }, child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    const closed = new AbortController()
    child.once('close', () => closed.abort())
    child.once('exit', async (code, signal) => {
      await context.clock.sleep(outputGraceMs, { signal: closed.signal })
      resolve({ code, signal })
    })
    child.on('error', (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, error })
      else context.logger.warn({ error, pid: child.pid }, 'A child process could not be spoken to.')
    })
  })
}

async function stopChild(
  context: { clock: Clock; logger: Logger },
  stop: { child: ChildProcess; exited: Promise<Exit>; request: StopRequest },
): Promise<void> {
  const { child, exited, request } = stop
  const { clock, logger } = context
  const isGone = async (withinMs: number): Promise<boolean> => {
    const over = new AbortController()
    const late = clock.sleep(withinMs, { signal: over.signal }).then(() => false)
    const gone = await Promise.race([exited.then(() => true), late])
    over.abort()
    return gone
  }
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    await exited
    return
  }
  if ('signal' in request) child.kill(request.signal)
  else if (child.connected) child.send(request.message)
  else child.kill('SIGTERM')
  if (await isGone(request.graceMs)) return
  logger.warn({ pid: child.pid, graceMs: request.graceMs }, 'A child process did not stop and is killed.')
  child.kill('SIGKILL')
  if (await isGone(request.graceMs)) return
  logger.error({ pid: child.pid }, 'A child process is still there after being killed.')
}
