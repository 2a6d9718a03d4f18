/**
 * The log on Kafka, 2.8 or newer: the same promises as the embedded one, kept by brokers that many processes
 * share. What Kafka cannot keep is told in the port and in docs/internals/kafka.md.
 *
 * - `wire/` connections, answers, who leads what.
 * - `produce/` appends (each record once, on all in-sync replicas) and the transactions of commits.
 * - `consume/` members of groups, leases, reading ahead.
 * - `admin/` topics, groups, reading outside of groups.
 *
 * Appends and commits fail within `appendTimeoutMs` when the brokers are away, everything else within
 * `operationTimeoutMs`; consumers wait for as long as it takes. All of it goes on by itself when they are back.
 */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type {
  ConsumeOptions,
  Log,
  LogConsumer,
  LogRecord,
  NewRecord,
  RecordPosition,
  ResetPosition,
  ScanOptions,
  TopicDescription,
  TopicSpec,
} from '../../ports/log.ts'
import { Groups } from './admin/groups.ts'
import { Reader } from './admin/read.ts'
import { Topics } from './admin/topics.ts'
import { type KafkaConfig, kafkaContradictions } from './config.ts'
import { Consumer } from './consume/consumer.ts'
import type { KafkaContext } from './context.ts'
import { createNames, type Names } from './names.ts'
import { Appender } from './produce/appender.ts'
import { Preparation } from './produce/prepare.ts'
import { Transactions } from './produce/transactions.ts'
import { isKafkaFailure, type KafkaFailure } from './wire/answers.ts'
import { Cluster } from './wire/cluster.ts'
import type { Address } from './wire/connections.ts'
import { checkVersions } from './wire/versions.ts'

const defaultPort = 9092
const nameBytes = 8

/**
 * Connects. Fails with `LOG_UNAVAILABLE` where no broker answers, and with `CONFIG_INVALID` where one does and
 * does not let us in, or is too old; each message names the setting.
 */
export async function openKafkaLog(context: KafkaContext, config: KafkaConfig): Promise<Log> {
  const [contradiction] = kafkaContradictions(config)
  if (contradiction !== undefined)
    throw new RowmillError('CONFIG_INVALID', `kafka.${contradiction.key} ${contradiction.message}.`)
  await using stack = new AsyncDisposableStack()
  const cluster = stack.use(new Cluster(context, config, addressesOf(config)))
  await connect(cluster)
  const names = createNames(config.topicPrefix)
  const appender = stack.use(new Appender(cluster, names))
  const unique = config.instanceId ?? context.random.bytes(nameBytes).toString('hex')
  const transactions = stack.use(new Transactions(cluster, `${config.topicPrefix}rowmill-${unique}`))
  return new KafkaLog({ cluster, names, appender, transactions, opened: stack.move() })
}

async function connect(cluster: Cluster): Promise<void> {
  try {
    await checkVersions(await cluster.anyBroker())
    await cluster.refresh()
  } catch (error) {
    if (!isKafkaFailure(error)) throw error
    throw explain(error, cluster)
  }
}

/** What an operator can do about it. */
function explain(failure: KafkaFailure, { config, connections }: Cluster): RowmillError {
  const texts: string[] = []
  for (const error of [failure, connections.lastFailure])
    for (let at = error; at instanceof Error; at = at.cause) texts.push(at.message)
  const said = texts.join(' ')
  const wrong = (text: string) => new RowmillError('CONFIG_INVALID', text, { cause: failure })
  if (/SASL authentication failed/i.test(said))
    return wrong('Kafka does not accept the login: check kafka.saslUser, saslPassword and saslMechanism.')
  if (/suitable SASL mechanism/i.test(said))
    return wrong(`Kafka does not offer kafka.saslMechanism ${config.saslMechanism}: set one that it offers.`)
  if (/requires TLS/i.test(said))
    return wrong('Kafka speaks TLS at kafka.hosts: set kafka.securityProtocol to SSL or SASL_SSL.')
  if (/TLS handshake failed|wrong version number|packet length too long/i.test(said))
    return wrong('Kafka does not speak TLS at kafka.hosts: set kafka.securityProtocol to PLAINTEXT.')
  if (/self-signed certificate|unable to verify|unable to get (local )?issuer/i.test(said))
    return wrong("Kafka's certificate is not signed by an authority we know: set kafka.trustedCert.")
  if (/does not match certificate/i.test(said))
    return wrong("Kafka's certificate is for another host: correct kafka.hosts, or set isHostnameChecked.")
  if (/certificate required|bad certificate|handshake failure/i.test(said))
    return wrong('Kafka wants to see another certificate: set kafka.clientCert and clientCertKey.')
  return new RowmillError('LOG_UNAVAILABLE', `Kafka cannot be reached at kafka.hosts, ${config.hosts}.`, {
    cause: failure,
  })
}

