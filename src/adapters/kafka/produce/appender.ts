/**
 * Appends: durable on every in-sync replica, each once. Records of a partition wait in its *queue*; as soon as
 * its last batch is acknowledged the next is made of all that has come meanwhile, so that load makes batches
 * large by itself. One request to a broker holds batches of many partitions.
 *
 * - A partition has one batch on its way. It is sent again, the same bytes under the same number, until the
 *   broker has said what became of it: the broker drops what it has already.
 * - An append that has waited `appendTimeoutMs` fails. What became of its batch is not known then; the partition
 *   goes on under a new producer's name, so that numbers never have a gap.
 */
import { initProducerIdV4 } from '@platformatic/kafka'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { NewRecord, RecordPosition } from '../../../ports/log.ts'
import { retryDelay } from '../../../std/retry.ts'
import type { Names } from '../names.ts'
import { ask, check, failureOf, isKafkaFailure, type KafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { Preparation, type PreparedRecord, type Sticky } from './prepare.ts'
import { type Acknowledgement, sendBatches } from './produce-request.ts'
import { type Append, type Batch, PartitionQueue } from './queue.ts'

const lane = { name: 'append' }
const lanesMax = 2

export class Appender implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #names: Names
  readonly #preparation: Preparation
  readonly #queues = new Map<string, PartitionQueue>()
  readonly #sticky: Sticky = new Map()
  readonly #inFlight = new Map<number, number>()
  /** In the order of their time of failing, which is that of their coming. */
  readonly #unfinished: Append[] = []
  readonly #closing = new AbortController()
  #waitingBytes = 0
  #lingering: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #sends = 0
  #idle: (() => void)[] = []

  constructor(cluster: Cluster, names: Names) {
    this.#cluster = cluster
    this.#names = names
    this.#preparation = new Preparation(cluster, names)
  }

  /** Positions of the records, in their order. */
  async append(records: readonly NewRecord[]): Promise<RecordPosition[]> {
    if (records.length === 0) return []
    const { config, context } = this.#cluster
    const startedMs = context.clock.monotonic()
    const how = { sticky: this.#sticky, withinMs: config.appendTimeoutMs }
    const prepared = await this.#preparation.prepare(records, how)
    this.#refuseBeyondQueue(prepared)
    const offsets = await this.#enqueue(prepared, startedMs)
    context.metrics.observe('log_kafka_append_seconds', (context.clock.monotonic() - startedMs) / 1000)
    context.metrics.count('log_kafka_appended_records_total', records.length)
    return prepared.map(({ topic, partition }, index) => ({
      topic: this.#names.toOurs(topic) ?? topic,
      partition,
      offset: offsets[index] ?? -1,
    }))
  }

  #refuseBeyondQueue(records: readonly PreparedRecord[]): void {
    if (this.#closing.signal.aborted) throw new RowmillError('LOG_UNAVAILABLE', 'The log was closed.')
    let bytes = 0
    for (const record of records) bytes += record.bytes
    const { config, context } = this.#cluster
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > config.appendQueueBytesMax) {
      context.metrics.count('log_refused_total', 1, { reason: 'queue_full' })
      throw new RowmillError('LOG_UNAVAILABLE', 'Too many bytes wait to be written to Kafka.')
    }
    this.#changeWaiting(bytes)
  }

  #enqueue(records: readonly PreparedRecord[], startedMs: number): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>()
    let bytes = 0
    for (const record of records) bytes += record.bytes
    const append: Append = {
      offsets: new Array<number>(records.length).fill(-1),
      missing: records.length,
      failsAtMs: startedMs + this.#cluster.config.appendTimeoutMs,
      isOver: false,
      end: (error) => {
        if (append.isOver) return
        append.isOver = true
        this.#changeWaiting(-bytes)
        if (error === undefined) resolve(append.offsets)
        else reject(error)
        if (this.#waitingBytes === 0) for (const wake of this.#idle.splice(0)) wake()
      },
    }
    for (const [index, record] of records.entries()) this.#queueOf(record).add(record, append, index)
    this.#unfinished.push(append)
    this.#sweeping ??= this.#sweep()
    this.#lingering ??= this.#linger()
    return promise
  }

  #changeWaiting(bytes: number): void {
    this.#waitingBytes += bytes
    this.#cluster.context.metrics.set('log_kafka_append_queue_bytes', this.#waitingBytes)
  }

  #queueOf({ topic, partition }: PreparedRecord): PartitionQueue {
    const name = `${topic}/${partition}`
    const known = this.#queues.get(name)
    if (known !== undefined) return known
    const queue = new PartitionQueue({ topic, partition }, this.#cluster.config)
    this.#queues.set(name, queue)
    return queue
  }

  async #linger(): Promise<void> {
    const { lingerMs } = this.#cluster.config
    if (lingerMs > 0) await this.#cluster.context.clock.sleep(lingerMs, { signal: this.#closing.signal })
    else await Promise.resolve()
    this.#lingering = undefined
    this.#send()
  }

  /** Sends what is ready to every broker that may take another request. */
  #send(): void {
    const nowMs = this.#cluster.context.clock.monotonic()
    const ready = new Map<number, PartitionQueue[]>()
    let hasOrphans = false
    for (const queue of this.#queues.values()) {
      if (!queue.isReady(nowMs)) continue
      const leader = this.#cluster.known(queue.topic)?.leaders[queue.partition] ?? -1
      if (leader < 0) hasOrphans = true
      else ready.set(leader, [...(ready.get(leader) ?? []), queue])
    }
    if (hasOrphans) this.#retryLater()
    for (const [node, queues] of ready) this.#sendTo(node, queues)
  }

  #sendTo(node: number, queues: readonly PartitionQueue[]): void {
    const { requestsInFlightMax, requestBytesMax } = this.#cluster.config
    const inFlight = this.#inFlight.get(node) ?? 0
    if (inFlight >= requestsInFlightMax) return
    const batches: Batch[] = []
    let bytes = 0
    for (const queue of queues) {
      if (bytes >= requestBytesMax) break
      const batch = queue.take()
      if (batch === undefined) continue
      if (this.#sticky.get(queue.topic) === queue.partition) this.#sticky.delete(queue.topic)
      bytes += batch.packed.length
      batches.push(batch)
    }
    if (batches.length === 0) return
    this.#inFlight.set(node, inFlight + 1)
    // Never rejects: what goes wrong is told to the appends.
    void this.#request(node, batches).finally(() => {
      this.#inFlight.set(node, (this.#inFlight.get(node) ?? 1) - 1)
      this.#send()
    })
    if (bytes >= requestBytesMax) this.#sendTo(node, queues)
  }

  async #request(node: number, batches: readonly Batch[]): Promise<void> {
    try {
      await this.#identify(batches)
      const sends = this.#sends++
      const connection = await this.#cluster.toNode(node, { name: `${lane.name}${sends % lanesMax}` })
      const packed = batches.map((batch) => batch.stamped())
      const { requestTimeoutMs } = this.#cluster.config
      const answers = await sendBatches(connection, packed, {
        transactionalId: null,
        timeoutMs: requestTimeoutMs,
      })
      let isMisdirected = false
      for (const [index, answer] of answers.entries()) {
        const batch = batches[index]
        if (batch !== undefined) isMisdirected = this.#settle(batch, answer) || isMisdirected
      }
      if (isMisdirected) await this.#cluster.refreshQuietly()
    } catch (error) {
      await this.#onFailure(batches, error)
    }
  }

  /** What one broker said of one batch. Answers whether it was the wrong broker. */
  #settle(batch: Batch, { code, baseOffset }: Acknowledgement): boolean {
    if (code === 0) {
      batch.queue.acknowledge(batch, baseOffset)
      return false
    }
    const failure = failureOf(code, `Appending to ${batch.queue.topic}/${batch.queue.partition}`)
    switch (failure.code) {
      case 'MESSAGE_TOO_LARGE':
      case 'RECORD_LIST_TOO_LARGE':
        if (!batch.queue.halve(batch))
          batch.queue.refuse(
            batch,
            new RowmillError('RECORD_TOO_LARGE', 'A record is larger than its topic on Kafka accepts.', {
              cause: failure,
            }),
          )
        return false
      case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
      case 'UNKNOWN_PRODUCER_ID':
      case 'INVALID_PRODUCER_EPOCH':
      case 'INVALID_PRODUCER_ID_MAPPING':
        // The broker has forgotten this producer, and has not taken the batch: it goes under another name.
        batch.queue.renounce(batch)
        this.#delay([batch], failure)
        return false
      default:
        if (failure.isRetryable) this.#delay([batch], failure)
        else
          batch.queue.refuse(
            batch,
            new RowmillError('LOG_UNAVAILABLE', `Kafka refused an append: ${failure.code}.`, {
              cause: failure,
            }),
          )
        return failure.isMisdirected
    }
  }

  async #onFailure(batches: readonly Batch[], error: unknown): Promise<void> {
    if (isKafkaFailure(error) && error.isRetryable) {
      this.#delay(batches, error)
      await this.#cluster.refreshQuietly()
      return
    }
    const failure = isKafkaFailure(error)
      ? new RowmillError('LOG_UNAVAILABLE', `Kafka refused an append: ${error.code}.`, { cause: error })
      : error
    for (const batch of batches) batch.queue.refuse(batch, failure)
  }

  #delay(batches: readonly Batch[], failure: KafkaFailure): void {
    const { context, config } = this.#cluster
    context.metrics.count('log_kafka_retries_total', batches.length, { code: failure.code })
    const policy = { attemptsMax: 0, delayMs: config.retryDelayMs, delayMaxMs: config.retryDelayMaxMs }
    const nowMs = context.clock.monotonic()
    for (const batch of batches)
      batch.queue.retry(batch, nowMs + retryDelay(policy, ++batch.tries, context.random.next()))
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#waitingBytes > 0) this.#sweeping ??= this.#sweep()
  }

  /** Every batch gets a producer and its number among that producer's batches. */
  async #identify(batches: readonly Batch[]): Promise<void> {
    const nameless = batches.filter(({ queue }) => queue.identity === undefined)
    if (nameless.length === 0) return
    const identity = await this.#identity()
    for (const { queue } of nameless) queue.identity = { ...identity, sequence: 0 }
  }

  /** A producer of its own for those partitions that ask at the same time. */
  async #identity(): Promise<{ producerId: bigint; epoch: number }> {
    const connection = await this.#cluster.anyBroker()
    const answer = await ask(connection, initProducerIdV4.api, null, 60_000)
    check(answer.errorCode, 'Asking for the id of a producer')
    return { producerId: answer.producerId, epoch: answer.producerEpoch }
  }

  /** While there is something unfinished: fails what is too late, and sends again what is due. */
  async #sweep(): Promise<void> {
    const { clock } = this.#cluster.context
    while (this.#unfinished.length > 0) {
      const nowMs = clock.monotonic()
      while (this.#unfinished[0] !== undefined) {
        const [oldest] = this.#unfinished
        if (!oldest.isOver && oldest.failsAtMs > nowMs) break
        this.#unfinished.shift()
        oldest.end(this.#lateness())
      }
      if (this.#unfinished.length === 0) break
      if (this.#hasDelayed()) {
        if ([...this.#queues.values()].some((queue) => this.#isOrphan(queue)))
          await this.#cluster.refreshQuietly()
        this.#send()
      }
      await clock.sleep(this.#cluster.config.retryDelayMs, { signal: this.#closing.signal })
      if (this.#closing.signal.aborted) break
    }
    this.#sweeping = undefined
    if (this.#unfinished.length > 0 && !this.#closing.signal.aborted) this.#sweeping = this.#sweep()
  }

  #hasDelayed(): boolean {
    for (const queue of this.#queues.values()) if (queue.isWaiting) return true
    return false
  }

  #isOrphan(queue: PartitionQueue): boolean {
    return queue.isWaiting && (this.#cluster.known(queue.topic)?.leaders[queue.partition] ?? -1) < 0
  }

  #lateness(): RowmillError {
    this.#cluster.context.metrics.count('log_refused_total', 1, { reason: 'late' })
    return new RowmillError(
      'LOG_UNAVAILABLE',
      `Kafka did not acknowledge an append within ${this.#cluster.config.appendTimeoutMs} ms.`,
    )
  }

  /** Waits for what was begun, each within its own time, then accepts nothing more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#waitingBytes > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#idle.push(resolve)
      await promise
    }
    this.#closing.abort()
    await this.#lingering
    await this.#sweeping
  }
}
