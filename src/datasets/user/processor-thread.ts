/**
 * The thread that a processor runs in. It loads the processor, then makes rows of one batch after the other.
 * It says which record it has in hand where the program can see it at any time, keeps its console apart,
 * and stops when its buffers outgrow its memory: the limit of V8's own heap does not count them.
 */
import { randomUUID } from 'node:crypto'
import { getHeapStatistics } from 'node:v8'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { LogRecord } from '../../ports/log.ts'
import type { CreateProcessor, MessageProcessor, Output } from '../processor/processor.ts'
import { runBatch } from '../processor/run-batch.ts'
import { transferOfRows } from '../row-buffer.ts'
import { type CountSums, createCountSums } from './count-sums.ts'
import { keepConsole } from './keep-console.ts'
import { loadProcessor, resolveInterfaceImports } from './load-processor.ts'
import type { ThreadMessage, ThreadRequest, ThreadStart } from './messages.ts'
import { unpackRecords } from './pack-records.ts'

/** How often, in messages, the memory of buffers is looked at: a look costs a few microseconds. */
const memoryLookEvery = 64

if (parentPort !== null) void runThread(parentPort, workerData)

/** What of the context changes with the batch. */
type BatchState = { nowMs: number; live: Readonly<Record<string, unknown>>; readonly counts: CountSums }

async function runThread(port: MessagePort, start: ThreadStart): Promise<void> {
  const say = (message: ThreadMessage, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)
  const printing = keepConsole(start.printedBytesMax, (text) => say({ kind: 'printed', text }))
  resolveInterfaceImports()
  const state: BatchState = { nowMs: 0, live: {}, counts: createCountSums() }
  let processor: MessageProcessor
  try {
    processor = makeProcessor(await loadProcessor(start.source), start, state)
  } catch (error) {
    say({ kind: 'refused', error: describe(error) })
    return
  }
  const limitBytes = getHeapStatistics().external_memory + start.memoryBytesMax
  port.on('message', ({ records: packed, nowMs, live }: ThreadRequest) => {
    Object.assign(state, { nowMs, live })
    state.counts.take()
    printing.renew()
    const records = unpackRecords(packed)
    // A batch in hand and its rows need room of their own.
    const watch = { start, say, bytesMax: limitBytes + 4 * packed.bytes.length }
    stopIfFull(watch)
    const batch = runBatch(watched(processor, watch), records, start.tables)
    start.inHand[0] = records.length
    const rows = batch.rows.map((buffer) => buffer.parts())
    say(
      {
        kind: 'done',
        answer: { rows, endings: [...batch.endings], times: batch.times, counts: state.counts.take() },
      },
      rows.flatMap(transferOfRows),
    )
  })
  say({ kind: 'ready' })
}

function makeProcessor(
  create: CreateProcessor,
  { context, source }: ThreadStart,
  state: BatchState,
): MessageProcessor {
  const name = source.kind === 'module' ? source.file : source.name
  let made: unknown
  try {
    made = create({
      ...context,
      live: () => state.live,
      nowMs: () => state.nowMs,
      uuid: () => randomUUID(),
      count: (metric, by, labels) => state.counts.add(metric, by, labels),
    })
  } catch (cause) {
    throw new Error(`createProcessor of ${name} failed.`, { cause })
  }
  if (isMessageProcessor(made)) return made
  throw new TypeError(`createProcessor of ${name} does not return an object with a function process.`)
}

function isMessageProcessor(value: unknown): value is MessageProcessor {
  return (
    typeof value === 'object' && value !== null && 'process' in value && typeof value.process === 'function'
  )
}

type Watch = { start: ThreadStart; say: (message: ThreadMessage) => void; bytesMax: number }

/** The processor, telling which record it has in hand. */
function watched(processor: MessageProcessor, watch: Watch): MessageProcessor {
  const { inHand } = watch.start
  let index = 0
  return {
    ...(processor.columns === undefined ? {} : { columns: processor.columns }),
    process(message: LogRecord, output: Output) {
      inHand[0] = index
      if (++index % memoryLookEvery === 0) stopIfFull(watch)
      const answer: unknown = processor.process(message, output)
      if (answer !== undefined) refusePromise(answer)
    },
  }
}

/** What comes after the first `await` of a processor would be lost. */
function refusePromise(answer: unknown): void {
  if (!(answer instanceof Promise)) return
  answer.catch(() => undefined)
  throw new TypeError('The processor returned a promise: process must be synchronous.')
}

/** Waits for its end without doing anything more. What was loaded at the start does not count. */
function stopIfFull({ start, say, bytesMax }: Watch): void {
  if (getHeapStatistics().external_memory <= bytesMax) return
  say({ kind: 'full' })
  const record = start.inHand[0] ?? 0
  while (start.inHand[0] === record) Atomics.wait(start.inHand, 0, record)
}

function describe(error: unknown): { message: string; cause: string | undefined } {
  const { message, cause } = error instanceof Error ? error : new Error(String(error))
  return { message, cause: cause instanceof Error ? cause.message : undefined }
}
