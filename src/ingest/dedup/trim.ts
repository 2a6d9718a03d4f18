/**
 * Lets go of the changelog that the window no longer needs. Without it the log keeps the ids for the
 * topic's whole retention, which at a high rate is far more than `idsMax` of them. A consumer group of its
 * own stands at the oldest id that is remembered: what it has settled may be deleted, the rest may not.
 */
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log, PartitionLease } from '../../ports/log.ts'
import type { Dedup } from './dedup.ts'

export const dedupGroup = 'ingest-dedup'

export type TrimDeps = {
  log: Pick<Log, 'consume' | 'offsetAt'>
  clock: Clock
  dedup: Pick<Dedup, 'oldestMs'>
}

/** Settles the changelog up to the oldest remembered id, again and again until the signal aborts. */
export async function runDedupTrim(
  deps: TrimDeps,
  config: { trimIntervalMs: number },
  options: { signal: AbortSignal },
): Promise<void> {
  const { signal } = options
  const group = { group: dedupGroup, topics: [topics.dedup], start: 'earliest' as const, signal }
  await using consumer = deps.log.consume(group)
  const trimming: Promise<void>[] = []
  for await (const lease of consumer.leases()) trimming.push(trimPartition(deps, config, lease))
  await Promise.all(trimming)
}

async function trimPartition(
  deps: TrimDeps,
  config: { trimIntervalMs: number },
  lease: PartitionLease,
): Promise<void> {
  await using held = lease
  let settled = held.position
  while (!held.signal.aborted) {
    const oldestMs = deps.dedup.oldestMs
    const offset =
      oldestMs === undefined ? settled : await deps.log.offsetAt(held.topic, held.partition, oldestMs)
    if (offset > settled) {
      await held.commit({ offset })
      settled = offset
    }
    await deps.clock.sleep(config.trimIntervalMs, { signal: held.signal })
  }
}
