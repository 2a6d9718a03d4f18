import { topics } from '../../event/topics.ts'
import type { StreamConfig } from '../../stream/config.ts'
import type { Stage } from '../../stream/stage.ts'
import { runStage, type StreamPorts } from '../../stream/stream.ts'
import type { StopSignals } from '../world.ts'

/** Runs stages side by side until the stop. One that fails for good stops the others and is thrown. */
export async function runStages(
  ports: StreamPorts,
  stages: readonly Stage[],
  options: { stream: StreamConfig; signals: StopSignals },
): Promise<void> {
  const failed = new AbortController()
  const stop = AbortSignal.any([options.signals.stop, failed.signal])
  const results = await Promise.allSettled(
    stages.map(async (stage) => {
      try {
        await runStage(ports, stage, {
          config: options.stream,
          topics: { deadLetters: topics.deadLetters, drops: topics.drops, ledger: topics.ledger },
          stop,
          signal: options.signals.abort,
        })
      } catch (error) {
        failed.abort()
        throw error
      }
    }),
  )
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  )
  if (failures.length > 1) throw new AggregateError(failures, 'Several stages failed.')
  if (failures.length === 1) throw failures[0]
}
