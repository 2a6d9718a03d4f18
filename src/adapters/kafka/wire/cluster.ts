/**
 * Who leads which partition and who coordinates what, asked for when it is needed and again when an answer
 * shows that it has changed.
 */
import { type Connection, FindCoordinatorKeyTypes, findCoordinatorV3, metadataV9 } from '@platformatic/kafka'
import { isRowmillError, RowmillError } from '../../../errors/rowmill-error.ts'
import { retryDelay } from '../../../std/retry.ts'
import type { KafkaConfig } from '../config.ts'
import type { KafkaContext } from '../context.ts'
import { ask, check, codeName, isKafkaFailure, KafkaFailure, plainCause } from './answers.ts'
import { type Address, Connections, type Lane } from './connections.ts'

export type WireTopic = {
  name: string
  isInternal: boolean
  /** The node that leads each partition; -1 for none at the moment. */
  leaders: readonly number[]
}

export type Patience = { withinMs: number; signal?: AbortSignal | undefined }

const general: Lane = { name: 'general' }
/** A topic that was just made may not be known to every broker yet. */
const unknownTopicAttemptsMax = 4
/** The coordinator is about to finish the last transaction: it takes milliseconds. */
const quick = { attemptsMax: 0, delayMs: 2, delayMaxMs: 20 }

export class Cluster implements AsyncDisposable {
  readonly context: KafkaContext
  readonly config: KafkaConfig
  readonly connections: Connections
  readonly #bootstrap: readonly Address[]
  #brokers = new Map<number, Address>()
  readonly #topics = new Map<string, WireTopic>()
  /** Every topic that was ever asked for: one that a starting broker does not know is asked for again. */
  readonly #asked = new Set<string>()
  readonly #coordinators = new Map<string, Address>()
  #refreshedAt = Number.NEGATIVE_INFINITY
  /** Which of the brokers is asked first where any will do. */
  #turn = 0
  #refreshing: { wanted: Set<string>; done: Promise<void> } | undefined

  constructor(context: KafkaContext, config: KafkaConfig, bootstrap: readonly Address[]) {
    this.context = context
    this.config = config
    this.connections = new Connections(config)
    this.#bootstrap = bootstrap
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connections[Symbol.asyncDispose]()
  }

