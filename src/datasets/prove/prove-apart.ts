/**
 * A proof in a thread of its own, watched from here: one message that takes too long at one side is a difference
 * like any other.
 */
import { Worker } from 'node:worker_threads'
import type { ErrorCode } from '../../errors/register.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ProcessorSource } from '../user/choose-processor.ts'
import { createMessages } from './messages.ts'
import type { FoundDifference, Proof, ProofOptions } from './prove.ts'

export type ApartOptions = Omit<ProofOptions, 'left' | 'right' | 'onRun'> & {
  left: ProcessorSource
  right: ProcessorSource
  /** How long one message may take at one side. */
  messageTimeoutMs: number
  printedBytesMax: number
  clock: Clock
  onPrinted: (text: string) => void
  signal: AbortSignal
}

export type ProofThreadStart = Omit<ApartOptions, 'messageTimeoutMs' | 'clock' | 'onPrinted' | 'signal'> & {
  /** Runs so far, number of the message in hand, its side. */
  runs: Int32Array<SharedArrayBuffer>
}

export type ProofThreadMessage =
  | { kind: 'proved'; proof: Proof }
  | { kind: 'refused'; code: ErrorCode; message: string; cause: string | undefined }
  | { kind: 'printed'; text: string }

type End = Exclude<ProofThreadMessage, { kind: 'printed' }> | { kind: 'ended'; error: unknown }

const looksPerTimeout = 4
/** Until the first message is in hand, modules are loaded. */
const startTimeoutMs = 60_000

/**
 * As `prove`. Throws `PROCESSOR_INVALID` for a module that does not load, and the signal's reason when it
 * aborts.
 */
export async function proveApart(options: ApartOptions): Promise<Proof> {
  const { messageTimeoutMs, clock, onPrinted, signal, ...data } = options
  const runs = new Int32Array(new SharedArrayBuffer(12))
  const start: ProofThreadStart = { ...data, runs }
  const worker = new Worker(new URL('./prove-thread.ts', import.meta.url), {
    workerData: start,
    env: {},
    stdout: true,
    stderr: true,
  })
  const watch = new AbortController()
  const stopped = AbortSignal.any([signal, watch.signal])
  try {
    const late = watchRuns(runs, { clock, messageTimeoutMs, signal: stopped })
    const end = await Promise.race([endOf(worker, onPrinted), late])
    signal.throwIfAborted()
    const limitMs = runs[0] === 0 ? startTimeoutMs : messageTimeoutMs
    if (end === 'late') return stuckProof(options, runs, `took longer than ${limitMs} ms`)
    if (end.kind === 'proved') return withBuffers(end.proof)
    if (end.kind === 'ended') return stuckProof(options, runs, `ended its thread${reasonOf(end.error)}`)
    const cause = end.cause === undefined ? undefined : new Error(end.cause)
    throw new RowmillError(end.code, end.message, { cause })
  } finally {
    watch.abort()
    await worker.terminate()
  }
}

function endOf(worker: Worker, onPrinted: (text: string) => void): Promise<End> {
  return new Promise((resolve) => {
    let failure: unknown
    worker.on('message', (message: ProofThreadMessage) => {
      if (message.kind === 'printed') onPrinted(message.text)
      else resolve(message)
    })
    worker.on('error', (error) => {
      failure = error
    })
    worker.on('exit', () => resolve({ kind: 'ended', error: failure }))
  })
}

/** Resolves when one run has lasted for the whole of its time, or the signal aborts. */
async function watchRuns(
  runs: Int32Array,
  { clock, messageTimeoutMs, signal }: { clock: Clock; messageTimeoutMs: number; signal: AbortSignal },
): Promise<'late'> {
  const lookMs = messageTimeoutMs / looksPerTimeout
  let seen = 0
  for (let looks = 0; !signal.aborted; looks++) {
    const looksMax = seen === 0 ? startTimeoutMs / lookMs : looksPerTimeout
    if (looks >= looksMax) break
    await clock.sleep(lookMs, { signal })
    const now = Atomics.load(runs, 0)
    if (now !== seen) looks = -1
    seen = now
  }
  return 'late'
}

/** The message in hand is made again from its number: the same seed makes the same messages. */
function stuckProof(options: ApartOptions, runs: Int32Array, why: string): Proof {
  const [count = 0, number = 0, side = 0] = runs
  if (count === 0)
    throw new RowmillError('PROCESSOR_INVALID', `One of the processors ${why} before the first message.`)
  const messages: Proof['messages'] = { payload: 0, mutated: 0, generated: 0 }
  let difference: FoundDifference | undefined
  for (const message of createMessages({ ...options, schema: options.storage.messageSchema })) {
    messages[message.origin]++
    if (messages.payload + messages.mutated + messages.generated <= number) continue
    const { origin, name, value, headers } = message
    const sides = side === 0 ? { left: why, right: 'not run' } : { left: 'came to an end', right: why }
    difference = {
      path: 'ending',
      ...sides,
      origin: `${origin} ${name}`,
      value,
      headers,
      foundBytes: value.length,
    }
    break
  }
  const { format } = options.storage
  return {
    messages,
    endings: { rows: 0, skip: 0, replacement: 0, invalid: 0, ignored: 0 },
    rows: 0,
    failures: { left: 0, right: 0 },
    formats: { left: format, right: format },
    difference,
  }
}

/** A Buffer arrives from the thread as a plain array of bytes. */
function withBuffers(proof: Proof): Proof {
  const { difference } = proof
  if (difference === undefined) return proof
  return { ...proof, difference: { ...difference, value: Buffer.from(difference.value) } }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? `: ${error.message}` : ''
}
