/**
 * One member of a consumer group, in Kafka's classic protocol with cooperative rebalancing: it joins, hears what
 * it may read, says every now and then that it lives, and joins again when the group changes, all the while
 * keeping what it holds. What it holds is its own until it says otherwise or the coordinator has given it up.
 */
import {
  type Connection,
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV7 as join,
  type joinGroupV7,
  leaveGroupV4,
  syncGroupV5,
} from '@platformatic/kafka'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import { retryDelay } from '../../../std/retry.ts'
import type { Membership } from '../produce/transactor.ts'
import { ask, check, codeName, isKafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { assign } from './assign.ts'
import type { Place } from './standing.ts'

export type MemberOptions = {
  /** Names on the wire. */
  group: string
  topics: readonly string[]
  instanceId: string | undefined
  /** Begins the names of this member's connections. */
  lane: string
}

export type MemberHooks = {
  /** What is held at the moment, and may be nobody else's. */
  owned(): Place[]
  /** All that may be held from now on. */
  onAssigned(places: readonly Place[]): void
  /** The coordinator has given up this member: what it held may be others' already. */
  onLost(): void
}

const protocolType = 'consumer'
/** The name of Kafka's own, and its rules: members of both kinds may meet in a group. */
const protocolName = 'cooperative-sticky'
const subscriptionVersion = 2
/** A round in which something moved is followed by another: whoever was in it asks more often for a while. */
const eagerBeats = 20
const eagerShare = 0.1

export class GroupMember {
  readonly #cluster: Cluster
  readonly #options: MemberOptions
  readonly #hooks: MemberHooks
  readonly #ended = new AbortController()
  #memberId = ''
  #generation = -1
  #isJoining = true
  #isRejoinWanted = false
  #wake: (() => void) | undefined
  readonly #waiting: (() => void)[] = []
  /** What was handed out by this member as the leader, by topic: more partitions later mean another round. */
  #counts: Map<string, number> | undefined

  constructor(cluster: Cluster, options: MemberOptions, hooks: MemberHooks) {
    this.#cluster = cluster
    this.#options = options
    this.#hooks = hooks
  }

  get membership(): Membership {
    return {
      group: this.#options.group,
      memberId: this.#memberId,
      generation: this.#generation,
      instanceId: this.#options.instanceId ?? null,
    }
  }

  /** Asks for another round: something was let go. */
  rejoin(): void {
    this.#isRejoinWanted = true
    this.#wake?.()
  }

  /** Resolves when the member has joined anew since it was `generation`, or the signal aborts. */
  async joinedSince(generation: number, signal: AbortSignal): Promise<void> {
    if (!this.#isJoining && this.#generation !== generation) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
    // A coordinator that has moved on says so in the next heartbeat.
    this.#wake?.()
    await promise
  }

  /** Joins and stays until `end`. Throws what no patience mends. */
  async run(): Promise<void> {
    const { signal } = this.#ended
    for (let tries = 1; !signal.aborted; )
      try {
        await this.#joinOnce()
        tries = 1
        await this.#beat()
      } catch (error) {
        if (signal.aborted) return
        await this.#recover(error, tries++)
      }
  }

  /** Ends `run` and, unless the member keeps its place while it is away, leaves the group. */
  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#wake?.()
    for (const resolve of this.#waiting.splice(0)) resolve()
    await this.#cluster.connections.closeLane(this.#joinLane.name)
    if (this.#memberId === '' || this.#options.instanceId !== undefined) return
    try {
      await this.#ask(this.#beatLane, (connection) =>
        ask(connection, leaveGroupV4.api, this.#options.group, [{ memberId: this.#memberId }]),
      )
    } catch (error) {
      if (!isKafkaFailure(error)) throw error
      this.#cluster.context.logger.debug({ error }, 'A consumer of a group could not say that it leaves')
    }
    await this.#cluster.connections.closeLane(this.#beatLane.name)
  }

  get #joinLane() {
    const { rebalanceTimeoutMs, requestTimeoutMs } = this.#cluster.config
    return { name: `${this.#options.lane}-join`, requestTimeoutMs: rebalanceTimeoutMs + requestTimeoutMs }
  }

  get #beatLane() {
    return { name: `${this.#options.lane}-beat` }
  }

  async #recover(error: unknown, tries: number): Promise<void> {
    const { clock, random, logger } = this.#cluster.context
    const { group } = this.#options
    if (isRowmillError(error, 'LOG_UNAVAILABLE'))
      logger.warn({ group, error }, 'A consumer waits for Kafka to answer')
    else if (!isKafkaFailure(error)) throw error
    else if (error.code === 'UNKNOWN_MEMBER_ID') {
      logger.warn({ group }, 'A consumer was given up by its group and joins it as a new one')
      this.#memberId = ''
      this.#generation = -1
      this.#hooks.onLost()
    } else if (error.code === 'REBALANCE_IN_PROGRESS' || error.code === 'ILLEGAL_GENERATION') return
    else if (!error.isRetryable) throw this.#fatal(error)
    const { retryDelayMs: delayMs, retryDelayMaxMs: delayMaxMs } = this.#cluster.config
    const waitMs = retryDelay({ attemptsMax: 0, delayMs, delayMaxMs }, tries, random.next())
    await clock.sleep(waitMs, { signal: this.#ended.signal })
  }

  #fatal(error: Error & { code: string }): RowmillError {
    const { group, instanceId } = this.#options
    const message =
      error.code === 'FENCED_INSTANCE_ID'
        ? `Another consumer of the group ${group} has the instanceId ${instanceId}: give each process its own.`
        : error.code === 'INCONSISTENT_GROUP_PROTOCOL'
          ? `The group ${group} has consumers that share partitions in another way: stop them, or set another group.`
          : `Kafka does not let us join the group ${group}: ${error.code}.`
    return new RowmillError('CONFIG_INVALID', message, { cause: error })
  }

  async #joinOnce(): Promise<void> {
    this.#isJoining = true
    this.#isRejoinWanted = false
    const { operationTimeoutMs: withinMs } = this.#cluster.config
    for (const topic of this.#options.topics)
      await this.#cluster.topic(topic, { withinMs, signal: this.#ended.signal })
    const joined = await this.#join()
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const isLeader = joined.leader === joined.memberId
    const assignments = isLeader ? await this.#share(joined.members) : []
    if (!isLeader) this.#counts = undefined
    const places = await this.#sync(assignments)
    this.#isJoining = false
    this.#cluster.context.metrics.count('log_kafka_rebalances_total', 1, { group: this.#options.group })
    this.#hooks.onAssigned(places)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #join(): Promise<joinGroupV7.JoinGroupResponse> {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#cluster.config
    const { group, instanceId = null } = this.#options
    for (;;) {
      const metadata = this.#subscription()
      const answer = await this.#ask(this.#joinLane, (connection) =>
        ask(
          connection,
          join.api,
          ...([group, sessionTimeoutMs, rebalanceTimeoutMs, this.#memberId, instanceId] as const),
          protocolType,
          [{ name: protocolName, metadata }],
        ),
      )
      if (codeName(answer.errorCode) !== 'MEMBER_ID_REQUIRED') {
        check(answer.errorCode, `Joining the group ${group}`)
        return answer
      }
      this.#memberId = answer.memberId
    }
  }

  #subscription(): Buffer {
    return encodeConsumerProtocolSubscription({
      version: subscriptionVersion,
      topics: [...this.#options.topics],
      userData: Buffer.alloc(0),
      ownedPartitions: byTopic(this.#hooks.owned()),
      generationId: this.#generation,
    })
  }

  /** The leader says who reads what. */
  async #share(members: readonly joinGroupV7.JoinGroupResponseMember[]) {
    const subscribed = members.map(({ memberId, metadata }) => {
      const { topics, ownedPartitions, generationId } = decodeConsumerProtocolSubscription(metadata)
      const owned = (ownedPartitions ?? []).flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      )
      return { id: memberId, topics, owned, generation: generationId ?? -1 }
    })
    const topics = [...new Set(subscribed.flatMap((member) => member.topics))]
    await this.#cluster.refresh(topics)
    const countOf = (topic: string) => this.#cluster.known(topic)?.leaders.length ?? 0
    this.#counts = new Map(topics.map((topic) => [topic, countOf(topic)]))
    return [...assign(subscribed, countOf)].map(([memberId, share]) => ({
      memberId,
      assignment: encodeConsumerProtocolAssignment({
        version: subscriptionVersion,
        assignedPartitions: [...share].map(([topic, partitions]) => ({ topic, partitions })),
        userData: Buffer.alloc(0),
      }),
    }))
  }

  async #sync(assignments: syncGroupV5.SyncGroupRequestAssignment[]): Promise<Place[]> {
    const { group, instanceId = null } = this.#options
    const answer = await this.#ask(this.#joinLane, (connection) =>
      ask(
        connection,
        syncGroupV5.api,
        ...([group, this.#generation, this.#memberId, instanceId] as const),
        ...([protocolType, protocolName, assignments] as const),
      ),
    )
    check(answer.errorCode, `Joining the group ${group}`)
    return decodeConsumerProtocolAssignment(answer.assignment).assignedPartitions.flatMap(
      ({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })),
    )
  }

  /** Says that the member lives until another round is needed. */
  async #beat(): Promise<void> {
    const { heartbeatIntervalMs } = this.#cluster.config
    const { signal } = this.#ended
    let failures = 0
    for (let beats = 0; !this.#isRejoinWanted && !signal.aborted; beats++) {
      const usualMs = beats < eagerBeats ? heartbeatIntervalMs * eagerShare : heartbeatIntervalMs
      await this.#pause(failures === 0 ? usualMs : this.#cluster.config.retryDelayMaxMs)
      if (this.#isRejoinWanted || signal.aborted) return
      try {
        await this.#beatOnce()
        failures = 0
      } catch (error) {
        if (!isKafkaFailure(error) || !error.isRetryable) throw error
        failures++
        this.#cluster.context.metrics.count('log_kafka_retries_total', 1, { code: error.code })
      }
      if (await this.#hasMorePartitions()) return
    }
  }

  async #beatOnce(): Promise<void> {
    const { group, instanceId = null } = this.#options
    const answer = await this.#ask(this.#beatLane, (connection) =>
      ask(connection, heartbeatV4.api, group, this.#generation, this.#memberId, instanceId),
    )
    check(answer.errorCode, 'A heartbeat')
  }

  async #pause(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#cluster.context.clock.sleep(ms, { signal: woken.signal })
    this.#wake = undefined
  }

  async #hasMorePartitions(): Promise<boolean> {
    if (this.#counts === undefined) return false
    if (this.#cluster.isStale) await this.#cluster.refreshQuietly()
    for (const [topic, count] of this.#counts)
      if ((this.#cluster.known(topic)?.leaders.length ?? count) > count) return true
    return false
  }

  async #ask<T>(
    lane: { name: string; requestTimeoutMs?: number },
    attempt: (connection: Connection) => Promise<T & { errorCode: number }>,
  ): Promise<T & { errorCode: number }> {
    const { group } = this.#options
    try {
      const answer = await attempt(await this.#cluster.toCoordinator('group', group, lane))
      const code = codeName(answer.errorCode)
      if (code === 'NOT_COORDINATOR' || code === 'COORDINATOR_NOT_AVAILABLE')
        this.#cluster.forgetCoordinator('group', group)
      return answer
    } catch (error) {
      if (isKafkaFailure(error) && error.isMisdirected) this.#cluster.forgetCoordinator('group', group)
      throw error
    }
  }
}

function byTopic(places: readonly Place[]): { topic: string; partitions: number[] }[] {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, inTopic]) => ({
    topic,
    partitions: inTopic.map(({ partition }) => partition),
  }))
}
