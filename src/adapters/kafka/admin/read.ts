/** Reading outside of groups: one record, a range of a partition, the offset of a time. */
import { ListOffsetTimestamps } from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { LogRecord, ScanOptions } from '../../../ports/log.ts'
import { decodePartition, type Fetched } from '../consume/decode.ts'
import { fetchFrom } from '../consume/fetcher.ts'
import type { Names } from '../names.ts'
import { check, codeName, KafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { listOffsets } from './offsets.ts'

type ReadPlace = { wireTopic: string; topic: string; partition: number }

const lane = { name: 'read' }
/** For what is there already and only has to be found. */
const waitMs = 100

export class Reader {
  readonly #cluster: Cluster
  readonly #names: Names

  constructor(cluster: Cluster, names: Names) {
    this.#cluster = cluster
    this.#names = names
  }

  async read(topic: string, partition: number, offset: number): Promise<LogRecord | undefined> {
    const place = await this.#place(topic, partition)
    const [end = 0] = await this.#offsets(place, ListOffsetTimestamps.LATEST)
    if (!Number.isInteger(offset) || offset < 0 || offset >= end) return undefined
    const fetched = await this.#fetch(place, { from: offset, bytesMax: 1 })
    return fetched?.records.find((record) => record.offset === offset)
  }

  async *scan({ topic, partition, from, until, signal }: ScanOptions): AsyncGenerator<LogRecord[]> {
    const place = await this.#place(topic, partition)
    const [start = 0] = await this.#offsets(place, ListOffsetTimestamps.EARLIEST)
    const [end = 0] = await this.#offsets(place, ListOffsetTimestamps.LATEST)
    const last = Math.min(until ?? end, end)
    let offset = Math.max(from, start)
    while (offset < last && signal?.aborted !== true) {
      const { fetchBytesMax: bytesMax } = this.#cluster.config
      const fetched = await this.#fetch(place, { from: offset, bytesMax })
      // Retention was faster: what is left begins later.
      if (fetched === undefined) {
        const [later = last] = await this.#offsets(place, ListOffsetTimestamps.EARLIEST)
        offset = Math.max(offset + 1, later)
        continue
      }
      offset = fetched.nextOffset
      const records = fetched.records.filter((record) => record.offset < last)
      if (records.length > 0) yield records
    }
  }

  async offsetAt(topic: string, partition: number, timestampMs: number): Promise<number> {
    const place = await this.#place(topic, partition)
    const [found = -1] = await this.#offsets(place, BigInt(Math.max(0, Math.ceil(timestampMs))))
    if (found >= 0) return found
    const [end = 0] = await this.#offsets(place, ListOffsetTimestamps.LATEST)
    return end
  }

  async #place(topic: string, partition: number): Promise<ReadPlace> {
    const wireTopic = this.#names.toWire(topic)
    const { leaders } = await this.#cluster.topic(wireTopic, this.#patience)
    if (!Number.isInteger(partition) || partition < 0 || partition >= leaders.length)
      throw new RowmillError('TOPIC_UNKNOWN', `The topic ${topic} has no partition ${partition}.`)
    return { wireTopic, topic, partition }
  }

  async #offsets({ wireTopic, partition }: ReadPlace, timestamp: bigint): Promise<number[]> {
    return await listOffsets(this.#cluster, [{ topic: wireTopic, partition }], {
      ...this.#patience,
      timestamp,
    })
  }

  /** What stands at `from`, at least one batch; `undefined` where it was deleted. */
  async #fetch(
    place: ReadPlace,
    { from, bytesMax }: { from: number; bytesMax: number },
  ): Promise<Fetched | undefined> {
    const what = `Reading ${place.topic}`
    return await this.#cluster.askLeaders({ what, ...this.#patience }, async () => {
      const node = this.#cluster.leaderOf(place.wireTopic, place.partition)
      const connection = await this.#cluster.toNode(node, lane)
      const answer = await fetchFrom(connection, [{ ...place, fetchedUntil: from }], { waitMs, bytesMax })
      check(answer.errorCode, what)
      const partition = answer.responses[0]?.partitions[0]
      if (partition === undefined) throw new KafkaFailure('UNKNOWN_SERVER_ERROR', 'An empty answer.')
      if (codeName(partition.errorCode) === 'OFFSET_OUT_OF_RANGE') return undefined
      check(partition.errorCode, what)
      const fetched = decodePartition(partition, { topic: place.topic, from })
      if (fetched.nextOffset === from) throw new KafkaFailure('OFFSET_NOT_AVAILABLE', 'Nothing came.')
      return fetched
    })
  }

  get #patience() {
    return { withinMs: this.#cluster.config.operationTimeoutMs }
  }
}
