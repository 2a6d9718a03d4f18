/**
 * What a group has settled in a partition, and what it has only intended: the offset and the metadata of an
 * offset commit. The metadata is ours if it is JSON that says so; anything else is somebody else's and tells
 * nothing.
 */
import { offsetCommitV8, offsetFetchV7 } from '@platformatic/kafka'
import type { Membership, SettledOffset } from '../produce/transactor.ts'
import { ask, check } from '../wire/answers.ts'
import type { Cluster, Patience } from '../wire/cluster.ts'

export type Standing = {
  topic: string
  partition: number
  position: number
  intended: number | undefined
  resets: number
  /** Names the transaction that settled up to here, where it was one. */
  mark: string | undefined
}

type Kept = Pick<Standing, 'intended' | 'resets' | 'mark'>

const formatVersion = 1

/** At most 120 characters: brokers accept 4096. */
export function writeMetadata({ intended, resets, mark }: Partial<Kept>): string {
  const until = intended === undefined ? {} : { intended }
  const counted = resets === undefined || resets === 0 ? {} : { resets }
  const marked = mark === undefined ? {} : { mark }
  return JSON.stringify({ rowmill: formatVersion, ...until, ...counted, ...marked })
}

/** Foreign metadata, and an intention that is settled already, count for nothing. */
export function readMetadata(text: string | null | undefined, position: number): Kept {
  const nothing = { intended: undefined, resets: 0, mark: undefined }
  if (typeof text !== 'string' || !text.startsWith('{"rowmill":')) return nothing
  const parsed = parse(text)
  if (parsed === undefined || parsed.rowmill !== formatVersion) return nothing
  const { intended, resets, mark } = parsed
  return {
    intended: isCount(intended) && intended > position ? intended : undefined,
    resets: isCount(resets) ? resets : 0,
    mark: typeof mark === 'string' ? mark : undefined,
  }
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    // Begins like ours and is not: somebody else's.
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export type Place = { topic: string; partition: number }

/** What the group has settled, in all its topics or in the places given. Waits for open transactions to end. */
export async function fetchStandings(
  cluster: Cluster,
  group: string,
  options: Patience & { places?: readonly Place[] },
): Promise<Standing[]> {
  const what = `Reading the positions of ${group}`
  const topics =
    options.places === undefined
      ? null
      : [...Map.groupBy(options.places, ({ topic }) => topic)].map(([name, places]) => ({
          name,
          partitionIndexes: places.map(({ partition }) => partition),
        }))
  return await cluster.askCoordinator(
    { kind: 'group', key: group },
    { what, ...options },
    async (connection) => {
      const answer = await ask(connection, offsetFetchV7.api, [{ groupId: group, topics }], true)
      check(answer.errorCode ?? 0, what)
      for (const { errorCode } of answer.groups ?? []) check(errorCode, what)
      const found = answer.topics ?? answer.groups?.[0]?.topics ?? []
      return found.flatMap(({ name, partitions }) =>
        partitions.flatMap(({ partitionIndex, committedOffset, metadata, errorCode }) => {
          check(errorCode, what)
          const position = Number(committedOffset)
          if (position < 0) return []
          return [{ topic: name, partition: partitionIndex, position, ...readMetadata(metadata, position) }]
        }),
      )
    },
  )
}

/** Settles without records. Fails with the `KafkaFailure` of the coordinator, or with `LOG_UNAVAILABLE`. */
export async function commitOffsets(
  cluster: Cluster,
  member: Membership,
  options: Patience & { offsets: readonly SettledOffset[] },
): Promise<void> {
  const what = `Settling for ${member.group}`
  const topics = [...Map.groupBy(options.offsets, ({ topic }) => topic)].map(([name, places]) => ({
    name,
    partitions: places.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    })),
  }))
  const { group, generation, memberId, instanceId } = member
  await cluster.askCoordinator({ kind: 'group', key: group }, { what, ...options }, async (connection) => {
    const answer = await ask(
      connection,
      offsetCommitV8.api,
      ...([group, generation, memberId, instanceId, topics] as const),
    )
    for (const topic of answer.topics) for (const { errorCode } of topic.partitions) check(errorCode, what)
  })
}
