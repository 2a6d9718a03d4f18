import { capturedTopics, topics } from '../event/topics.ts'
import type { Log, TopicSpec } from '../ports/log.ts'
import type { Config } from './config/config.ts'
import { placesOf } from './needs.ts'

/** Topics that ingest reads are spread, so that keys are worked on side by side. */
const spread: ReadonlySet<string> = new Set([...capturedTopics, topics.replay, topics.replayOverflow])

/** Topics that datasets reads are spread as little as may be, so that inserts are large. */
const ready: ReadonlySet<string> = new Set(Object.values(topics).filter((name) => isReady(name)))

function isReady(name: string): boolean {
  return name.startsWith('clickhouse_') || name === topics.readyLogEntries
}

const hundredYearsMs = 100 * 365 * 86_400_000

type TopicConfig = Pick<
  Config,
  'roles' | 'log' | 'ingest' | 'capture' | 'kafka' | 'redis' | 's3' | 'database' | 'warehouse'
>

/** What each role reads and writes; its part of the topics is made where it starts first. */
const topicsOfRole: Readonly<Record<string, readonly string[]>> = {
  capture: [...spread, topics.drops],
  ingest: [...capturedTopics, ...ready, topics.deadLetters, topics.drops, topics.ledger, topics.dedup],
  datasets: [...ready, topics.replay, topics.replayOverflow, topics.deadLetters, topics.drops, topics.ledger],
  consumer: [topics.deadLetters, topics.drops, topics.ledger],
  api: [],
}

/** All topics on the embedded log; on a shared one those that the roles of this process read and write. */
export function topicSpecs(config: TopicConfig): TopicSpec[] {
  const isShared = placesOf(config).log === 'outside'
  const wanted = new Set(config.roles.flatMap((role) => topicsOfRole[role] ?? []))
  if (config.roles.some((role) => role !== 'capture')) wanted.add(topics.log)
  const builtIn = Object.values(topics)
    .filter((name) => (isShared ? wanted.has(name) : name !== topics.log))
    .map((name) => ({
      name,
      partitions: partitionsOf(name, config.log),
      retentionMs: retentionOf(name, config),
    }))
  const { customTopics, aiOverflowTopic } = config.capture.admission
  const custom = [...customTopics, aiOverflowTopic]
    .filter((name) => name !== '')
    .map((name) => ({
      name,
      partitions: config.log.capturedPartitions,
      retentionMs: config.log.retentionMs,
    }))
  return [...builtIn, ...custom]
}

/**
 * Makes what is missing. On a shared log a topic that exists is left as it is, whatever its partitions: it may be
 * somebody else's. On the embedded log partitions are raised to what the config says.
 */
export async function ensureOwnTopics(
  log: Pick<Log, 'describe' | 'ensureTopics'>,
  config: TopicConfig,
): Promise<void> {
  const specs = topicSpecs(config)
  if (placesOf(config).log === 'embedded') return await log.ensureTopics(specs)
  const known = new Set((await log.describe()).map(({ name }) => name))
  const missing = specs.filter(({ name }) => !known.has(name))
  if (missing.length > 0) await log.ensureTopics(missing)
}

function partitionsOf(name: string, { capturedPartitions, readyPartitions }: TopicConfig['log']): number {
  if (spread.has(name)) return capturedPartitions
  return ready.has(name) ? readyPartitions : 1
}

function retentionOf(name: string, { log, ingest }: TopicConfig): number {
  if (name === topics.deadLetters) return log.deadLetterRetentionMs
  if (name === topics.log) return hundredYearsMs
  // The changelog must outlast the window, or a restart would forget ids that still count.
  if (name === topics.dedup) return Math.ceil(Math.max(ingest.dedup.windowMs * 1.1, log.retentionMs / 100))
  return log.retentionMs
}
