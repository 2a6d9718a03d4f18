import type { Log } from '../ports/log.ts'

/** Further apart than this there are records between: no log leaves so long a gap. */
const gapMax = 1000

/**
 * Whether a record stands at or after `from` and before `until`. Offsets may have gaps, so a position that lies
 * before the end need not mean that something waits.
 */
export async function hasUnread(
  log: Pick<Log, 'scan'>,
  place: { topic: string; partition: number },
  range: { from: number; until: number },
): Promise<boolean> {
  if (range.until <= range.from) return false
  if (range.until - range.from > gapMax) return true
  for await (const records of log.scan({ topic: place.topic, partition: place.partition, ...range }))
    if (records.length > 0) return true
  return false
}
