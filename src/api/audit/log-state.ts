/** What the audit needs to know of the log: its own topics and groups, and what waits on them. */
import { isOwnGroup } from '../../event/groups.ts'
import { topics } from '../../event/topics.ts'
import type { GroupPosition, Log, TopicDescription } from '../../ports/log.ts'
import { hasUnread } from '../../stream/unread.ts'

export type LogState = { topics: readonly TopicDescription[]; positions: readonly GroupPosition[] }
export type AuditLog = Pick<Log, 'describe' | 'positions' | 'scan'>
export type Waiting = { stage: string; topic: string; records: number }

const ownTopics: ReadonlySet<string> = new Set(Object.values(topics))

/** Without their rows nothing can be said: what no role has begun to read waits like what is behind. */
const proofs = [
  { stage: 'datasets-ledger', topic: topics.ledger },
  { stage: 'datasets-drops', topic: topics.drops },
] as const

/** Groups of other programs on a shared log, and topics that none of ours reads, are left out. `stages` are those of the ledger. */
export async function readLogState(log: AuditLog, stages: ReadonlySet<string>): Promise<LogState> {
  const [described, all] = [await log.describe(), await log.positions()]
  const positions = all.filter(({ group }) => isOwnGroup(group) || stages.has(group))
  const read = new Set(positions.map(({ topic }) => topic))
  return { topics: described.filter(({ name }) => ownTopics.has(name) || read.has(name)), positions }
}

export function endOf(log: LogState, names: readonly string[]): number {
  return log.topics
    .filter(({ name }) => names.includes(name))
    .reduce((sum, { bounds }) => sum + bounds.reduce((inner, { end }) => inner + end, 0), 0)
}

/** By group and topic. Offsets without a record, as transactions leave them on Kafka, do not wait. */
export async function findWaiting(log: AuditLog, state: LogState): Promise<Waiting[]> {
  const waiting = new Map<string, Waiting>()
  for (const { group, topic, partition, position } of state.positions) {
    // De-duplication keeps its changelog on purpose until the window has passed.
    if (topic === topics.dedup) continue
    const until = state.topics.find(({ name }) => name === topic)?.bounds[partition]?.end ?? 0
    if (!(await hasUnread(log, { topic, partition }, { from: position, until }))) continue
    const key = `${group}/${topic}`
    const entry = waiting.get(key) ?? { stage: group, topic, records: 0 }
    entry.records += until - position
    waiting.set(key, entry)
  }
  for (const { stage, topic } of proofs) {
    const records = endOf(state, [topic])
    if (records > 0 && !state.positions.some(({ group }) => group === stage))
      waiting.set(stage, { stage, topic, records })
  }
  return [...waiting.values()]
}

/** Per partition, how far the group has come. */
export function settledOf(log: LogState, topic: string, group: string): Map<number, number> {
  return new Map(
    log.positions
      .filter((entry) => entry.topic === topic && entry.group === group)
      .map(({ partition, position }) => [partition, position]),
  )
}

/** Records before these positions, read one by one: where offsets have gaps and no ledger has counted. */
export async function countRecords(
  log: AuditLog,
  topic: string,
  settled: ReadonlyMap<number, number>,
): Promise<number> {
  let count = 0
  for (const [partition, until] of settled) {
    if (until === 0) continue
    for await (const records of log.scan({ topic, partition, from: 0, until })) count += records.length
  }
  return count
}
