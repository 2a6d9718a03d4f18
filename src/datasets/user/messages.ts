/** What the program and a processor's thread say to each other. */
import type { ProcessorContext } from '../processor/processor.ts'
import type { Ending, ProcessedBatch } from '../processor/run-batch.ts'
import type { RowBufferParts } from '../row-buffer.ts'
import type { ProcessorSource } from './choose-processor.ts'
import type { PackedRecords } from './pack-records.ts'

/** Given to the thread when it starts. */
export type ThreadStart = {
  source: ProcessorSource
  context: Pick<ProcessorContext, 'storage' | 'format' | 'retention' | 'options'>
  tables: number
  /** One number: which record of the batch is in hand; -1 before the first. */
  inHand: Int32Array<SharedArrayBuffer>
  memoryBytesMax: number
  printedBytesMax: number
}

/** A batch for the thread. */
export type ThreadRequest = {
  records: PackedRecords
  nowMs: number
  live: Readonly<Record<string, unknown>>
}

/** A counter that a processor adds to, kept until its batch is through. */
export type Count = { metric: string; by: number; labels: Readonly<Record<string, string>> }

export type ThreadAnswer = {
  rows: RowBufferParts[]
  endings: [index: number, ending: Ending][]
  times: ProcessedBatch['times']
  counts: Count[]
}

export type ThreadMessage =
  | { kind: 'ready' }
  /** The processor does not load or cannot be made. */
  | { kind: 'refused'; error: { message: string; cause: string | undefined } }
  | { kind: 'done'; answer: ThreadAnswer }
  /** What the processor wrote to the console. */
  | { kind: 'printed'; text: string }
  /** Buffers have outgrown the thread's memory: it waits to be ended. */
  | { kind: 'full' }
