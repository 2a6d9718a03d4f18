/**
 * One transactional producer: writes records and settles offsets of groups, both or neither. It has one
 * transaction at a time. After anything but a clean end it registers anew, which makes the coordinator finish
 * what was open, so that a transaction that we gave up does not hold readers back.
 *
 * Whether a transaction was committed is in doubt only when the request to end it was sent and no answer came.
 */
import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  endTxnV3,
  initProducerIdV4,
  txnOffsetCommitV3,
} from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import { ask, check, failureOf, isKafkaFailure, KafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import type { PreparedRecord } from './prepare.ts'
import { type Packed, sendBatches } from './produce-request.ts'
import { packBatch, stampBatch } from './record-batch.ts'

/** A member of a group as the coordinator knows it: a member of an older generation settles nothing. */
export type Membership = {
  group: string
  memberId: string
  generation: number
  instanceId: string | null
}

export type SettledOffset = { topic: string; partition: number; offset: number; metadata: string }

export type Transaction = {
  member: Membership
  offsets: readonly SettledOffset[]
  records: readonly PreparedRecord[]
}

/** The transaction may have been committed: its offsets tell. */
export class InDoubt extends Error {
  override readonly name = 'InDoubt'
}

const sequenceMax = 2 ** 31

type Identity = { producerId: bigint; epoch: number; sequences: Map<string, number> }

export class Transactor {
  readonly #cluster: Cluster
  readonly #id: string
  readonly #lane: { name: string }
  #identity: Identity | undefined

  constructor(cluster: Cluster, id: string, lane: string) {
    this.#cluster = cluster
    this.#id = id
    this.#lane = { name: lane }
  }

  /** Whether the next transaction needs no registration before it. */
  get isReady(): boolean {
    return this.#identity !== undefined
  }

  /**
   * Fails with `InDoubt`, with `LOG_UNAVAILABLE` or `RECORD_TOO_LARGE`, or with the `KafkaFailure` that says why
   * the group's coordinator refuses: in all these but the first nothing was written and nothing settled.
   */
  async run(transaction: Transaction): Promise<void> {
    const deadline = this.#cluster.context.clock.monotonic() + this.#cluster.config.appendTimeoutMs
    const identity = await this.#register(deadline)
    try {
      await this.#fill(transaction, identity, deadline)
    } catch (error) {
      this.#identity = undefined
      throw this.#translate(error)
    }
    await this.#end(identity, deadline)
  }

  /** Registers with the coordinator, which ends what an earlier owner of the name has left open. */
  async register(): Promise<void> {
    await this.#register(this.#cluster.context.clock.monotonic() + this.#cluster.config.appendTimeoutMs)
  }

  async #register(deadline: number): Promise<Identity> {
    if (this.#identity !== undefined) return this.#identity
    const { transactionTimeoutMs } = this.#cluster.config
    const answer = await this.#coordinate('Registering a producer', deadline, async (connection) => {
      const given = await ask(connection, initProducerIdV4.api, this.#id, transactionTimeoutMs)
      check(given.errorCode, 'Registering a producer')
      return given
    }).catch((error: unknown) => {
      throw this.#translate(error)
    })
    const { producerId, producerEpoch } = answer
    this.#identity = { producerId, epoch: producerEpoch, sequences: new Map() }
    return this.#identity
  }

  async #fill(transaction: Transaction, identity: Identity, deadline: number): Promise<void> {
    const parts = [this.#settle(transaction, identity, deadline)]
    if (transaction.records.length > 0) parts.push(this.#write(transaction.records, identity, deadline))
    const results = await Promise.allSettled(parts)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async #settle({ member, offsets }: Transaction, identity: Identity, deadline: number): Promise<void> {
    const { producerId, epoch } = identity
    const { group, generation, memberId, instanceId } = member
    await this.#coordinate('Adding a group to a transaction', deadline, async (connection) => {
      const answer = await ask(connection, addOffsetsToTxnV3.api, this.#id, producerId, epoch, group)
      check(answer.errorCode, 'Adding a group to a transaction')
    })
    const what = 'Settling in a transaction'
    const to = { kind: 'group', key: group, lane: this.#lane } as const
    await this.#cluster.askCoordinator(to, { what, ...this.#left(deadline) }, async (connection) => {
      const topics = [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, places]) => ({
        name,
        partitions: places.map(({ partition, offset, metadata }) => ({
          partitionIndex: partition,
          committedOffset: BigInt(offset),
          committedLeaderEpoch: -1,
          committedMetadata: metadata,
        })),
      }))
      const answer = await ask(
        connection,
        txnOffsetCommitV3.api,
        ...([this.#id, group, producerId, epoch, generation, memberId, instanceId, topics] as const),
      )
      for (const topic of answer.topics) for (const { errorCode } of topic.partitions) check(errorCode, what)
    })
  }

  async #write(records: readonly PreparedRecord[], identity: Identity, deadline: number): Promise<void> {
    const { producerId, epoch } = identity
    const batches = this.#pack(records, identity)
    const topics = [...Map.groupBy(batches, ({ topic }) => topic)].map(([name, inTopic]) => ({
      name,
      partitions: [...new Set(inTopic.map(({ partition }) => partition))],
    }))
    await this.#coordinate('Adding partitions to a transaction', deadline, async (connection) => {
      const answer = await ask(connection, addPartitionsToTxnV3.api, [
        { transactionalId: this.#id, producerId, producerEpoch: epoch, verifyOnly: false, topics },
      ])
      const codes = answer.resultsByTransaction.flatMap(({ topicResults }) =>
        topicResults.flatMap(({ resultsByPartition }) => resultsByPartition),
      )
      for (const { partitionErrorCode } of codes)
        check(partitionErrorCode, 'Adding partitions to a transaction')
    })
    for (const round of roundsOf(batches)) await this.#send(round, deadline)
  }

  /** Batches under their final numbers: what is sent again is sent under the same. */
  #pack(records: readonly PreparedRecord[], { producerId, epoch, sequences }: Identity): Packed[] {
    const { batchBytesMax, compression } = this.#cluster.config
    const packed: Packed[] = []
    const byPlace = Map.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`)
    for (const [place, all] of byPlace)
      for (const part of cut(all, batchBytesMax)) {
        const [first] = part
        if (first === undefined) continue
        const batch = packBatch(part, compression)
        const sequence = sequences.get(place) ?? 0
        stampBatch(batch, { producerId, epoch, sequence, isTransactional: true })
        sequences.set(place, (sequence + part.length) % sequenceMax)
        packed.push({ topic: first.topic, partition: first.partition, batch })
      }
    return packed
  }

  async #send(batches: readonly Packed[], deadline: number): Promise<void> {
    let unsent = [...batches]
    const what = 'Writing in a transaction'
    await this.#cluster.askLeaders({ what, ...this.#left(deadline) }, async () => {
      const byNode = Map.groupBy(unsent, ({ topic, partition }) => this.#cluster.leaderOf(topic, partition))
      const sends = [...byNode].map(([node, share]) => this.#sendTo(node, share))
      const results = await Promise.allSettled(sends)
      const failed = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
      const lost = results.find((result) => result.status === 'rejected')
      if (lost !== undefined) throw lost.reason
      unsent = failed.map(({ batch }) => batch)
      const worst = failed.find(({ failure }) => !failure.isRetryable) ?? failed[0]
      if (worst !== undefined) throw worst.failure
    })
  }

  async #sendTo(node: number, batches: readonly Packed[]) {
    const connection = await this.#cluster.toNode(node, this.#lane)
    const answers = await sendBatches(connection, batches, {
      transactionalId: this.#id,
      timeoutMs: this.#cluster.config.requestTimeoutMs,
    })
    return batches.flatMap((batch, index) => {
      const code = answers[index]?.code ?? 0
      return code === 0 ? [] : [{ batch, failure: failureOf(code, 'Writing in a transaction') }]
    })
  }

  async #end({ producerId, epoch }: Identity, deadline: number): Promise<void> {
    try {
      await this.#coordinate('Ending a transaction', deadline, async (connection) => {
        const answer = await ask(connection, endTxnV3.api, this.#id, producerId, epoch, true)
        check(answer.errorCode, 'Ending a transaction')
      })
    } catch (error) {
      this.#identity = undefined
      throw new InDoubt('A transaction may have been committed.', { cause: error })
    }
  }

  async #coordinate<T>(
    what: string,
    deadline: number,
    attempt: Parameters<typeof Cluster.prototype.askCoordinator<T>>[2],
  ): Promise<T> {
    const to = { kind: 'transaction', key: this.#id, lane: this.#lane } as const
    return await this.#cluster.askCoordinator(to, { what, ...this.#left(deadline) }, attempt)
  }

  #left(deadline: number): { withinMs: number } {
    return { withinMs: Math.max(0, deadline - this.#cluster.context.clock.monotonic()) }
  }

  /** A transaction that the coordinator gave up, or a name that somebody else took, is begun again. */
  #translate(error: unknown): unknown {
    if (!isKafkaFailure(error)) return error
    switch (error.code) {
      case 'MESSAGE_TOO_LARGE':
      case 'RECORD_LIST_TOO_LARGE':
        return new RowmillError('RECORD_TOO_LARGE', 'A record is larger than its topic on Kafka accepts.', {
          cause: error,
        })
      case 'FENCED_INSTANCE_ID':
      case 'ILLEGAL_GENERATION':
      case 'REBALANCE_IN_PROGRESS':
      case 'UNKNOWN_MEMBER_ID':
        return error
      default:
        return new RowmillError('LOG_UNAVAILABLE', `A transaction on Kafka failed: ${error.code}.`, {
          cause: new KafkaFailure(error.code, error.message),
        })
    }
  }
}

/** Batches of one partition must arrive one after the other: the first of each, then the second of each. */
function roundsOf(batches: readonly Packed[]): Packed[][] {
  const rounds: Packed[][] = []
  const seen = new Map<string, number>()
  for (const batch of batches) {
    const place = `${batch.topic}/${batch.partition}`
    const round = seen.get(place) ?? 0
    seen.set(place, round + 1)
    const found = rounds[round] ?? []
    found.push(batch)
    rounds[round] = found
  }
  return rounds
}

/** Pieces of at most `bytesMax`, with at least one record each. */
function cut(records: readonly PreparedRecord[], bytesMax: number): PreparedRecord[][] {
  const parts: PreparedRecord[][] = []
  let part: PreparedRecord[] = []
  let bytes = 0
  for (const record of records) {
    if (part.length > 0 && bytes + record.bytes > bytesMax) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(record)
    bytes += record.bytes
  }
  if (part.length > 0) parts.push(part)
  return parts
}
