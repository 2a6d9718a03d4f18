/**
 * The table of items is partitioned by week, from Monday 00:00 UTC. Writing into another week than the
 * current one costs ClickHouse a lot, so such items can be set aside; around the change of weeks both are
 * open for a while.
 */
const dayMs = 86_400_000
const weekMs = 7 * dayMs
/** 1970-01-01 was a Thursday: the first Monday. */
const firstMondayMs = 4 * dayMs

/** Why an item must be set aside: its week is over, or has not come yet. */
export function otherWeek({
  eventMs,
  nowMs,
  graceMinutes,
}: {
  eventMs: number
  nowMs: number
  graceMinutes: number
}): 'past_ts' | 'future_ts' | undefined {
  const graceMs = graceMinutes * 60_000
  const mondayMs = Math.floor((nowMs - firstMondayMs) / weekMs) * weekMs + firstMondayMs
  const nextMondayMs = mondayMs + weekMs
  if (eventMs < mondayMs && nowMs >= mondayMs + graceMs) return 'past_ts'
  if (eventMs >= nextMondayMs && nowMs < nextMondayMs - graceMs) return 'future_ts'
  return undefined
}
