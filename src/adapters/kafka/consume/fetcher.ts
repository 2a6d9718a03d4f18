/**
 * Reads ahead for the cursors of one consumer: one request to a broker for all partitions that it leads and
 * that have room, and further ones for those that want more while the broker still holds the first.
 */
import { type Connection, FetchIsolationLevels, fetchV12, ListOffsetTimestamps } from '@platformatic/kafka'
import { retryDelay } from '../../../std/retry.ts'
import { listOffsets } from '../admin/offsets.ts'
import { ask, check, codeName, failureOf, isKafkaFailure, KafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { Cursor } from './cursor.ts'
import { decodePartition } from './decode.ts'

/** Requests that a broker may hold at a time, each on a connection of its own. */
const laneNumbers = [0, 1, 2] as const
const noSession = { id: 0, epoch: -1 } as const
const wholeAnswerBytesMax = 50 * 1024 * 1024

export type FetchPlace = {
  wireTopic: string
  topic: string
  partition: number
  from: number
}

export class Fetcher implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #lane: string
  readonly #cursors = new Set<Cursor>()
  /** The lanes of each broker that are busy. */
  readonly #busy = new Map<number, Set<number>>()
  readonly #running = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #isDue = false

  /** `lane` names the connections, which are this fetcher's alone. */
  constructor(cluster: Cluster, lane: string) {
    this.#cluster = cluster
    this.#lane = lane
  }

  open(place: FetchPlace): Cursor {
    const { prefetchBytesMax } = this.#cluster.config
    const cursor = new Cursor(place, { prefetchBytesMax, onWish: () => this.#wish() })
    this.#cursors.add(cursor)
    this.#wish()
    return cursor
  }

  close(cursor: Cursor): void {
    cursor.close()
    this.#cursors.delete(cursor)
  }

  /** Looks once in this turn what is wanted. */
  #wish(): void {
    if (this.#isDue || this.#closing.signal.aborted) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      this.#request()
    })
  }

  #request(): void {
    if (this.#closing.signal.aborted) return
    const byNode = new Map<number, Cursor[]>()
    for (const cursor of this.#cursors) {
      if (!cursor.isWanted) continue
      const leader = this.#cluster.known(cursor.wireTopic)?.leaders[cursor.partition] ?? -1
      if (leader < 0) this.#delay([cursor], new KafkaFailure('LEADER_NOT_AVAILABLE', 'No leader.'))
      else byNode.set(leader, [...(byNode.get(leader) ?? []), cursor])
    }
    for (const [node, cursors] of byNode) {
      const busy = this.#busy.get(node) ?? new Set()
      this.#busy.set(node, busy)
      const free = laneNumbers.find((number) => !busy.has(number))
      if (free === undefined) continue
      busy.add(free)
      for (const cursor of cursors) cursor.isRequested = true
      this.#track(this.#fetch(node, { cursors, number: free }), () => {
        busy.delete(free)
        this.#wish()
      })
    }
  }

  #track(work: Promise<void>, done?: () => void): void {
    const running = work.finally(() => {
      this.#running.delete(running)
      done?.()
    })
    this.#running.add(running)
  }

  async #fetch(
    node: number,
    { cursors, number }: { cursors: readonly Cursor[]; number: number },
  ): Promise<void> {
    const { fetchWaitMs, requestTimeoutMs } = this.#cluster.config
    try {
      const connection = await this.#cluster.toNode(node, {
        name: `${this.#lane}-${number}`,
        requestTimeoutMs: requestTimeoutMs + fetchWaitMs,
      })
      await this.#take(connection, cursors)
    } catch (error) {
      for (const cursor of cursors) cursor.isRequested = false
      if (isKafkaFailure(error)) this.#delay(cursors, error)
      else for (const cursor of cursors) cursor.fail(error)
    }
  }

  async #take(connection: Connection, cursors: readonly Cursor[]): Promise<void> {
    const { fetchWaitMs, fetchBytesMax } = this.#cluster.config
    const answer = await fetchFrom(connection, cursors, { waitMs: fetchWaitMs, bytesMax: fetchBytesMax })
    check(answer.errorCode, 'Fetching')
    const found = new Map(
      answer.responses.flatMap(({ topicId, partitions }) =>
        partitions.map((partition) => [`${topicId}/${partition.partitionIndex}`, partition] as const),
      ),
    )
    for (const cursor of cursors) {
      cursor.isRequested = false
      const partition = found.get(`${cursor.wireTopic}/${cursor.partition}`)
      if (partition === undefined || cursor.isClosed) continue
      if (partition.errorCode === 0) {
        cursor.tries = 0
        const fetched = decodePartition(partition, { topic: cursor.topic, from: cursor.fetchedUntil })
        if (fetched.nextOffset > cursor.fetchedUntil) cursor.add(fetched)
      } else if (codeName(partition.errorCode) === 'OFFSET_OUT_OF_RANGE')
        this.#track(this.#skipDeleted(cursor))
      else this.#delay([cursor], failureOf(partition.errorCode, `Fetching ${cursor.wireTopic}`))
    }
  }

  /** Retention was faster than the reader: it goes on where the partition begins now. */
  async #skipDeleted(cursor: Cursor): Promise<void> {
    cursor.isRequested = true
    try {
      const place = { topic: cursor.wireTopic, partition: cursor.partition }
      const [start] = await listOffsets(this.#cluster, [place], {
        timestamp: ListOffsetTimestamps.EARLIEST,
        withinMs: this.#cluster.config.operationTimeoutMs,
        signal: this.#closing.signal,
      })
      if (start !== undefined && start > cursor.fetchedUntil)
        cursor.add({ records: [], bytes: 0, nextOffset: start })
      else
        cursor.fail(new KafkaFailure('OFFSET_OUT_OF_RANGE', `${cursor.wireTopic} ends before the position.`))
    } catch (error) {
      if (isKafkaFailure(error)) this.#delay([cursor], error)
      else cursor.fail(error)
    }
    cursor.isRequested = false
    this.#wish()
  }

  #delay(cursors: readonly Cursor[], failure: KafkaFailure): void {
    if (this.#closing.signal.aborted) return
    if (!failure.isRetryable) {
      for (const cursor of cursors) cursor.fail(failure)
      return
    }
    const { context, config } = this.#cluster
    context.metrics.count('log_kafka_retries_total', 1, { code: failure.code })
    const policy = { attemptsMax: 0, delayMs: config.retryDelayMs, delayMaxMs: config.retryDelayMaxMs }
    let longestMs = 0
    for (const cursor of cursors) {
      longestMs = Math.max(longestMs, retryDelay(policy, ++cursor.tries, context.random.next()))
      cursor.isResting = true
    }
    this.#track(this.#refreshAndWish(cursors, longestMs))
  }

  /** Ends the rest itself: a timer may be early by what two readings of the clock differ in. */
  async #refreshAndWish(cursors: readonly Cursor[], delayMs: number): Promise<void> {
    await this.#cluster.refreshQuietly()
    await this.#cluster.context.clock.sleep(delayMs, { signal: this.#closing.signal })
    for (const cursor of cursors) cursor.isResting = false
    this.#wish()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    for (const cursor of this.#cursors) this.close(cursor)
    for (const number of laneNumbers) await this.#cluster.connections.closeLane(`${this.#lane}-${number}`)
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}

type Wanted = { wireTopic: string; partition: number; fetchedUntil: number }

/** One request for what stands at these places, committed records alone. */
export async function fetchFrom(
  connection: Connection,
  places: readonly Wanted[],
  { waitMs, bytesMax }: { waitMs: number; bytesMax: number },
): Promise<fetchV12.FetchResponse> {
  const topics = [...Map.groupBy(places, ({ wireTopic }) => wireTopic)].map(([topicId, partitions]) => ({
    topicId,
    partitions: partitions.map(({ partition, fetchedUntil }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(fetchedUntil),
      lastFetchedEpoch: -1,
      partitionMaxBytes: bytesMax,
    })),
  }))
  return await ask(
    connection,
    fetchV12.api,
    ...([waitMs, 1, wholeAnswerBytesMax, FetchIsolationLevels.READ_COMMITTED] as const),
    ...forgettingNothing(topics),
  )
}

function forgettingNothing(
  topics: fetchV12.FetchRequestTopic[],
): [
  id: number,
  epoch: number,
  fetchV12.FetchRequestTopic[],
  fetchV12.FetchRequestForgottenTopicsData[],
  string,
] {
  return [noSession.id, noSession.epoch, topics, [], '']
}
