/**
 * The child process in which the embedded ClickHouse lives: the chDB engine behind ClickHouse's HTTP
 * interface. Its parent sends what to open, hears on which port it listens, and asks it to stop. When the
 * parent is gone the channel closes and the host ends at once, so that the next start finds the folder free.
 *
 * It leaves by `exit` only when the engine is closed: while it is open, the engine's clean-up at the end of the
 * process crashes or hangs, and hides what went wrong. Otherwise it kills itself, which loses nothing acknowledged.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { z } from 'zod'
import { createSystemClock } from '../clock.ts'
import { chdbConfigSchema } from './config.ts'
import { openDiskWatch, roomOf } from './disk/disk-watch.ts'
import { describeBrokenParts, forgetLostInserts } from './disk/lost-inserts.ts'
import { type Engine, openEngine, quoteIdentifier } from './engine.ts'
import { openFifoPool } from './fifo.ts'
import { createGate } from './gate.ts'
import { type HostServer, openServer } from './http/server.ts'
import { createSessions } from './http/sessions.ts'

export const openMessageSchema = z.strictObject({
  kind: z.literal('open'),
  directory: z.string(),
  database: z.string(),
  user: z.string(),
  password: z.string(),
  config: chdbConfigSchema,
})
export type OpenMessage = z.infer<typeof openMessageSchema>

export const replySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), port: z.number(), version: z.string() }),
  z.strictObject({ kind: z.literal('failed'), message: z.string() }),
])
export type HostReply = z.infer<typeof replySchema>

const stopSchema = z.strictObject({ kind: z.literal('stop'), graceMs: z.number() })
const lockPollMs = 50
/** Marks the host's own lines among the engine's. */
export const reportMark = 'rowmill: '

if (import.meta.main) runHost()

function runHost(): void {
  let host: Promise<Host> | undefined
  process.once('disconnect', killSelf)
  process.on('uncaughtException', (error) => {
    // Pipes are written at once, so the parent has it before the end.
    process.stderr.write(`${inspect(error)}\n`)
    killSelf()
  })
  // Ctrl-C on a terminal is the parent's to handle.
  process.on('SIGINT', () => undefined)
  process.on('message', (message) => {
    const stop = stopSchema.safeParse(message)
    if (stop.success) void stopHost(host, stop.data.graceMs)
    else host ??= openHost(openMessageSchema.parse(message)).then(sayReady, sayFailed)
  })
}

function killSelf(): void {
  process.kill(process.pid, 'SIGKILL')
}

type Host = { server: HostServer; engine: Engine; version: string; [Symbol.asyncDispose](): Promise<void> }

async function sayReady(host: Host): Promise<Host> {
  await send({ kind: 'ready', port: host.server.port, version: host.version })
  return host
}

async function sayFailed(error: unknown): Promise<never> {
  await send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  return process.exit(1)
}

/** Resolves when the parent has it, so that the process may end. */
function send(reply: HostReply): Promise<void> {
  return new Promise((resolve) => process.send?.(reply, () => resolve()))
}

/** Waits for the running queries, ends those that take longer than `graceMs`, and leaves. */
async function stopHost(host: Promise<Host> | undefined, graceMs: number): Promise<void> {
  const opened = await host
  if (opened !== undefined) {
    const late = new AbortController()
    const killing = createSystemClock()
      .sleep(graceMs, { signal: late.signal })
      .then(async () => {
        if (late.signal.aborted) return
        await using connection = opened.engine.connect()
        await connection.read("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC")
      })
    await opened[Symbol.asyncDispose]()
    late.abort()
    await killing
  }
  process.exit(0)
}

