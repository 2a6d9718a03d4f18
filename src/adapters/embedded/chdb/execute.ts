/**
 * One request of the HTTP interface from its body to its answer.
 *
 * - A place among the running ones is waited for before the body is read.
 * - An INSERT's data goes to a file of its own and is read from there by the engine: given inline, chDB would
 *   take what follows an empty line for SQL.
 * - An answer comes through a pipe while the query runs; what the client wants whole is held until the end.
 * - When the client goes, the query is killed; never with KILL … SYNC, which hangs.
 */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { DiskWatch } from './disk/disk-watch.ts'
import { type Connection, type Engine, quoteString, type ReadResult } from './engine.ts'
import { failure, failureOf } from './failure.ts'
import type { FifoPool } from './fifo.ts'
import type { Gate } from './gate.ts'
import { type Answer, type AnswerContext, createAnswer, noSummary, type Summary } from './http/answer.ts'
import { openBody } from './http/body.ts'
import type { HostRequest } from './http/request.ts'
import type { Sessions } from './http/sessions.ts'
import { guardStatement } from './sql/guard.ts'
import { type InsertStatement, parseStatement, type ReadStatement, type Statement } from './sql/statement.ts'

export type ExecuteContext = {
  engine: Engine
  disk: DiskWatch
  sessions: Sessions
  gate: Gate
  fifos: FifoPool
  spoolDirectory: string
  tableFunctions: ReadonlySet<string>
  answer: AnswerContext
  queryBytesMax: number
  bodyBytesMax: number
  answerBufferBytes: number
  /** The ids of the requests in hand. */
  running: Set<string>
}

type Exchange = {
  message: IncomingMessage
  response: ServerResponse
  request: HostRequest
  signal: AbortSignal
}

/** Runs the request and answers it; every failure becomes an answer too. */
export async function executeRequest(context: ExecuteContext, exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  const answer = createAnswer(response, request, context.answer)
  const { running } = context
  let isOwner = false
  try {
    if (running.has(request.queryId))
      throw failure(
        'QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING',
        `Query with id = ${request.queryId} is already running.`,
      )
    running.add(request.queryId)
    isOwner = true
    const leave = await context.gate.enter(exchange.signal)
    try {
      await runStatement(context, { ...exchange, answer })
    } finally {
      leave()
    }
  } catch (error) {
    await answer.fail(context.disk.explain(failureOf(error)))
  } finally {
    if (isOwner) running.delete(request.queryId)
    // A body that was not read to its end is thrown away, so that the client gets to its answer.
    exchange.message.resume()
  }
}

type Run = Exchange & { answer: Answer }

/** Statements beside reads that need room; those that make room, or only steer, are never refused. */
const writingVerbs = new Set([
  'alter',
  'attach',
  'create',
  'delete',
  'insert',
  'optimize',
  'restore',
  'update',
])

