/**
 * A processor's thread as the program sees it: it starts, takes one batch at a time, and may end at any
 * moment, whatever the processor does. How it ended and which record it had in hand is an answer, not an
 * error.
 */
import { Worker } from 'node:worker_threads'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LogRecord } from '../../ports/log.ts'
import type { ProcessorConfig } from './config.ts'
import type { ThreadAnswer, ThreadMessage, ThreadRequest, ThreadStart } from './messages.ts'
import { packRecords, transferOfRecords } from './pack-records.ts'

export type ThreadDeath = {
  kind: 'died'
  cause: 'timeout' | 'memory' | 'crash'
  /** A part of a sentence: `ended with exit code 1`. */
  why: string
  /** Index of the record in hand; -1 if none was begun, the number of records if all were through. */
  inHand: number
}
export type ThreadEnd = { kind: 'done'; answer: ThreadAnswer } | ThreadDeath

export type ThreadOptions = {
  start: Pick<ThreadStart, 'source' | 'context' | 'tables'>
  config: ProcessorConfig
  clock: Clock
  /** What the processor printed. */
  onPrinted: (text: string) => void
}

export interface ProcessorThread extends AsyncDisposable {
  /** Whether it has not been given a batch yet. */
  readonly isFresh: boolean
  readonly isAlive: boolean
  /** How it ended, as far as it is known. */
  death(code: number | undefined): ThreadDeath
  /** One batch at a time. An abort ends the thread and rejects with the signal's reason. */
  run(
    records: readonly LogRecord[],
    request: Omit<ThreadRequest, 'records'>,
    options: { signal: AbortSignal },
  ): Promise<ThreadEnd>
}

/** A message's time is looked at this often before it is up: a machine that stood still is not held against it. */
const looksPerTimeout = 4

/** Throws `PROCESSOR_INVALID` if the processor does not load or is not made in time. */
export async function openThread(options: ThreadOptions): Promise<ProcessorThread> {
  const thread = new Thread(options)
  await thread.untilReady()
  return thread
}

class Thread implements ProcessorThread {
  isFresh = true
  isAlive = true
  readonly #options: ThreadOptions
  readonly #inHand = new Int32Array(new SharedArrayBuffer(4))
  readonly #worker: Worker
  #lastError: unknown
  #isFull = false
  #isLate = false
  #resolve: (end: ThreadMessage | { kind: 'exit'; code: number }) => void = () => undefined

  constructor(options: ThreadOptions) {
    this.#options = options
    const { start, config } = options
    const data: ThreadStart = {
      ...start,
      inHand: this.#inHand,
      memoryBytesMax: config.workerMemoryMegabytesMax * 2 ** 20,
      printedBytesMax: config.printedBytesMax,
    }
    this.#worker = new Worker(new URL('./processor-thread.ts', import.meta.url), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: config.workerMemoryMegabytesMax },
      name: `processor ${start.context.storage}`,
      env: {},
      stdout: true,
      stderr: true,
    })
    this.#worker.on('message', (message: ThreadMessage) => this.#hear(message))
    this.#worker.on('messageerror', (error) => this.#end(error))
    this.#worker.on('error', (error) => {
      this.#lastError = error
    })
    this.#worker.on('exit', (code) => {
      this.isAlive = false
      this.#resolve({ kind: 'exit', code })
    })
  }

  async untilReady(): Promise<void> {
    const { clock, config } = this.#options
    const answer = this.#answer()
    const timer = new AbortController()
    const late = clock.sleep(config.startTimeoutMs, { signal: timer.signal }).then(() => undefined)
    const first = await Promise.race([answer, late])
    timer.abort()
    if (first?.kind === 'ready') return
    this.#end(undefined)
    if (first === undefined) throw this.#invalid(`did not load within ${config.startTimeoutMs} ms`)
    if (first.kind === 'refused') {
      const { message, cause } = first.error
      throw new RowmillError('PROCESSOR_INVALID', message, {
        cause: cause === undefined ? undefined : new Error(cause),
      })
    }
    throw this.#invalid('ended while it was loaded', this.#lastError)
  }

  async run(
    records: readonly LogRecord[],
    request: Omit<ThreadRequest, 'records'>,
    { signal }: { signal: AbortSignal },
  ): Promise<ThreadEnd> {
    signal.throwIfAborted()
    this.isFresh = false
    Atomics.store(this.#inHand, 0, -1)
    const packed = packRecords(records)
    const answer = this.#answer()
    this.#worker.postMessage({ ...request, records: packed }, transferOfRecords(packed))
    const watch = new AbortController()
    const stop = () => this.#end(undefined)
    signal.addEventListener('abort', stop, { once: true })
    void this.#watch(watch.signal)
    try {
      const end = await answer
      if (end.kind === 'done') return end
      signal.throwIfAborted()
      return this.death(end.kind === 'exit' ? end.code : undefined)
    } finally {
      watch.abort()
      signal.removeEventListener('abort', stop)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isAlive) await this.#worker.terminate()
  }

  /** Ends the thread when one record stays in hand for the whole of its time. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#options
    let seen = Atomics.load(this.#inHand, 0)
    for (let looks = 0; looks < looksPerTimeout; looks++) {
      await clock.sleep(config.messageTimeoutMs / looksPerTimeout, { signal })
      if (signal.aborted) return
      const now = Atomics.load(this.#inHand, 0)
      if (now !== seen) looks = -1
      seen = now
    }
    this.#isLate = true
    this.#end(undefined)
  }

  #hear(message: ThreadMessage): void {
    if (message.kind === 'printed') this.#options.onPrinted(message.text)
    else if (message.kind === 'full') {
      this.#isFull = true
      this.#end(undefined)
    } else this.#resolve(message)
  }

  #answer(): Promise<ThreadMessage | { kind: 'exit'; code: number }> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      if (!this.isAlive) resolve({ kind: 'exit', code: 0 })
    })
  }

  /** Asks the thread to end; that it has is heard as `exit`. */
  #end(error: unknown): void {
    this.#lastError ??= error
    void this.#worker.terminate()
  }

  death(code: number | undefined): ThreadDeath {
    const inHand = Atomics.load(this.#inHand, 0)
    const { messageTimeoutMs, workerMemoryMegabytesMax } = this.#options.config
    const error = this.#lastError
    const isOutOfMemory =
      error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
    if (this.#isLate)
      return { kind: 'died', cause: 'timeout', why: `took longer than ${messageTimeoutMs} ms`, inHand }
    if (this.#isFull || isOutOfMemory)
      return {
        kind: 'died',
        cause: 'memory',
        why: `needed more memory than ${workerMemoryMegabytesMax} MiB`,
        inHand,
      }
    const why =
      error === undefined
        ? `ended its thread${code === undefined ? '' : ` with exit code ${code}`}`
        : `ended its thread: ${textOf(error)}`
    return { kind: 'died', cause: 'crash', why, inHand }
  }

  #invalid(what: string, cause?: unknown): RowmillError {
    const { source } = this.#options.start
    const name = source.kind === 'module' ? `module ${source.file}` : source.name
    return new RowmillError('PROCESSOR_INVALID', `The processor ${name} ${what}.`, { cause })
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
