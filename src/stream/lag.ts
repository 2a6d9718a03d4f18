import { isRetryable } from '../errors/rowmill-error.ts'
import type { StageRun } from './stream.ts'

/** Keeps the gauge of unsettled records up to date. A log that is away for a while is asked again later. */
export async function measureLag(run: StageRun, signal: AbortSignal): Promise<void> {
  const { clock, logger } = run.ports
  while (!signal.aborted) {
    try {
      await measureOnce(run)
    } catch (error) {
      if (!isRetryable(error)) throw error
      logger.debug({ group: run.stage.group, error }, 'The lag could not be measured')
    }
    await clock.sleep(run.config.lagIntervalMs, { signal })
  }
}

async function measureOnce({ ports, stage }: StageRun): Promise<void> {
  const [described, positions] = await Promise.all([ports.log.describe(), ports.log.positions(stage.group)])
  for (const topic of described) {
    if (!stage.topics.includes(topic.name)) continue
    const settled = new Map(
      positions.filter((row) => row.topic === topic.name).map((row) => [row.partition, row.position]),
    )
    const unsettled = topic.bounds.map(
      ({ start, end }, partition) => end - Math.max(start, settled.get(partition) ?? start),
    )
    const lag = unsettled.reduce((sum, count) => sum + count, 0)
    ports.metrics.set('stream_lag_records', lag, { group: stage.group, topic: topic.name })
  }
}
