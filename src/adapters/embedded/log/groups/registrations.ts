/** Which groups the log keeps records for, where they stand, and what operators do about it. */
import { RowmillError } from '../../../../errors/rowmill-error.ts'
import type { ConsumeOptions, ResetPosition } from '../../../../ports/log.ts'
import { type Meta, type State, startOf, type Topic } from '../state.ts'
import type { Writer } from '../writer.ts'

export class Registrations {
  readonly #state: State
  readonly #writer: Writer
  /** The topics that each group is durably registered for. */
  readonly #registered = new Map<string, Set<Topic>>()
  /** Groups that an operator is at: nobody may join them. */
  readonly #held = new Set<string>()

  constructor(state: State, writer: Writer) {
    this.#state = state
    this.#writer = writer
    for (const group of state.groups.values()) {
      const topics = new Set([...group.standings.keys()].map((partition) => partition.topic))
      this.#registered.set(group.name, topics)
    }
  }

  /** Fails with `GROUP_IN_USE` while an operator is at the group. */
  assertFree(group: string): void {
    if (this.#held.has(group)) throw inUse(group, 'its position is being set')
  }

  /** Registers the group where it is new: at once in memory, so that nothing it needs is deleted, then durably. */
  register(options: Pick<ConsumeOptions, 'group' | 'start'>, topics: readonly Topic[]): Promise<void> {
    const fresh: NonNullable<Meta['groups']> = []
    for (const topic of topics) {
      if (this.#registered.get(options.group)?.has(topic) === true) continue
      for (const partition of topic.partitions) {
        const position = options.start === 'latest' ? partition.end : startOf(partition)
        if (this.#state.groups.get(options.group)?.standings.has(partition) !== true)
          this.#state.registerGroup(options.group, partition, { position, intended: undefined, resets: 0 })
      }
      const standings = topic.partitions.map((each) =>
        this.#state.groups.get(options.group)?.standings.get(each),
      )
      const positions = standings.map((standing) => standing?.position ?? 0)
      const intended = standings.map((standing) => standing?.intended ?? null)
      fresh.push([options.group, topic.id, positions, intended])
    }
    const ready = fresh.length === 0 ? Promise.resolve() : this.#registerDurably(options.group, topics, fresh)
    // Who iterates the leases gets the failure; who never does must not bring the process down.
    ready.catch(() => undefined)
    return ready
  }

  async #registerDurably(
    group: string,
    topics: readonly Topic[],
    fresh: NonNullable<Meta['groups']>,
  ): Promise<void> {
    await this.#writer.submit([], { groups: fresh })
    const registered = this.#registered.get(group) ?? new Set()
    for (const topic of topics) registered.add(topic)
    this.#registered.set(group, registered)
  }

  async reset({ group, topic, partition, offset }: ResetPosition, hasReaders: boolean): Promise<void> {
    const { topic: known, end } = this.#state.partitionOrThrow(topic, partition)
    this.#assertUnused(group, hasReaders)
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > end)
      throw new RowmillError(
        'OFFSET_OUT_OF_RANGE',
        `Partition ${partition} of ${topic} has no offset ${offset}: it ends at ${end}.`,
      )
    this.#held.add(group)
    try {
      await this.register({ group, start: 'earliest' }, [known])
      await this.#writer.submit([], { reset: [[group, known.id, partition, offset]] })
    } finally {
      this.#held.delete(group)
    }
  }

  async forget(group: string, hasReaders: boolean): Promise<void> {
    this.#assertUnused(group, hasReaders)
    if (!this.#state.groups.has(group)) return
    this.#held.add(group)
    try {
      await this.#writer.submit([], { forgotten: [group] })
      this.#registered.delete(group)
    } finally {
      this.#held.delete(group)
    }
  }

  #assertUnused(group: string, hasReaders: boolean): void {
    if (hasReaders || this.#held.has(group))
      throw inUse(group, 'it has consumers, or its position is being set')
  }
}

function inUse(group: string, why: string): RowmillError {
  return new RowmillError('GROUP_IN_USE', `Group ${group} is in use: ${why}.`)
}
