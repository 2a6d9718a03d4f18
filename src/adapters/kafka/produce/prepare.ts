/** From records as a caller gives them to records that know their partition and their size. */
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { NewRecord } from '../../../ports/log.ts'
import { murmur2Partition } from '../../../std/murmur2.ts'
import type { Names } from '../names.ts'
import type { Cluster, WireTopic } from '../wire/cluster.ts'
import { type PackableRecord, packedBytesOf, packHeaders } from './record-batch.ts'

export type PreparedRecord = PackableRecord & { topic: string; partition: number; bytes: number }

/** Brokers refuse records from the future: those of clocks that are ahead get the time of the append. */
const aheadMsMax = 60_000

/** Where records without a key go: the same partition until it was sent, as librdkafka's sticky partitioner. */
export type Sticky = Map<string, number>

export class Preparation {
  readonly #cluster: Cluster
  readonly #names: Names

  constructor(cluster: Cluster, names: Names) {
    this.#cluster = cluster
    this.#names = names
  }

  /** Fails with `TOPIC_UNKNOWN`, `RECORD_TOO_LARGE` or `LOG_UNAVAILABLE`, for all of them. */
  async prepare(
    records: readonly NewRecord[],
    options: { sticky: Sticky; withinMs: number },
  ): Promise<PreparedRecord[]> {
    const topics = this.#topicsNow(records) ?? (await this.#topics(records, options.withinMs))
    if (this.#cluster.isStale) void this.#cluster.refreshQuietly()
    const nowMs = this.#cluster.context.clock.now()
    const prepared: PreparedRecord[] = []
    for (const record of records) {
      const topic = topics.get(record.topic)
      if (topic === undefined) throw new RowmillError('TOPIC_UNKNOWN', `There is no topic ${record.topic}.`)
      prepared.push(this.#one(record, topic, { nowMs, sticky: options.sticky }))
    }
    return prepared
  }

  #topicsNow(records: readonly NewRecord[]): Map<string, WireTopic> | undefined {
    const topics = new Map<string, WireTopic>()
    for (const { topic } of records) {
      if (topics.has(topic)) continue
      const known = this.#cluster.known(this.#names.toWire(topic))
      if (known === undefined) return undefined
      topics.set(topic, known)
    }
    return topics
  }

  async #topics(records: readonly NewRecord[], withinMs: number): Promise<Map<string, WireTopic>> {
    const topics = new Map<string, WireTopic>()
    for (const name of new Set(records.map(({ topic }) => topic)))
      topics.set(name, await this.#cluster.topic(this.#names.toWire(name), { withinMs }))
    return topics
  }

  #one(record: NewRecord, topic: WireTopic, how: { nowMs: number; sticky: Sticky }): PreparedRecord {
    const key = typeof record.key === 'string' ? Buffer.from(record.key) : record.key
    const timestampMs = Math.min(record.timestampMs ?? how.nowMs, how.nowMs + aheadMsMax)
    const packable = {
      key,
      value: record.value,
      headers: packHeaders(record.headers),
      timestampMs: Math.round(timestampMs),
    }
    const bytes = packedBytesOf(packable)
    const { recordBytesMax } = this.#cluster.config
    if (bytes > recordBytesMax)
      throw new RowmillError(
        'RECORD_TOO_LARGE',
        `A record of ${bytes} bytes is larger than the ${recordBytesMax} that the log accepts.`,
      )
    const partition = this.#partitionOf(record.partition, key, { topic, sticky: how.sticky })
    return { ...packable, topic: topic.name, partition, bytes }
  }

  #partitionOf(
    fixed: number | undefined,
    key: Buffer | null,
    { topic, sticky }: { topic: WireTopic; sticky: Sticky },
  ): number {
    const count = topic.leaders.length
    if (fixed !== undefined) {
      if (Number.isInteger(fixed) && fixed >= 0 && fixed < count) return fixed
      throw new RowmillError('TOPIC_UNKNOWN', `The topic ${topic.name} has no partition ${fixed}.`)
    }
    if (key !== null) return murmur2Partition(key, count)
    const stuck = sticky.get(topic.name)
    if (stuck !== undefined && stuck < count) return stuck
    const chosen = Math.floor(this.#cluster.context.random.next() * count)
    sticky.set(topic.name, chosen)
    return chosen
  }
}
