import { topics } from '../event/topics.ts'
import type { TopicSpec } from '../ports/log.ts'

/** Topics that ingest reads are spread, so that keys are worked on side by side; ready ones are not, so that inserts are large. */
const spread: ReadonlySet<string> = new Set([
  topics.captured,
  topics.overflow,
  topics.historical,
  topics.ai,
  topics.exceptions,
  topics.heatmaps,
  topics.replay,
  topics.replayOverflow,
])

export function topicSpecs(
  config: { capturedPartitions: number; retentionMs: number; deadLetterRetentionMs: number },
  more: { dedupWindowMs: number; customTopics: readonly string[] },
): TopicSpec[] {
  const builtIn = Object.values(topics).map((name) => ({
    name,
    partitions: spread.has(name) ? config.capturedPartitions : 1,
    retentionMs: retentionOf(name, config, more.dedupWindowMs),
  }))
  const custom = more.customTopics
    .filter((name) => name !== '')
    .map((name) => ({
      name,
      partitions: config.capturedPartitions,
      retentionMs: config.retentionMs,
    }))
  return [...builtIn, ...custom]
}

function retentionOf(
  name: string,
  config: { retentionMs: number; deadLetterRetentionMs: number },
  dedupWindowMs: number,
): number {
  if (name === topics.deadLetters) return config.deadLetterRetentionMs
  // The changelog must outlast the window, or a restart would forget ids that still count.
  if (name === topics.dedup) return Math.max(dedupWindowMs * 1.1, config.retentionMs / 100)
  return config.retentionMs
}