async function openHost(message: OpenMessage): Promise<Host> {
  const { config, directory } = message
  await using stack = new AsyncDisposableStack()
  const clock = createSystemClock()
  const spoolDirectory = join(directory, 'spool')
  const engine = stack.use(await openEngineInTurn(message))
  // Only the owner of the engine's folder may empty the spool.
  await rm(spoolDirectory, { recursive: true, force: true })
  await mkdir(spoolDirectory, { recursive: true, mode: 0o700 })
  const facts = await prepareEngine(engine, message)
  const disk = stack.use(
    await openDiskWatch({ engine, clock, room: () => roomOf(directory), report, end: killSelf }, config),
  )
  const sessions = stack.use(
    createSessions(
      { engine, clock },
      {
        database: message.database,
        sessionsMax: config.sessionsMax,
        settings: {
          max_memory_usage: String(config.queryMemoryBytesMax),
          max_execution_time: String(config.queryTimeMaxSeconds),
        },
      },
    ),
  )
  const server = stack.use(
    await openServer(
      {
        engine,
        disk,
        sessions,
        gate: createGate({ runningMax: config.queriesMax, waitingMax: config.queueMax }),
        fifos: await openFifoPool({ directory: spoolDirectory, count: config.queriesMax }),
        spoolDirectory,
        tableFunctions: facts.tableFunctions,
        answer: { version: facts.version, timezone: facts.timezone, clock, stallMs: config.clientStallMs },
        queryBytesMax: config.queryBytesMax,
        bodyBytesMax: config.bodyBytesMax,
        answerBufferBytes: config.answerBufferBytes,
        running: new Set(),
      },
      {
        port: config.port,
        credentials: { user: message.user, password: message.password },
        format: 'TabSeparated',
      },
    ),
  )
  const owned = stack.move()
  return { server, engine, version: facts.version, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** A host whose parent was killed may hold the folder for a moment longer. */
async function openEngineInTurn(message: OpenMessage): Promise<Engine> {
  const { config } = message
  const directory = join(message.directory, 'data')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const connectionArgs = [
    `--config-file=${await writeConfig(message)}`,
    `--max_server_memory_usage=${config.memoryBytesMax}`,
    `--mark_cache_size=${config.markCacheBytes}`,
    `--background_pool_size=${config.mergeThreads}`,
  ]
  const clock = createSystemClock()
  const startedAtMs = clock.monotonic()
  for (;;) {
    try {
      return openEngine({ directory, connectionArgs })
    } catch (error) {
      if (clock.monotonic() - startedAtMs >= config.lockWaitMs) throw error
      await clock.sleep(lockPollMs)
    }
  }
}

/** What the engine takes from a file alone. chDB's own defaults delete the sources of a merge at once. */
async function writeConfig({ directory, config }: OpenMessage): Promise<string> {
  const path = join(directory, 'config.xml')
  const lifetime = `<old_parts_lifetime>${config.oldPartsLifetimeSeconds}</old_parts_lifetime>`
  const text = `<clickhouse><merge_tree>${lifetime}</merge_tree></clickhouse>\n`
  // A full disk has no room to write again what is there already.
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === text) return path
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return path
}

/** Says it to the parent, which logs it as a warning. Pipes are written at once. */
function report(line: string): void {
  process.stderr.write(`${reportMark}${line}\n`)
}

async function prepareEngine(
  engine: Engine,
  message: OpenMessage,
): Promise<{ version: string; timezone: string; tableFunctions: Set<string> }> {
  await using connection = engine.connect()
  const names = async (sql: string): Promise<string[]> => {
    const result = await connection.read(sql)
    return Buffer.from(result.bytes).toString().trimEnd().split('\n')
  }
  const forgotten = await forgetLostInserts(connection)
  if (forgotten > 0) report(`${forgotten} inserts that did not come to an end may be sent again`)
  for (const line of await describeBrokenParts(connection)) report(line)
  await connection.read(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(message.database)} ENGINE = Atomic`)
  const [version = '', timezone = 'UTC'] = await names('SELECT arrayJoin([version(), timezone()])')
  const functions = await names('SELECT lower(name) FROM system.table_functions')
  return { version, timezone, tableFunctions: new Set(functions) }
}
