/**
 * Takes the messages of a batch through a storage's processor, wherever that runs: in this thread, or in
 * worker threads that several partitions share.
 */
import type { LogRecord } from '../../ports/log.ts'
import type { MessageProcessor } from '../processor/processor.ts'
import { type ProcessedBatch, runBatch } from '../processor/run-batch.ts'

export interface BatchRunner extends AsyncDisposable {
  /**
   * Rows and endings; the owner of a row is the index of its record among `records`. What a message does wrong
   * is its ending, never an error of the run. Runs of one partition follow one another.
   */
  run(records: readonly LogRecord[], options: { signal: AbortSignal }): Promise<ProcessedBatch>
}

/** Called for each partition that is taken. Runners that share workers give out handles. */
export type OpenRunner = () => Promise<BatchRunner>

/** In this thread. A processor that does not come back stops the program: users' own run in workers. */
export function createInlineRunner(processor: MessageProcessor, tables: number): BatchRunner {
  return {
    run: async (records) => runBatch(processor, records, tables),
    async [Symbol.asyncDispose]() {},
  }
}