async function runStatement(context: ExecuteContext, run: Run): Promise<void> {
  const { message, request } = run
  const body = openBody(message, request, { bytesMax: context.bodyBytesMax })
  const head = request.isGet
    ? { bytes: Buffer.alloc(0), isWhole: true }
    : await body.head(context.queryBytesMax)
  const query = Buffer.from(
    request.query === '' || head.bytes.length === 0 ? request.query : `${request.query}\n`,
  )
  const bytes = query.length === 0 ? head.bytes : Buffer.concat([query, head.bytes])
  const text = bytes.subarray(0, context.queryBytesMax).toString()
  const statement = parseStatement(text, { isWhole: head.isWhole && bytes.length <= context.queryBytesMax })
  const readonly = request.settings.get('readonly') ?? '0'
  const isReadOnly = request.isGet || readonly !== '0'
  // Anything but the two lenient levels counts as the strict one.
  const isStrict = readonly !== '0' && readonly !== '2'
  guardStatement(statement, { isReadOnly, isStrict, tableFunctions: context.tableFunctions })
  if (statement.kind === 'insert') {
    const sqlHead = text.slice(0, statement.dataStart)
    if (sqlHead.includes('\ufffd')) throw failure('SYNTAX_ERROR', 'Syntax error: the query is no UTF-8.')
    await context.disk.admit()
    const path = join(context.spoolDirectory, `insert-${randomUUID()}`)
    // The data comes in while a connection is made ready.
    const spooling = body.spool(path, bytes.subarray(Buffer.byteLength(sqlHead)))
    // It is awaited when there is a connection; until then an unheard failure would end the host.
    spooling.catch(() => undefined)
    const remove = async (): Promise<void> => {
      await Promise.allSettled([spooling])
      await rm(path, { force: true })
    }
    try {
      await onConnection(context, { run, isReadOnly }, async (connection) => {
        await spooling
        await insert(context, { run, statement, path, connection })
      })
    } catch (error) {
      await remove()
      throw error
    }
    await Promise.all([remove(), run.answer.end()])
    return
  }
  await onConnection(context, { run, isReadOnly }, (connection) =>
    answerStatement(context, { run, statement, connection }),
  )
  // Only now: the next request of the same session may follow at once.
  await run.answer.end()
}

/** Leases a connection for `work`, and kills what runs on it when the client goes. */
async function onConnection(
  context: ExecuteContext,
  options: { run: Run; isReadOnly: boolean },
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const { run, isReadOnly } = options
  const tag = `rowmill:${randomUUID()}`
  if (run.signal.aborted) throw failure('QUERY_WAS_CANCELLED', 'The client has gone.')
  const lease = await context.sessions.lease(run.request, { tag, isReadOnly })
  let killing: Promise<void> | undefined
  const kill = () => {
    killing = killTagged(context.engine, tag)
    // Awaited below, but perhaps long after it failed; until then an unheard failure would end the host.
    killing.catch(() => undefined)
  }
  run.signal.addEventListener('abort', kill, { once: true })
  try {
    if (run.signal.aborted) throw failure('QUERY_WAS_CANCELLED', 'The client has gone.')
    await work(lease.connection)
  } finally {
    run.signal.removeEventListener('abort', kill)
    try {
      await killing
    } finally {
      await lease.release()
    }
  }
}

async function killTagged(engine: Engine, tag: string): Promise<void> {
  await using connection = engine.connect()
  await connection.read(`KILL QUERY WHERE endsWith(Settings['log_comment'], ${quoteString(tag)}) ASYNC`)
}

async function insert(
  context: ExecuteContext,
  options: { run: Run; statement: InsertStatement; path: string; connection: Connection },
): Promise<void> {
  const { run, statement, path, connection } = options
  const written = await connection.write(statement.from(quoteString(path)))
  await context.disk.confirm()
  run.answer.begin({ format: run.request.format, summary: summaryOfWrite(written) })
}

async function answerStatement(
  context: ExecuteContext,
  options: { run: Run; statement: Exclude<Statement, InsertStatement>; connection: Connection },
): Promise<void> {
  const { run, statement, connection } = options
  const { answer, request } = run
  if (statement.kind === 'read') {
    if (request.isAnswerWhole) await answerWhole(context, { run, statement, connection })
    else await answerStreaming(context, { run, statement, connection })
    return
  }
  const isWriting = writingVerbs.has(statement.verb)
  if (isWriting) await context.disk.admit()
  if (statement.verb === 'insert') {
    const written = await connection.write(statement.text)
    await context.disk.confirm()
    answer.begin({ format: request.format, summary: summaryOfWrite(written) })
  } else {
    const result = await connection.read(statement.text, request.format)
    if (isWriting) await context.disk.confirm()
    answer.begin({ format: request.format, summary: summaryOfRead(result) })
    if (result.bytes.length > 0) await answer.write(Buffer.from(result.bytes))
  }
}

type Read = { run: Run; statement: ReadStatement; connection: Connection }

