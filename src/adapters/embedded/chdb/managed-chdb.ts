/**
 * A real ClickHouse (chDB) that Rowmill runs and watches, for those who have none.
 *
 * What holds:
 * - It speaks ClickHouse's HTTP interface on loopback, at one address for as long as it is open, also across
 *   restarts of the host, behind a random password.
 * - What was acknowledged survives a kill of the host; after it the host is started again on the same folder.
 * - When Rowmill dies the host ends by itself, and the next start waits for the folder to be free.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { getCompileCacheDir } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import { openSupervised, type SuperviseContext, type SupervisedState } from '../../../supervise/supervise.ts'
import type { ChdbConfig } from './config.ts'
import { type OpenMessage, replySchema, reportMark } from './host.ts'
import { type Watched, watchHost } from './watch.ts'

export interface ManagedChdb extends AsyncDisposable {
  readonly url: string
  readonly user: string
  readonly password: string
  readonly database: string
  /** ClickHouse's version, like `26.7.2.1`. */
  readonly version: string
  readonly state: SupervisedState
  /** The host that runs now. */
  readonly pid: number | undefined
  /** Waits until it accepts requests. Fails with `ENGINE_FAILED` when it never will. */
  ready(signal?: AbortSignal): Promise<void>
}

export type ManagedChdbConfig = ChdbConfig & { directory: string; database?: string }

const user = 'rowmill'
const restartDelays = { delayMs: 50, delayMaxMs: 2000 }
/** Threads of the runtime beside those that queries hold: files, compression, and the engine's KILL. */
const spareThreads = 12
const hostPath = fileURLToPath(new URL('./host.ts', import.meta.url))

/** Starts the host and resolves when it accepts requests. Fails with `ENGINE_FAILED`. */
export async function openManagedChdb(
  context: SuperviseContext,
  config: ManagedChdbConfig,
  options: { signal?: AbortSignal } = {},
): Promise<ManagedChdb> {
  const { directory, database = 'rowmill', ...hostConfig } = config
  const folder = resolve(directory)
  if (/[*?{}]/.test(folder))
    throw new RowmillError('ENGINE_FAILED', `The folder ${folder} may not have any of * ? { } in its path.`)
  const password = context.random.bytes(24).toString('hex')
  const threads = hostConfig.queriesMax + spareThreads + availableParallelism()
  let { port } = hostConfig
  const supervised = await openSupervised(
    context,
    {
      name: 'clickhouse',
      start: () => ({
        command: process.execPath,
        args: [hostPath],
        env: { TZ: 'UTC', UV_THREADPOOL_SIZE: String(threads), ...compileCache() },
        ipc: true,
      }),
      waitReady: async (child, signal) => {
        const parsed = { ...hostConfig, port }
        const ready = await askToOpen(
          child,
          { kind: 'open', directory: folder, database, user, password, config: parsed },
          signal,
        )
        port = ready.port
        return ready
      },
      readyWithinMs: hostConfig.readyWithinMs,
      stop: {
        message: { kind: 'stop', graceMs: hostConfig.stopGraceMs },
        graceMs: hostConfig.stopGraceMs * 2,
      },
      restart: { ...restartDelays, attemptsMax: hostConfig.startsMax, windowMs: hostConfig.startsWindowMs },
      lineLevel,
    },
    options,
  )
  const version = (await supervised.ready()).version
  const url = `http://127.0.0.1:${port}`
  const watch = startWatch(context, { url, host: supervised, config: hostConfig })
  return {
    url,
    user,
    password,
    database,
    version,
    get state() {
      return supervised.state
    },
    get pid() {
      return supervised.pid
    },
    async ready(signal) {
      await supervised.ready(signal)
    },
    async [Symbol.asyncDispose]() {
      await watch[Symbol.asyncDispose]()
      await supervised[Symbol.asyncDispose]()
    },
  }
}

type Watch = { url: string; host: Watched; config: Parameters<typeof watchHost>[1] }

function startWatch(context: SuperviseContext, { url, host, config }: Watch): AsyncDisposable {
  const closing = new AbortController()
  const ask = async (signal: AbortSignal): Promise<void> => {
    const answer = await fetch(`${url}/ping`, { signal })
    await answer.arrayBuffer()
  }
  const watching = watchHost({ clock: context.clock, host, ask }, config, { signal: closing.signal })
  return {
    async [Symbol.asyncDispose]() {
      closing.abort()
      await watching
    },
  }
}

/** The host loads its code from the same cache as this process, if that has one. */
function compileCache(): Record<string, string> {
  const directory = getCompileCacheDir()
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) }
}

function lineLevel(line: string): 'info' | 'warn' | undefined {
  if (line.startsWith(reportMark)) return 'warn'
  return line.includes('Warning') ? undefined : 'info'
}

async function askToOpen(
  child: ChildProcess,
  message: OpenMessage,
  signal: AbortSignal,
): Promise<{ port: number; version: string }> {
  const replied = once(child, 'message', { signal })
  child.send(message)
  const [reply] = await replied
  const parsed = replySchema.parse(reply)
  if (parsed.kind === 'ready') return parsed
  throw new RowmillError(
    'ENGINE_FAILED',
    `The embedded ClickHouse cannot open ${message.directory}: ${parsed.message}`,
  )
}
