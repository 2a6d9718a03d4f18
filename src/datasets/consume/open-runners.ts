/** Where the processor of a storage runs: a user's in worker threads, a built-in one here unless several are wanted. */
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Storage } from '../storage/storage.ts'
import { chooseProcessor, type ProcessorWish } from '../user/choose-processor.ts'
import type { ProcessorConfig } from '../user/config.ts'
import { loadProcessor } from '../user/load-processor.ts'
import { openWorkerPool } from '../user/worker-pool.ts'
import { createInlineRunner, type OpenRunner } from './batch-runner.ts'
import { createProcessorContext, type Live } from './processor-context.ts'

export type RunnerPorts = { clock: Clock; random: Random; metrics: Metrics; logger: Logger }

export type RunnerOptions = {
  wish: ProcessorWish
  threadsMax: number
  config: ProcessorConfig
  live: Live
}

export type Runners = AsyncDisposable & { open: OpenRunner }

/** Fails with `PROCESSOR_UNKNOWN` or `PROCESSOR_INVALID`. Disposed after the last runner. */
export async function openRunners(
  ports: RunnerPorts,
  storage: Storage,
  { wish, threadsMax, config, live }: RunnerOptions,
): Promise<Runners> {
  const source = chooseProcessor(storage, wish)
  const context = createProcessorContext(ports, storage, live)
  const tables = storage.tables.length
  if (source.kind === 'built_in' && threadsMax === 1) {
    const create = await loadProcessor(source)
    // Made once here already: a format or an option that it does not take is an error of the start.
    create(context)
    return {
      open: async () => createInlineRunner(create(context), tables),
      async [Symbol.asyncDispose]() {},
    }
  }
  const { clock, logger } = ports
  const { count, format, retention, options } = context
  const pool = await openWorkerPool({
    source,
    // A thread has its own clock and chance; only what can be sent to it is.
    context: { storage: storage.name, format, retention, options },
    tables,
    threadsMax,
    config,
    clock,
    logger,
    live,
    count,
  })
  return {
    open: async () => ({
      run: (records, options) => pool.run(records, options),
      async [Symbol.asyncDispose]() {},
    }),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  }
}