/**
 * The answer begins when the query has ended, so every error has its status. Up to `answerBufferBytes` wait in
 * memory, a longer one in a file.
 */
async function answerWhole(context: ExecuteContext, read: Read): Promise<void> {
  const { answer, request } = read.run
  const held: Buffer[] = []
  let heldBytes = 0
  await using overflow = createOverflow(join(context.spoolDirectory, `answer-${randomUUID()}`))
  const result = await readThroughPipe(context, read, async (chunk) => {
    heldBytes += chunk.length
    if (heldBytes <= context.answerBufferBytes) held.push(chunk)
    else await overflow.write(chunk)
  })
  answer.begin({ format: read.statement.format ?? request.format, summary: summaryOfRead(result) })
  for (const chunk of held) await answer.write(chunk)
  if (overflow.isUsed) await copy(createReadStream(overflow.path), answer)
}

/** A file that is made when it is first written to, and removed. */
function createOverflow(path: string) {
  let file: FileHandle | undefined
  return {
    path,
    get isUsed() {
      return file !== undefined
    },
    async write(chunk: Buffer): Promise<void> {
      try {
        file ??= await open(path, 'wx', 0o600)
        await file.writeFile(chunk)
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
        throw failure('NOT_ENOUGH_SPACE', 'The disk is full, and the answer needs it.')
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await file?.close()
      if (file !== undefined) await rm(path, { force: true })
    },
  }
}

/** The answer begins when it is complete or `answerBufferBytes` of it are there. */
async function answerStreaming(context: ExecuteContext, read: Read): Promise<void> {
  const { answer, request } = read.run
  const format = read.statement.format ?? request.format
  const held: Buffer[] = []
  let heldBytes = 0
  const result = await readThroughPipe(context, read, async (chunk) => {
    if (answer.isBegun) return await answer.write(chunk)
    held.push(chunk)
    heldBytes += chunk.length
    if (heldBytes < context.answerBufferBytes) return
    answer.begin({ format, summary: noSummary })
    await answer.write(Buffer.concat(held))
  })
  if (answer.isBegun) return
  answer.begin({ format, summary: summaryOfRead(result) })
  await answer.write(Buffer.concat(held))
}

/** Runs the query with its answer going through a pipe, to `take`. Resolves when both have ended. */
async function readThroughPipe(
  context: ExecuteContext,
  { run, statement, connection }: Read,
  take: (chunk: Buffer) => Promise<void>,
): Promise<ReadResult> {
  const { fifo, giveBack } = context.fifos.take()
  const pipe = fifo.open()
  const reading = connection
    .read(statement.into(quoteString(fifo.path), run.request.format))
    .finally(pipe.finish)
  const outcome = reading.then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  )
  try {
    for await (const chunk of buffersOf(pipe.answer)) await take(chunk)
    const end = await outcome
    if ('error' in end) throw end.error
    return end.result
  } finally {
    // Read to the end, though nobody wants it: a pipe without a reader counts as a write that has failed.
    pipe.answer.resume()
    await outcome
    pipe.answer.destroy()
    giveBack()
  }
}

async function copy(from: Readable, answer: Answer): Promise<void> {
  try {
    for await (const chunk of buffersOf(from)) await answer.write(chunk)
  } finally {
    from.destroy()
  }
}

async function* buffersOf(stream: Readable): AsyncGenerator<Buffer, void> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false }))
    if (Buffer.isBuffer(chunk)) yield chunk
}

function summaryOfRead(result: ReadResult): Summary {
  return { ...noSummary, rowsRead: result.rowsRead, bytesRead: result.bytesRead, elapsed: result.elapsed }
}

function summaryOfWrite(written: { rowsWritten: number; bytesWritten: number; elapsed: number }): Summary {
  const { rowsWritten, bytesWritten, elapsed } = written
  return { rowsRead: rowsWritten, bytesRead: bytesWritten, rowsWritten, bytesWritten, elapsed }
}
