/** Topics: made when they are missing, never changed but for more partitions, and described. */
import assert from 'node:assert/strict'
import {
  ConfigResourceTypes,
  createPartitionsV3,
  createTopicsV5,
  describeConfigsV4,
  ListOffsetTimestamps,
} from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { TopicDescription, TopicSpec } from '../../../ports/log.ts'
import type { Names } from '../names.ts'
import { ask, check, codeName, failureOf, KafkaFailure } from '../wire/answers.ts'
import type { Cluster, WireTopic } from '../wire/cluster.ts'
import { listOffsets } from './offsets.ts'

/** What a broker accepts in one batch unless it was told otherwise. */
const brokersBytesMax = 1_048_588
/** Besides its records, what a batch takes. */
const batchHeadBytes = 100
const retentionAgeMaxMs = 60_000

export class Topics {
  readonly #cluster: Cluster
  readonly #names: Names
  readonly #retention = new Map<string, { ms: number; readAtMs: number }>()

  constructor(cluster: Cluster, names: Names) {
    this.#cluster = cluster
    this.#names = names
  }

  /** A topic that has more partitions keeps them: it may be another program's. */
  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return
    const existing = new Map((await this.#all()).map((topic) => [topic.name, topic]))
    const missing: TopicSpec[] = []
    const growing: TopicSpec[] = []
    for (const spec of specs) {
      assert(Number.isInteger(spec.partitions) && spec.partitions > 0, `topic ${spec.name} has a partition`)
      const found = existing.get(this.#names.toWire(spec.name))
      if (found === undefined) missing.push(spec)
      else if (found.leaders.length < spec.partitions) growing.push(spec)
    }
    await this.#create(missing)
    await this.#grow(growing)
    for (const spec of [...missing, ...growing]) await this.#untilThere(spec)
  }

  async #create(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return
    const { operationTimeoutMs, replicationFactor, recordBytesMax } = this.#cluster.config
    const largest = recordBytesMax + batchHeadBytes
    const sized = largest > brokersBytesMax ? [{ name: 'max.message.bytes', value: String(largest) }] : []
    await this.#patiently('Making topics', async () => {
      const wanted = specs.map(({ name, partitions, retentionMs }) => ({
        name: this.#names.toWire(name),
        numPartitions: partitions,
        replicationFactor,
        assignments: [],
        configs: [{ name: 'retention.ms', value: String(Math.round(retentionMs)) }, ...sized],
      }))
      const connection = await this.#cluster.anyBroker()
      const answer = await ask(connection, createTopicsV5.api, wanted, operationTimeoutMs, false)
      for (const { name, errorCode, errorMessage } of answer.topics) {
        // Another process was faster.
        if (codeName(errorCode) === 'TOPIC_ALREADY_EXISTS') continue
        this.#refuse(name, errorCode, errorMessage ?? '')
      }
    })
  }

  async #grow(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return
    const { operationTimeoutMs } = this.#cluster.config
    await this.#patiently('Adding partitions', async () => {
      const wanted = specs.map(({ name, partitions }) => ({
        name: this.#names.toWire(name),
        count: partitions,
        assignments: null,
      }))
      const connection = await this.#cluster.anyBroker()
      const answer = await ask(connection, createPartitionsV3.api, wanted, operationTimeoutMs, false)
      for (const { name, errorCode, errorMessage } of answer.results) {
        // Another process has added as many already.
        if (codeName(errorCode) === 'INVALID_PARTITIONS') continue
        this.#refuse(name, errorCode, errorMessage ?? '')
      }
    })
  }

  #refuse(name: string, code: number, message: string): void {
    if (code === 0) return
    const failure = failureOf(code, `The topic ${name}`)
    if (failure.isRetryable) throw failure
    const say = (what: string) =>
      new RowmillError('CONFIG_INVALID', `Kafka refuses to make the topic ${name}: ${what}`, {
        cause: new KafkaFailure(failure.code, message),
      })
    if (failure.code === 'INVALID_REPLICATION_FACTOR')
      throw say(
        `there are fewer brokers than kafka.replicationFactor, ${this.#cluster.config.replicationFactor}; set at most their number.`,
      )
    if (failure.code.endsWith('AUTHORIZATION_FAILED'))
      throw say(`our user may not; allow it to create topics, or make the topic yourself.`)
    throw say(`${failure.code}. ${message}`)
  }

  /** The brokers learn of a topic one after the other. */
  async #untilThere({ name, partitions }: TopicSpec): Promise<void> {
    const wire = this.#names.toWire(name)
    await this.#patiently(`Waiting for the topic ${name}`, async () => {
      await this.#cluster.refresh([wire])
      const leaders = this.#cluster.known(wire)?.leaders ?? []
      if (leaders.length < partitions || leaders.some((leader) => leader < 0))
        throw new KafkaFailure('LEADER_NOT_AVAILABLE', `The topic ${wire} is not there yet.`)
    })
  }

  /** Topics with our prefix; Kafka's own are left out. Offsets that end at what is committed. */
  async describe(): Promise<TopicDescription[]> {
    const topics = (await this.#all()).filter(
      ({ name, isInternal }) => !isInternal && this.#names.toOurs(name) !== undefined,
    )
    await this.#patiently('Asking for topics', () => this.#cluster.refresh(topics.map(({ name }) => name)))
    const places = topics.flatMap(({ name, leaders }) =>
      Array.from(leaders, (_, partition) => ({ topic: name, partition })),
    )
    const { operationTimeoutMs: withinMs } = this.#cluster.config
    const { EARLIEST, LATEST } = ListOffsetTimestamps
    const [starts, ends, retention] = await Promise.all([
      listOffsets(this.#cluster, places, { timestamp: EARLIEST, withinMs }),
      listOffsets(this.#cluster, places, { timestamp: LATEST, withinMs }),
      this.#retentionOf(topics),
    ])
    let at = 0
    return topics
      .map(({ name, leaders }) => {
        const bounds = Array.from(leaders, () => ({ start: starts[at] ?? 0, end: ends[at++] ?? 0 }))
        const retentionMs = retention.get(name) ?? Number.POSITIVE_INFINITY
        return { name: this.#names.toOurs(name) ?? name, partitions: leaders.length, retentionMs, bounds }
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #all(): Promise<WireTopic[]> {
    return await this.#patiently('Asking for topics', () => this.#cluster.allTopics())
  }

  /** Seldom changes, and then by hand: asked for once a minute. */
  async #retentionOf(topics: readonly WireTopic[]): Promise<Map<string, number>> {
    const nowMs = this.#cluster.context.clock.monotonic()
    const stale = topics.filter(({ name }) => {
      const known = this.#retention.get(name)
      return known === undefined || nowMs - known.readAtMs > retentionAgeMaxMs
    })
    if (stale.length > 0)
      await this.#patiently('Asking for the retention of topics', async () => {
        const resources = stale.map(({ name }) => ({
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: name,
          configurationKeys: ['retention.ms'],
        }))
        const answer = await ask(
          await this.#cluster.anyBroker(),
          describeConfigsV4.api,
          resources,
          false,
          false,
        )
        for (const { resourceName, errorCode, configs } of answer.results) {
          // Not being allowed to look is no reason to know nothing else of a topic.
          const isSecret = codeName(errorCode).endsWith('AUTHORIZATION_FAILED')
          if (!isSecret) check(errorCode, `Asking for the retention of ${resourceName}`)
          const ms = Number(configs[0]?.value ?? -1)
          this.#retention.set(resourceName, { ms: ms < 0 ? Number.POSITIVE_INFINITY : ms, readAtMs: nowMs })
        }
      })
    return new Map([...this.#retention].map(([name, { ms }]) => [name, ms]))
  }

  #patiently<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return this.#cluster.patiently(what, { withinMs: this.#cluster.config.operationTimeoutMs }, attempt)
  }
}
