/**
 * The consumers of one group in this process, and who holds which partition. Partitions of a topic are
 * spread evenly over the consumers that read it. When somebody joins or leaves, only what must move is
 * revoked, and it is granted to its next holder when the present one has let go.
 */
import type { LogConsumer, PartitionLease } from '../../../../ports/log.ts'
import type { Group, Partition, Topic } from '../state.ts'
import { Lease, type LeaseDeps } from './lease.ts'

export class ConsumerGroup {
  readonly #group: Group
  readonly #deps: LeaseDeps
  readonly #members: Consumer[] = []
  readonly #leases = new Map<Partition, { lease: Lease; holder: Consumer }>()

  constructor(group: Group, deps: LeaseDeps) {
    this.#group = group
    this.#deps = deps
  }

  /** `ready` resolves when the group is durably registered; nothing is leased before. */
  join(topics: readonly Topic[], options: { ready: Promise<void>; signal: AbortSignal }): Consumer {
    const consumer = new Consumer(this, topics, options.ready)
    this.#members.push(consumer)
    consumer.stopOn(options.signal)
    this.balance()
    return consumer
  }

  /** Whether somebody reads, or has not yet let go of what he read. */
  get isInUse(): boolean {
    return this.#members.length > 0 || this.#leases.size > 0
  }

  leave(consumer: Consumer): void {
    const index = this.#members.indexOf(consumer)
    if (index >= 0) this.#members.splice(index, 1)
    for (const { lease, holder } of this.#leases.values()) if (holder === consumer) this.#revoke(lease)
    this.balance()
  }

  async endLeases(consumer: Consumer): Promise<void> {
    const held = [...this.#leases.values()].filter((entry) => entry.holder === consumer)
    await Promise.all(held.map((entry) => entry.lease[Symbol.asyncDispose]()))
  }

  async close(): Promise<void> {
    for (const member of [...this.#members]) await member[Symbol.asyncDispose]()
    const held = [...this.#leases.values()]
    await Promise.all(held.map((entry) => entry.lease[Symbol.asyncDispose]()))
  }

  /** Revokes what one consumer has too much of and grants what is free. */
  balance(): void {
    const topics = new Set(this.#members.flatMap((member) => member.topics))
    for (const topic of topics) this.#balanceTopic(topic)
  }

  #balanceTopic(topic: Topic): void {
    const readers = this.#members.filter((member) => member.topics.includes(topic))
    const held = new Map<Consumer, Lease[]>(readers.map((reader) => [reader, []]))
    const free: Partition[] = []
    for (const partition of topic.partitions) {
      const entry = this.#leases.get(partition)
      if (entry === undefined) free.push(partition)
      else if (!entry.lease.isRevoked) held.get(entry.holder)?.push(entry.lease)
    }
    const ordered = readers.toSorted((a, b) => (held.get(b)?.length ?? 0) - (held.get(a)?.length ?? 0))
    const least = Math.floor(topic.partitions.length / readers.length)
    const more = topic.partitions.length % readers.length
    for (const [index, reader] of ordered.entries()) {
      const quota = least + (index < more ? 1 : 0)
      for (const lease of (held.get(reader) ?? []).slice(quota)) this.#revoke(lease)
    }
    for (const partition of free) {
      const taker = this.#takerOf(ordered, { least, more, topic })
      if (taker !== undefined) this.#grant(partition, taker)
    }
  }

  /** Of those that may have more of the topic, the consumer that holds the least in all. */
  #takerOf(
    ordered: readonly Consumer[],
    share: { least: number; more: number; topic: Topic },
  ): Consumer | undefined {
    const full = ordered.filter((reader) => this.#count(reader, share.topic) > share.least).length
    const mayTakeMore = full < share.more
    const open = ordered.filter(
      (reader) => this.#count(reader, share.topic) < share.least + (mayTakeMore ? 1 : 0),
    )
    return open.toSorted(
      (a, b) => this.#count(a, share.topic) - this.#count(b, share.topic) || this.#count(a) - this.#count(b),
    )[0]
  }

  #count(consumer: Consumer, topic?: Topic): number {
    let count = 0
    for (const { lease, holder } of this.#leases.values())
      if (holder === consumer && !lease.isRevoked && (topic === undefined || lease.of.topic === topic))
        count++
    return count
  }

  #grant(partition: Partition, holder: Consumer): void {
    const standing = this.#group.standings.get(partition)
    if (standing === undefined) return
    const onEnd = () => {
      this.#leases.delete(partition)
      this.balance()
    }
    const lease = new Lease({ group: this.#group.name, partition, standing, onEnd }, this.#deps)
    this.#leases.set(partition, { lease, holder })
    holder.offer(lease)
  }

  #revoke(lease: Lease): void {
    lease.revoke()
    // Nobody has it in hand, so nobody else would let it go.
    if (!lease.isDelivered) void lease[Symbol.asyncDispose]()
  }
}

export class Consumer implements LogConsumer {
  readonly topics: readonly Topic[]
  readonly #group: ConsumerGroup
  readonly #ready: Promise<void>
  readonly #offered: Lease[] = []
  #isStopped = false
  #stopWatching: (() => void) | undefined
  #wake: (() => void) | undefined

  constructor(group: ConsumerGroup, topics: readonly Topic[], ready: Promise<void>) {
    this.#group = group
    this.topics = topics
    this.#ready = ready
  }

  stopOn(signal: AbortSignal): void {
    const stop = () => this.stop()
    if (signal.aborted) stop()
    else {
      signal.addEventListener('abort', stop, { once: true })
      this.#stopWatching = () => signal.removeEventListener('abort', stop)
    }
  }

  offer(lease: Lease): void {
    this.#offered.push(lease)
    this.#wake?.()
  }

  /** Revokes all leases; their holders finish. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#stopWatching?.()
    this.#group.leave(this)
    this.#wake?.()
  }

  async *leases(): AsyncGenerator<PartitionLease> {
    await this.#ready
    while (!this.#isStopped) {
      const lease = this.#offered.shift()
      if (lease === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      } else if (!lease.isRevoked) {
        lease.isDelivered = true
        yield lease
      }
    }
  }

  /** Ends the consumer and its leases at once: what they have not committed is read again by the next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await this.#group.endLeases(this)
  }
}
