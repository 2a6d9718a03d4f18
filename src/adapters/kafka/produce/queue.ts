/** What waits to be written to one partition, and the batch that is on its way there. */
import type { KafkaConfig } from '../config.ts'
import type { PreparedRecord } from './prepare.ts'
import type { Packed } from './produce-request.ts'
import { packBatch, stampBatch } from './record-batch.ts'

/** One call of `append`: ends once, when all its records have offsets or when it fails. */
export type Append = {
  offsets: number[]
  missing: number
  failsAtMs: number
  isOver: boolean
  end(error?: unknown): void
}

type Waiting = { record: PreparedRecord; append: Append; index: number }

export type Batch = {
  queue: PartitionQueue
  records: readonly Waiting[]
  packed: Buffer
  tries: number
  stamped(): Packed
}

type Identity = { producerId: bigint; epoch: number; sequence: number }
const sequenceMax = 2 ** 31

export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  identity: Identity | undefined
  readonly #config: KafkaConfig
  #waiting: Waiting[] = []
  /** Where the waiting begin: what was taken is cut off only now and then. */
  #head = 0
  #current: Batch | undefined
  #isOnTheWay = false
  #retryAtMs = 0

  constructor(place: { topic: string; partition: number }, config: KafkaConfig) {
    this.topic = place.topic
    this.partition = place.partition
    this.#config = config
  }

  add(record: PreparedRecord, append: Append, index: number): void {
    this.#waiting.push({ record, append, index })
  }

  /** Whether there is something to send that is not on its way. */
  get isWaiting(): boolean {
    return !this.#isOnTheWay && (this.#current !== undefined || this.#head < this.#waiting.length)
  }

  isReady(nowMs: number): boolean {
    return this.isWaiting && (this.#current === undefined || nowMs >= this.#retryAtMs)
  }

  /** The batch to send: the one that has to be sent again, or a new one. */
  take(): Batch | undefined {
    if (this.#isOnTheWay) return undefined
    if (this.#current?.records.every(({ append }) => append.isOver) === true) {
      // Nobody waits for it any more, and the broker may have taken it: numbers go on under another name.
      this.#current = undefined
      this.identity = undefined
    }
    this.#current ??= this.#fill()
    if (this.#current !== undefined) this.#isOnTheWay = true
    return this.#current
  }

  #fill(): Batch | undefined {
    const records: Waiting[] = []
    let bytes = 0
    for (; this.#head < this.#waiting.length; this.#head++) {
      const next = this.#waiting[this.#head]
      if (next === undefined || next.append.isOver) continue
      if (records.length > 0 && bytes + next.record.bytes > this.#config.batchBytesMax) break
      bytes += next.record.bytes
      records.push(next)
    }
    if (this.#head > 1000 || this.#head === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return records.length === 0 ? undefined : this.#pack(records)
  }

  #pack(records: readonly Waiting[]): Batch {
    const packed = packBatch(
      records.map(({ record }) => record),
      this.#config.compression,
    )
    const { topic, partition } = this
    const stamped = (): Packed => {
      const { identity } = this
      if (identity === undefined) throw new Error('a batch is sent by a producer')
      stampBatch(packed, { ...identity, isTransactional: false })
      return { topic, partition, batch: packed }
    }
    return { queue: this, records, packed, tries: 0, stamped }
  }

  acknowledge(batch: Batch, baseOffset: number): void {
    for (const [index, { append, index: place }] of batch.records.entries()) {
      append.offsets[place] = baseOffset + index
      append.missing--
      if (append.missing === 0) append.end()
    }
    if (this.identity !== undefined)
      this.identity.sequence = (this.identity.sequence + batch.records.length) % sequenceMax
    this.#end()
  }

  /** The broker has not taken the batch and never will. */
  refuse(batch: Batch, error: unknown): void {
    for (const { append } of batch.records) append.end(error)
    this.identity = undefined
    this.#end()
  }

  /** Makes two batches of one; false where it holds a single record. */
  halve(batch: Batch): boolean {
    if (batch.records.length < 2) return false
    const half = Math.ceil(batch.records.length / 2)
    this.#waiting = [...batch.records.slice(half), ...this.#waiting.slice(this.#head)]
    this.#head = 0
    this.#current = this.#pack(batch.records.slice(0, half))
    this.#isOnTheWay = false
    this.#retryAtMs = 0
    return true
  }

  retry(batch: Batch, atMs: number): void {
    this.#current = batch
    this.#isOnTheWay = false
    this.#retryAtMs = atMs
  }

  renounce(_batch: Batch): void {
    this.identity = undefined
  }

  #end(): void {
    this.#current = undefined
    this.#isOnTheWay = false
    this.#retryAtMs = 0
  }
}
