/** What can be wrong with a log: topics that are missing or kept too short, and groups that fall behind. */
import { isOwnGroup } from '../../event/groups.ts'
import { topics as names } from '../../event/topics.ts'
import type { GroupPosition, Log, TopicDescription } from '../../ports/log.ts'
import { hasUnread } from '../../stream/unread.ts'
import type { Config } from '../config/config.ts'
import { placesOf } from '../needs.ts'
import { topicSpecs } from '../topics.ts'
import { doubtful, type Finding, good } from './finding.ts'

/** More than this waits only where somebody does not keep up. */
const waitingMax = 100_000

type View = Pick<Log, 'describe' | 'positions' | 'scan'>

export async function examineLog(view: View, config: Config, signal: AbortSignal): Promise<Finding[]> {
  const described = await view.describe()
  const positions = (await view.positions()).filter(
    ({ group, topic }) => isOwnGroup(group) && topic !== names.dedup,
  )
  const isShared = placesOf(config).log === 'outside'
  const waiting = await waitingOf(view, { described, positions, signal })
  const total = waiting.reduce((sum, { records }) => sum + records, 0)
  return [
    good('log', `${described.length} topics, ${total} records wait`),
    ...(isShared ? examineTopics(described, config) : []),
    ...waiting.filter(({ records }) => records > waitingMax).map(behind),
    ...(isShared ? unread(described, positions) : []),
  ]
}

function examineTopics(described: readonly TopicDescription[], config: Config): Finding[] {
  const there = new Map(described.map((topic) => [topic.name, topic]))
  const specs = topicSpecs(config)
  const missing = specs.filter(({ name }) => !there.has(name)).map(({ name }) => name)
  const short = specs.flatMap(({ name, retentionMs }) => {
    const has = there.get(name)?.retentionMs
    return has === undefined || has < 0 || has >= retentionMs ? [] : [`${name} (${hours(has)})`]
  })
  const few = specs.flatMap(({ name, partitions }) => {
    const has = there.get(name)?.partitions
    return has === undefined || has >= partitions ? [] : [`${name} (${has} of ${partitions})`]
  })
  const found: Finding[] = []
  if (missing.length > 0)
    found.push(
      doubtful(
        'topics',
        `missing: ${missing.join(', ')}`,
        'They are made when a process starts that may do so.',
      ),
    )
  if (short.length > 0)
    found.push(
      doubtful(
        'topics',
        `kept shorter than set: ${short.join(', ')}`,
        'Raise retention.ms of these topics, or what is not read in time is lost. rowmill_dedup must outlast ingest.dedup.windowMs.',
      ),
    )
  if (few.length > 0)
    found.push(
      doubtful(
        'topics',
        `have fewer partitions than set: ${few.join(', ')}`,
        'Only so many processes share their work. Raise them with kafka-topics --alter when nothing waits.',
      ),
    )
  if (found.length === 0)
    found.push(good('topics', `${specs.length} are there with partitions and retention as set`))
  return found
}

type Waiting = { group: string; topic: string; records: number }

async function waitingOf(
  view: View,
  { described, positions, signal }: Known & { signal: AbortSignal },
): Promise<Waiting[]> {
  const sums = new Map<string, Waiting>()
  for (const { group, topic, partition, position: from } of positions) {
    if (signal.aborted) break
    const bounds = described.find(({ name }) => name === topic)?.bounds[partition]
    const until = bounds?.end ?? from
    if (!(await hasUnread(view, { topic, partition }, { from, until }))) continue
    const sum = sums.get(`${group}/${topic}`) ?? { group, topic, records: 0 }
    sum.records += until - Math.max(from, bounds?.start ?? from)
    sums.set(`${group}/${topic}`, sum)
  }
  return [...sums.values()]
}

type Known = { described: readonly TopicDescription[]; positions: readonly GroupPosition[] }

function behind({ group, topic, records }: Waiting): Finding {
  return doubtful(
    'groups',
    `${records} records of ${topic} wait for ${group}`,
    'Look whether its processes are ready; start more of them, up to the partitions of the topic.',
  )
}

/** A topic with records that no group has begun to read: nobody runs the role. */
function unread(described: readonly TopicDescription[], positions: readonly GroupPosition[]): Finding[] {
  const readers: [topic: string, role: string][] = [
    [names.captured, 'ingest'],
    [names.readyEvents, 'datasets'],
    [names.ledger, 'datasets'],
  ]
  return readers.flatMap(([topic, role]) => {
    const holds = described.find(({ name }) => name === topic)?.bounds.some(({ end }) => end > 0) === true
    const isRead = positions.some((position) => position.topic === topic)
    if (!holds || isRead) return []
    return [doubtful('groups', `nobody has begun to read ${topic}`, `Start a process with the role ${role}.`)]
  })
}

function hours(ms: number): string {
  return `${Math.round(ms / 3_600_000)} h`
}
