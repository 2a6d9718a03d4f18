/** Where partitions begin and end, and where a time lies in them. */
import { FetchIsolationLevels, listOffsetsV6 } from '@platformatic/kafka'
import { ask, failureOf, type KafkaFailure } from '../wire/answers.ts'
import type { Cluster, Patience } from '../wire/cluster.ts'

export type WirePlace = { topic: string; partition: number }

export type OffsetsWanted = Patience & {
  /** A time in ms, or one of the client's words for the beginning and the end. */
  timestamp: bigint
}

const consumerReplica = -1

/**
 * One offset for each place; the end is that of what is committed. -1 where no record is as late as the time.
 * Fails with `LOG_UNAVAILABLE`.
 */
export async function listOffsets(
  cluster: Cluster,
  places: readonly WirePlace[],
  { timestamp, ...patience }: OffsetsWanted,
): Promise<number[]> {
  const found = new Map<string, number>()
  const name = ({ topic, partition }: WirePlace) => `${topic}/${partition}`
  await cluster.askLeaders({ what: 'Asking for offsets', ...patience }, async () => {
    const missing = places.filter((place) => !found.has(name(place)))
    const byNode = Map.groupBy(missing, ({ topic, partition }) => cluster.leaderOf(topic, partition))
    let failure: KafkaFailure | undefined
    for (const [node, share] of byNode) {
      const topics = [...Map.groupBy(share, ({ topic }) => topic)].map(([topic, inTopic]) => ({
        name: topic,
        partitions: inTopic.map(({ partition }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: -1,
          timestamp,
        })),
      }))
      const connection = await cluster.toNode(node)
      const isolation = FetchIsolationLevels.READ_COMMITTED
      const answer = await ask(connection, listOffsetsV6.api, consumerReplica, isolation, topics)
      for (const { name: topic, partitions } of answer.topics)
        for (const { partitionIndex, errorCode, offset } of partitions)
          if (errorCode === 0) found.set(name({ topic, partition: partitionIndex }), Number(offset))
          else failure = failureOf(errorCode, `Asking for offsets of ${topic}`)
    }
    if (failure !== undefined) throw failure
  })
  return places.map((place) => found.get(name(place)) ?? -1)
}