function addressesOf({ hosts }: KafkaConfig): Address[] {
  if (hosts === undefined)
    throw new RowmillError('CONFIG_INVALID', 'kafka.hosts must be set: host:port of the brokers.')
  return hosts.split(',').map((part) => {
    const text = part.trim()
    const port = /:(\d+)$/.exec(text)?.[1]
    const host = port === undefined ? text : text.slice(0, -port.length - 1)
    return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? defaultPort : Number(port) }
  })
}

type Parts = {
  cluster: Cluster
  names: Names
  appender: Appender
  transactions: Transactions
  opened: AsyncDisposableStack
}

class KafkaLog implements Log {
  readonly #parts: Parts
  readonly #topics: Topics
  readonly #groups: Groups
  readonly #reader: Reader
  readonly #preparation: Preparation
  readonly #consumers = new Set<Consumer>()
  #consumersMade = 0
  #describing: Promise<TopicDescription[]> | undefined
  #describingNext: Promise<TopicDescription[]> | undefined
  #closed: Promise<void> | undefined

  constructor(parts: Parts) {
    const { cluster, names } = parts
    this.#parts = parts
    this.#topics = new Topics(cluster, names)
    this.#groups = new Groups(cluster, names)
    this.#reader = new Reader(cluster, names)
    this.#preparation = new Preparation(cluster, names)
  }

  ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#told(() => this.#topics.ensure(topics))
  }

  /** Whoever asks while an answer is on its way shares the next one, which knows all that was appended before. */
  describe(): Promise<TopicDescription[]> {
    if (this.#describing === undefined) {
      this.#describing = this.#describe()
      return this.#describing
    }
    this.#describingNext ??= this.#describing.then(
      () => this.#describeNext(),
      () => this.#describeNext(),
    )
    return this.#describingNext
  }

  #describeNext(): Promise<TopicDescription[]> {
    this.#describingNext = undefined
    this.#describing = this.#describe()
    return this.#describing
  }

  async #describe(): Promise<TopicDescription[]> {
    try {
      return await this.#told(() => this.#topics.describe())
    } finally {
      this.#describing = undefined
    }
  }

  append(records: readonly NewRecord[]): Promise<RecordPosition[]> {
    return this.#told(() => this.#parts.appender.append(records))
  }

  /** Brokers that are full do not say so beforehand: appends are late then, and fail. */
  async checkRoom(): Promise<void> {}

  consume(options: ConsumeOptions): LogConsumer {
    const { cluster, names, transactions } = this.#parts
    const lane = `consumer${this.#consumersMade++}`
    const consumer = new Consumer(
      { cluster, names, transactions, preparation: this.#preparation, lane },
      options,
    )
    this.#consumers.add(consumer)
    void consumer.closed.then(() => this.#consumers.delete(consumer))
    return consumer
  }

  read(topic: string, partition: number, offset: number): Promise<LogRecord | undefined> {
    return this.#told(() => this.#reader.read(topic, partition, offset))
  }

  async *scan(options: ScanOptions): AsyncGenerator<LogRecord[]> {
    const chunks = this.#reader.scan(options)
    try {
      for (;;) {
        const next = await this.#told(() => chunks.next())
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await chunks.return(undefined)
    }
  }

  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number> {
    return this.#told(() => this.#reader.offsetAt(topic, partition, timestampMs))
  }

  positions(group?: string) {
    return this.#told(() => this.#groups.positions(group))
  }

  reset(position: ResetPosition): Promise<void> {
    return this.#told(() => this.#groups.reset(position))
  }

  forget(group: string): Promise<void> {
    return this.#told(() => this.#groups.forget(group))
  }

  /** What Kafka refuses for good becomes an error that the program knows. */
  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!isKafkaFailure(error)) throw error
      const code = error.code.endsWith('AUTHORIZATION_FAILED') ? 'CONFIG_INVALID' : 'LOG_UNAVAILABLE'
      throw new RowmillError(code, `Kafka refused: ${error.code}.`, { cause: error })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer[Symbol.asyncDispose]()))
    await this.#parts.opened.disposeAsync()
  }
}
