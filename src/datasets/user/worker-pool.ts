/**
 * Runs a processor in threads: users' processors always, built-in ones when several threads are wanted. A
 * batch is shared out among the threads and put together in its order.
 *
 * Whatever a processor does costs only itself. A thread that ends is started again and what it had in hand
 * is run again in smaller parts until the message is found that ends a thread on its own; that message is
 * invalid, with the reason `processor_failed`. A processor that leaks gets a new thread from time to time.
 * Threads contain mistakes, not malice: a module is the operator's own code, as trusted as the config.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { BatchRunner } from '../consume/batch-runner.ts'
import type { ProcessorContext } from '../processor/processor.ts'
import type { Ending, ProcessedBatch } from '../processor/run-batch.ts'
import { createRowBufferFrom } from '../row-buffer.ts'
import type { ProcessorSource } from './choose-processor.ts'
import type { ProcessorConfig } from './config.ts'
import type { ThreadAnswer } from './messages.ts'
import { openThread, type ProcessorThread, type ThreadDeath } from './thread.ts'

export type WorkerPoolOptions = {
  source: ProcessorSource
  context: Pick<ProcessorContext, 'storage' | 'format' | 'retention' | 'options'>
  /** Number of the storage's tables. */
  tables: number
  threadsMax: number
  config: ProcessorConfig
  clock: Clock
  logger: Logger
  live: ProcessorContext['live']
  count: ProcessorContext['count']
}

/** Fewer records than this are not worth a second thread. */
const recordsPerThreadMin = 200

/** Threads that ended one after the other without having begun a record. */
const idleDeathsMax = 3

/** Starts one thread, so that a module that does not load is an error now: `PROCESSOR_INVALID`. */
export async function openWorkerPool(options: WorkerPoolOptions): Promise<BatchRunner> {
  const pool = new ThreadPool(options)
  await pool.open()
  return pool
}

/** Rows and endings of the records from `first` on. */
type Part = { first: number; answer: ThreadAnswer }
type Range = { records: readonly LogRecord[]; first: number; mustBeFresh?: boolean }

class ThreadPool implements BatchRunner {
  readonly #options: WorkerPoolOptions
  readonly #idle: ProcessorThread[] = []
  readonly #all = new Set<ProcessorThread>()
  readonly #waiting: (() => void)[] = []
  readonly #closing = new AbortController()
  #busy = 0
  #idleDeaths = 0

  constructor(options: WorkerPoolOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    this.#idle.push(await this.#open())
  }