  /**
   * Makes a request again while it may succeed later. Fails with `LOG_UNAVAILABLE` when the time is over or the
   * signal aborts, and with the `KafkaFailure` that no patience mends.
   */
  async patiently<T>(what: string, patience: Patience, attempt: () => Promise<T>): Promise<T> {
    const { clock, random, metrics } = this.context
    const deadline = clock.monotonic() + patience.withinMs
    const policy = {
      attemptsMax: 0,
      delayMs: this.config.retryDelayMs,
      delayMaxMs: this.config.retryDelayMaxMs,
    }
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (!isKafkaFailure(error) || !error.isRetryable) throw error
        // A broker that accepts connections and answers nothing is not asked first again.
        if (error.code === 'DISCONNECTED') this.#turn++
        const isQuick = error.code === 'CONCURRENT_TRANSACTIONS'
        const delayMs = retryDelay(isQuick ? quick : policy, tries, random.next())
        const isOver = clock.monotonic() + delayMs > deadline || patience.signal?.aborted === true
        if (isOver)
          throw new RowmillError('LOG_UNAVAILABLE', `${what} did not succeed: ${error.code}.`, {
            cause: error,
          })
        metrics.count('log_kafka_retries_total', 1, { code: error.code })
        await clock.sleep(delayMs, { signal: patience.signal })
      }
    }
  }

  /** What is known of a topic at the moment, however old. */
  known(topic: string): WireTopic | undefined {
    return this.#topics.get(topic)
  }

  /** What is known is older than it may be. */
  get isStale(): boolean {
    return this.context.clock.monotonic() - this.#refreshedAt > this.config.metadataMaxAgeMs
  }

  /** Fails with `TOPIC_UNKNOWN`, or `LOG_UNAVAILABLE` after `withinMs`. */
  async topic(name: string, patience: Patience): Promise<WireTopic> {
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    let unknown = 0
    return await this.patiently(`Looking for the topic ${name}`, patience, async () => {
      await this.refresh([name])
      const found = this.#topics.get(name)
      if (found !== undefined) return found
      if (++unknown === unknownTopicAttemptsMax)
        throw new RowmillError('TOPIC_UNKNOWN', `The topic ${name} does not exist on Kafka.`)
      throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `The topic ${name} is not known.`)
    })
  }

  /** Asks once, for the topics that were ever asked for and these. Calls at the same time share a request. */
  async refresh(topics: readonly string[] = []): Promise<void> {
    const running = this.#refreshing
    if (running !== undefined) {
      if (topics.every((name) => running.wanted.has(name))) return await running.done
      await running.done.catch((error: unknown) => {
        if (!isKafkaFailure(error)) throw error
      })
      return await this.refresh(topics)
    }
    for (const name of topics) this.#asked.add(name)
    const wanted = new Set(this.#asked)
    const done = this.#ask([...wanted]).then(() => undefined)
    this.#refreshing = { wanted, done }
    try {
      await done
    } finally {
      this.#refreshing = undefined
    }
  }

  /** Every topic of the cluster. */
  async allTopics(): Promise<WireTopic[]> {
    return await this.#ask(null)
  }

  async #ask(names: string[] | null): Promise<WireTopic[]> {
    const answer = await ask(await this.anyBroker(), metadataV9.api, names, false)
    const brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    if (brokers.size > 0) this.#brokers = brokers
    const found: WireTopic[] = []
    for (const { name, errorCode, isInternal, partitions } of answer.topics) {
      const code = codeName(errorCode)
      if (code === 'UNKNOWN_TOPIC_OR_PARTITION') this.#topics.delete(name)
      // No leader for the topic yet: it is asked for again.
      if (code === 'LEADER_NOT_AVAILABLE') continue
      if (code === 'TOPIC_AUTHORIZATION_FAILED' || code === 'INVALID_TOPIC_EXCEPTION')
        throw new RowmillError('CONFIG_INVALID', `Kafka does not let us use the topic ${name}: ${code}.`)
      if (errorCode !== 0) continue
      const leaders: number[] = []
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
      const topic = { name, isInternal, leaders }
      if (names !== null) this.#topics.set(name, topic)
      found.push(topic)
    }
    if (names !== null) this.#refreshedAt = this.context.clock.monotonic()
    return found
  }

  /** The first broker that answers: a known one, or one of the settings. Fails with `DISCONNECTED`. */
  async anyBroker(): Promise<Connection> {
    const known = [...this.#brokers.values()]
    const first = known.length === 0 ? 0 : this.#turn % known.length
    const failures: unknown[] = []
    for (const address of [...known.slice(first), ...known.slice(0, first), ...this.#bootstrap])
      try {
        return await this.connections.to(address, general)
      } catch (error) {
        if (!isKafkaFailure(error)) throw error
        failures.push(error)
      }
    throw new KafkaFailure('DISCONNECTED', 'No broker can be reached.', {
      cause: plainCause(failures.at(-1)),
    })
  }

  get brokers(): readonly number[] {
    return [...this.#brokers.keys()]
  }

  /** Fails with `BROKER_NOT_AVAILABLE` or `DISCONNECTED`. */
  async toNode(node: number, lane: Lane = general): Promise<Connection> {
    const address = this.#brokers.get(node)
    if (address === undefined) throw new KafkaFailure('BROKER_NOT_AVAILABLE', `There is no broker ${node}.`)
    return await this.connections.to(address, lane)
  }

  /** The leader of a partition. Fails retryably when it has none. */
  leaderOf(topic: string, partition: number): number {
    const leader = this.#topics.get(topic)?.leaders[partition] ?? -1
    if (leader < 0)
      throw new KafkaFailure('LEADER_NOT_AVAILABLE', `Nobody leads partition ${partition} of ${topic}.`)
    return leader
  }

  async toCoordinator(kind: 'group' | 'transaction', key: string, lane: Lane = general): Promise<Connection> {
    const name = `${kind}/${key}`
    let address = this.#coordinators.get(name)
    if (address === undefined) {
      const keyType = kind === 'group' ? FindCoordinatorKeyTypes.GROUP : FindCoordinatorKeyTypes.TRANSACTION
      const answer = await ask(await this.anyBroker(), findCoordinatorV3.api, keyType, [key])
      const found = answer.coordinators[0]
      if (found === undefined) throw new KafkaFailure('COORDINATOR_NOT_AVAILABLE', 'There is no coordinator.')
      check(found.errorCode, `Looking for the coordinator of ${key}`)
      address = { host: found.host, port: found.port }
      this.#coordinators.set(name, address)
    }
    try {
      return await this.connections.to(address, lane)
    } catch (error) {
      this.#coordinators.delete(name)
      throw error
    }
  }

  forgetCoordinator(kind: 'group' | 'transaction', key: string): void {
    this.#coordinators.delete(`${kind}/${key}`)
  }

  /** A request to a coordinator, made again when it has moved. */
  async askCoordinator<T>(
    to: { kind: 'group' | 'transaction'; key: string; lane?: Lane },
    patience: Patience & { what: string },
    attempt: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    return await this.patiently(patience.what, patience, async () => {
      try {
        return await attempt(await this.toCoordinator(to.kind, to.key, to.lane))
      } catch (error) {
        if (isKafkaFailure(error) && error.isMisdirected) this.forgetCoordinator(to.kind, to.key)
        throw error
      }
    })
  }

  /** A request that concerns leaders, made again with newer knowledge when they have changed. */
  async askLeaders<T>(patience: Patience & { what: string }, attempt: () => Promise<T>): Promise<T> {
    return await this.patiently(patience.what, patience, async () => {
      try {
        return await attempt()
      } catch (error) {
        if (isKafkaFailure(error) && error.isMisdirected) await this.refreshQuietly()
        throw error
      }
    })
  }

  /** Newer knowledge if it is to be had. */
  async refreshQuietly(): Promise<void> {
    try {
      await this.refresh()
    } catch (error) {
      if (!isKafkaFailure(error) && !isRowmillError(error)) throw error
      this.#turn++
      this.context.logger.debug({ error }, 'Kafka did not tell of its topics')
    }
  }
}
