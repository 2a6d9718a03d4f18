/**
 * One consumer: a member of its group, the leases that it was given, and the connections that read for them.
 * A partition that the group takes away is revoked, and let go only when its holder has disposed the lease.
 */
import { ListOffsetTimestamps } from '@platformatic/kafka'
import { isRetryable, isRowmillError } from '../../../errors/rowmill-error.ts'
import type { ConsumeOptions, LogConsumer, PartitionLease } from '../../../ports/log.ts'
import { listOffsets } from '../admin/offsets.ts'
import type { Names } from '../names.ts'
import type { Preparation } from '../produce/prepare.ts'
import type { Transactions } from '../produce/transactions.ts'
import { isKafkaFailure } from '../wire/answers.ts'
import type { Cluster } from '../wire/cluster.ts'
import { Fetcher } from './fetcher.ts'
import { Lease } from './lease.ts'
import { GroupMember } from './member.ts'
import { commitOffsets, fetchStandings, type Place, type Standing, writeMetadata } from './standing.ts'

export type ConsumerDeps = {
  cluster: Cluster
  names: Names
  preparation: Preparation
  transactions: Pick<Transactions, 'run'>
  /** Begins the names of this consumer's connections. */
  lane: string
}

export class Consumer implements LogConsumer {
  readonly #deps: ConsumerDeps
  readonly #options: ConsumeOptions
  readonly #member: GroupMember
  readonly #fetcher: Fetcher
  /** By place: what is held, be it lost, until its holder has disposed it. */
  readonly #held = new Map<string, Lease>()
  /** Places whose standing is being read. */
  readonly #opening = new Map<string, Place>()
  readonly #offered: Lease[] = []
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  readonly #work = new Set<Promise<void>>()
  #assigned = new Map<string, Place>()
  #failure: unknown
  #wake: (() => void) | undefined
  #onChange: (() => void) | undefined
  #closing: Promise<void> | undefined
  readonly #closed = Promise.withResolvers<void>()

  constructor(deps: ConsumerDeps, options: ConsumeOptions) {
    this.#deps = deps
    this.#options = options
    const { names, cluster, lane } = deps
    this.#fetcher = new Fetcher(cluster, `${lane}-fetch`)
    this.#member = new GroupMember(
      cluster,
      {
        group: names.toWire(options.group),
        topics: [...new Set(options.topics)].map((topic) => names.toWire(topic)),
        instanceId: options.instanceId ?? cluster.config.instanceId,
        lane,
      },
      {
        owned: () => this.#owned(),
        onAssigned: (places) => this.#onAssigned(places),
        onLost: () => this.#onLost(),
      },
    )
    this.#running = this.#member.run().catch((error: unknown) => this.#fail(error))
    if (options.signal.aborted) this.stop()
    else options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  readonly #onAbort = () => this.stop()

  async *leases(): AsyncGenerator<PartitionLease> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#stopping.signal.aborted) return
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