  async run(records: readonly LogRecord[], options: { signal: AbortSignal }): Promise<ProcessedBatch> {
    const { threadsMax } = this.#options
    const shares = Math.max(1, Math.min(threadsMax, Math.floor(records.length / recordsPerThreadMin)))
    const size = Math.ceil(records.length / shares)
    const ranges = Array.from({ length: records.length === 0 ? 0 : shares }, (_, share) => ({
      records: records.slice(share * size, (share + 1) * size),
      first: share * size,
    }))
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    const batch = { nowMs: this.#options.clock.now(), live: this.#options.live(), signal }
    const settled = await Promise.allSettled(ranges.map((range) => this.#run(range, batch)))
    const parts = settled.flatMap((end) => {
      if (end.status === 'rejected') throw end.reason
      return end.value
    })
    for (const { answer } of parts)
      for (const { metric, by, labels } of answer.counts) this.#options.count(metric, by, labels)
    return join(parts, this.#options.tables)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#all].map((thread) => thread[Symbol.asyncDispose]()))
    this.#all.clear()
    this.#idle.length = 0
  }

  async #run(range: Range, batch: Batch): Promise<Part[]> {
    const { records, first } = range
    if (records.length === 0) return []
    const { end, wasFresh } = await this.#attempt(range, batch)
    if (end.kind === 'done') {
      this.#idleDeaths = 0
      return [{ first, answer: end.answer }]
    }
    this.#mourn(end, wasFresh)
    if (end.inHand < 0) return this.#run({ ...range, mustBeFresh: true }, batch)
    if (records.length === 1 && wasFresh) return [this.#blame(first, end)]
    const { before, found, after } = split(range, end)
    const parts = await this.#run(before, batch)
    if (end.cause === 'timeout' && found.records.length === 1) parts.push(this.#blame(found.first, end))
    else parts.push(...(await this.#run(found, batch)))
    parts.push(...(await this.#run(after, batch)))
    return parts
  }

  async #attempt({ records, mustBeFresh = false }: Range, { signal, ...request }: Batch) {
    const thread = await this.#take(mustBeFresh)
    try {
      const wasFresh = thread.isFresh
      return { wasFresh, end: await thread.run(records, request, { signal }) }
    } finally {
      this.#giveBack(thread)
    }
  }

  #mourn(death: ThreadDeath, wasFresh: boolean): void {
    const { context } = this.#options
    this.#tell(death)
    this.#idleDeaths = death.inHand < 0 && wasFresh ? this.#idleDeaths + 1 : 0
    if (this.#idleDeaths < idleDeathsMax) return
    throw new RowmillError(
      'PROCESSOR_FAILED',
      `The processor of the storage ${context.storage} ${death.why}, ${idleDeathsMax} times in a row before it had read a message.`,
    )
  }

  #blame(first: number, { why }: ThreadDeath): Part {
    const ending: Ending = {
      kind: 'invalid',
      reason: 'processor_failed',
      message: `The processor ${why}.`,
      stack: '',
      path: '',
    }
    const nothing = { times: { originMs: [], receivedMs: [] }, counts: [] }
    return { first, answer: { rows: emptyRows(this.#options.tables), endings: [[0, ending]], ...nothing } }
  }

  /** Waits until fewer than `threadsMax` are at work. */
  async #take(mustBeFresh: boolean): Promise<ProcessorThread> {
    while (this.#busy >= this.#options.threadsMax)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#busy++
    for (const thread of this.#idle) if (!thread.isAlive) this.#bury(thread)
    const alive = this.#idle.filter((thread) => thread.isAlive)
    const thread = alive.find(({ isFresh }) => isFresh || !mustBeFresh)
    this.#idle.splice(0, Number.POSITIVE_INFINITY, ...alive.filter((other) => other !== thread))
    if (thread !== undefined) return thread
    try {
      for (const other of this.#idle.splice(0, this.#all.size + 1 - this.#options.threadsMax))
        await this.#close(other)
      return await this.#open()
    } catch (error) {
      this.#release()
      throw error
    }
  }

  /** A thread that ended between two batches: something that its processor had started went wrong later. */
  #bury(thread: ProcessorThread): void {
    this.#all.delete(thread)
    this.#tell(thread.death(undefined))
  }

  #tell({ cause, why }: ThreadDeath): void {
    const { logger, context, count } = this.#options
    count('consumer_processor_thread_deaths_total', 1, { cause })
    logger.warn(
      { storage: context.storage, why },
      'The thread of a message processor ended and is started again.',
    )
  }

  #giveBack(thread: ProcessorThread): void {
    if (thread.isAlive) this.#idle.push(thread)
    else this.#all.delete(thread)
    this.#release()
  }

  #release(): void {
    this.#busy--
    this.#waiting.shift()?.()
  }

  async #open(): Promise<ProcessorThread> {
    const { source, context, tables, config, clock, logger } = this.#options
    const thread = await openThread({
      start: { source, context, tables },
      config,
      clock,
      onPrinted: (text) => logger.info({ storage: context.storage, text }, 'The processor printed.'),
    })
    this.#all.add(thread)
    return thread
  }

  async #close(thread: ProcessorThread): Promise<void> {
    this.#all.delete(thread)
    await thread[Symbol.asyncDispose]()
  }
}

type Batch = { nowMs: number; live: Readonly<Record<string, unknown>>; signal: AbortSignal }

/** Before the record in hand, it alone in a new thread, what comes after it; halves if none was in hand. */
function split({ records, first }: Range, { inHand }: ThreadDeath) {
  const range = (from: number, until: number): Range => ({
    records: records.slice(from, until),
    first: first + from,
  })
  const at = records.length === 1 ? 0 : inHand
  const middle = records.length >> 1
  return at < records.length
    ? {
        before: range(0, at),
        found: { ...range(at, at + 1), mustBeFresh: true },
        after: range(at + 1, records.length),
      }
    : { before: range(0, middle), found: range(middle, middle), after: range(middle, records.length) }
}

function emptyRows(tables: number): ThreadAnswer['rows'] {
  return Array.from({ length: tables }, () => ({
    bytes: new Uint8Array(),
    starts: new Float64Array(),
    owners: new Uint32Array(),
  }))
}

function join(parts: readonly Part[], tables: number): ProcessedBatch {
  const endings = new Map<number, Ending>()
  for (const { first, answer } of parts)
    for (const [index, ending] of answer.endings) endings.set(first + index, ending)
  return {
    rows: Array.from({ length: tables }, (_, table) =>
      createRowBufferFrom(
        parts.flatMap(({ first, answer }) => {
          const rows = answer.rows[table]
          return rows === undefined ? [] : [{ ...rows, firstOwner: first }]
        }),
      ),
    ),
    endings,
    times: {
      originMs: parts.flatMap(({ answer }) => answer.times.originMs),
      receivedMs: parts.flatMap(({ answer }) => answer.times.receivedMs),
    },
  }
}