  /** Revokes all leases; their holders finish, and then the group is left. */
  stop(): void {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    for (const lease of [...this.#held.values()]) this.#revoke(lease)
    this.#wake?.()
    this.#closing = this.#close()
  }

  /** Resolves when everything has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  async #close(): Promise<void> {
    while (this.#held.size > 0 || this.#opening.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#onChange = resolve
      await promise
    }
    await this.#member.end()
    await this.#running
    while (this.#work.size > 0) await Promise.all(this.#work)
    await this.#fetcher[Symbol.asyncDispose]()
    this.#closed.resolve()
  }

  /** Ends the consumer and its leases at once: what they have not committed is read again by the next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await Promise.all([...this.#held.values()].map((lease) => lease[Symbol.asyncDispose]()))
    await this.#closing
  }

  #owned(): Place[] {
    const held = [...this.#held.values()].filter((lease) => !lease.isLost)
    return [
      ...held.map(({ wireTopic, partition }) => ({ topic: wireTopic, partition })),
      ...this.#opening.values(),
    ]
  }

  #onAssigned(places: readonly Place[]): void {
    this.#assigned = new Map(places.map((place) => [nameOf(place), place]))
    for (const [name, lease] of [...this.#held]) if (!this.#assigned.has(name)) this.#revoke(lease)
    this.#openAssigned()
  }

  #onLost(): void {
    this.#assigned = new Map()
    this.#opening.clear()
    for (const lease of [...this.#held.values()]) {
      lease.lose()
      if (!lease.isDelivered) this.#dispose(lease)
    }
  }

  #revoke(lease: Lease): void {
    lease.revoke()
    // Nobody has it in hand, so nobody else would let it go.
    if (!lease.isDelivered) this.#dispose(lease)
  }

  #dispose(lease: Lease): void {
    this.#track(lease[Symbol.asyncDispose]())
  }

  /** Reads where the newly assigned stand, and offers them. */
  #openAssigned(): void {
    if (this.#stopping.signal.aborted) return
    const fresh = [...this.#assigned].filter(([name]) => !this.#held.has(name) && !this.#opening.has(name))
    if (fresh.length === 0) return
    for (const [name, place] of fresh) this.#opening.set(name, place)
    this.#track(this.#open(fresh.map(([, place]) => place)).catch((error: unknown) => this.#fail(error)))
  }

  async #open(places: readonly Place[]): Promise<void> {
    const isStill = ([name, place]: readonly [string, Place]) => this.#opening.get(name) === place
    const opened = await this.#standings(places)
    let hasLetGo = false
    for (const place of places) {
      const name = nameOf(place)
      if (!isStill([name, place])) continue
      this.#opening.delete(name)
      const found = opened?.get(name)
      if (found === undefined || !this.#assigned.has(name) || this.#stopping.signal.aborted) hasLetGo = true
      else this.#offer(place, found)
    }
    if (hasLetGo && !this.#stopping.signal.aborted) this.#member.rejoin()
    this.#onChange?.()
  }

  #offer(place: Place, { standing, start }: { standing: Standing; start: number }): void {
    const { names, cluster, preparation, transactions } = this.#deps
    const topic = names.toOurs(place.topic) ?? place.topic
    const lease = new Lease(
      { topic, wireTopic: place.topic, standing, start },
      {
        cluster,
        preparation,
        transactions,
        fetcher: this.#fetcher,
        member: this.#member,
        onEnd: (ended) => this.#onEnd(ended),
      },
    )
    this.#held.set(nameOf(place), lease)
    this.#offered.push(lease)
    this.#wake?.()
  }

  /** A lease that is over goes on to whoever is meant to have it next, which may be this consumer. */
  #onEnd(lease: Lease): void {
    const name = nameOf({ topic: lease.wireTopic, partition: lease.partition })
    if (this.#held.get(name) === lease) this.#held.delete(name)
    this.#onChange?.()
    if (this.#stopping.signal.aborted) return
    if (this.#assigned.has(name)) this.#openAssigned()
    else this.#member.rejoin()
  }

  /** Tried for as long as the consumer lives. `undefined` once it stops. */
  async #standings(places: readonly Place[]) {
    const { clock, logger } = this.#deps.cluster.context
    const { signal } = this.#stopping
    while (!signal.aborted)
      try {
        return await this.#readStandings(places)
      } catch (error) {
        if (!isRetryable(error) && !isKafkaFailure(error)) throw error
        if (isKafkaFailure(error, 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID')) return undefined
        logger.debug({ error }, 'Where a group stands could not be read')
        await clock.sleep(this.#deps.cluster.config.retryDelayMs, { signal })
      }
    return undefined
  }

  async #readStandings(places: readonly Place[]) {
    const { cluster, names } = this.#deps
    const patience = { withinMs: cluster.config.operationTimeoutMs, signal: this.#stopping.signal }
    const group = names.toWire(this.#options.group)
    const known = await fetchStandings(cluster, group, { ...patience, places })
    const standings = new Map(known.map((standing) => [nameOf(standing), standing]))
    const starts = await listOffsets(cluster, places, {
      ...patience,
      timestamp: ListOffsetTimestamps.EARLIEST,
    })
    const fresh = places.filter((place) => !standings.has(nameOf(place)))
    if (fresh.length > 0) {
      const { EARLIEST, LATEST } = ListOffsetTimestamps
      const timestamp = this.#options.start === 'earliest' ? EARLIEST : LATEST
      const offsets = await listOffsets(cluster, fresh, { ...patience, timestamp })
      await this.#register(fresh, offsets)
      for (const [index, place] of fresh.entries())
        standings.set(nameOf(place), {
          ...place,
          position: offsets[index] ?? 0,
          intended: undefined,
          resets: 0,
          mark: undefined,
        })
    }
    const opened = new Map<string, { standing: Standing; start: number }>()
    for (const [index, place] of places.entries()) {
      const standing = standings.get(nameOf(place))
      if (standing !== undefined) opened.set(nameOf(place), { standing, start: starts[index] ?? 0 })
    }
    return opened
  }

  /** A group keeps where it began, so that a restart before its first commit changes nothing. */
  async #register(places: readonly Place[], offsets: readonly number[]): Promise<void> {
    const { cluster } = this.#deps
    const metadata = writeMetadata({})
    await commitOffsets(cluster, this.#member.membership, {
      offsets: places.map((place, index) => ({ ...place, offset: offsets[index] ?? 0, metadata })),
      withinMs: cluster.config.operationTimeoutMs,
      signal: this.#stopping.signal,
    })
  }

  #fail(error: unknown): void {
    if (this.#stopping.signal.aborted && (isRowmillError(error) || isKafkaFailure(error))) return
    this.#failure ??= error
    for (const lease of [...this.#held.values()]) {
      lease.lose()
      if (!lease.isDelivered) this.#dispose(lease)
    }
    this.#wake?.()
  }

  #track(work: Promise<void>): void {
    const running = work.finally(() => this.#work.delete(running))
    this.#work.add(running)
  }
}

function nameOf({ topic, partition }: Place): string {
  return `${topic}/${partition}`
}
