/**
 * What the log knows: topics with their partitions, groups with their positions, and the segments. It is
 * the sum of all frames in order: a snapshot opens each segment, and every later frame adds to it. The
 * owner applies a frame after it is durable; a reader applies what it finds in the files.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../../errors/rowmill-error.ts'
import type { GroupPosition, TopicDescription } from '../../../ports/log.ts'
import type { ChunkEntry } from './files/frame.ts'
import type { Segment, Slice } from './files/segment.ts'

/** What a frame says beside its records. */
export type Meta = {
  /** Id, name, partitions, retention in ms. */
  topics?: [number, string, number, number][]
  /** Group, topic id, settled positions, intended ends, how often each was reset (none: never). */
  groups?: [string, number, number[], (number | null)[], number[]?][]
  /** Topic id, next offsets: in snapshots only. */
  ends?: [number, number[]][]
  /** Group, topic id, partition, position. */
  settled?: [string, number, number, number][]
  /** Group, topic id, partition, end of the batch in hand. */
  intended?: [string, number, number, number][]
  /** Group, topic id, partition, position: where an operator has put it. */
  reset?: [string, number, number, number][]
  /** Groups for which nothing is kept any more. */
  forgotten?: string[]
}

export type GrowthWaiter = { offset: number; bytes: number; wake: () => void }

export type Partition = {
  readonly topic: Topic
  readonly index: number
  /** The next offset. */
  end: number
  /** Bytes appended since the log was opened. */
  bytesAppended: number
  /** What there is of it, by segment, in order. */
  slices: Slice[]
  readonly waiters: Set<GrowthWaiter>
}

export type Topic = { id: number; name: string; retentionMs: number; partitions: Partition[] }
export type Standing = { position: number; intended: number | undefined; resets: number }
export type Group = { name: string; standings: Map<Partition, Standing> }

export class State {
  readonly topics = new Map<string, Topic>()
  readonly groups = new Map<string, Group>()
  /** In order of their numbers; the last may be open for writing. */
  segments: Segment[] = []
  readonly #topicsById = new Map<number, Topic>()
  #summed: { segments: readonly Segment[]; length: number; bytes: number } = {
    segments: [],
    length: 0,
    bytes: 0,
  }

  get totalBytes(): number {
    // Asked for at every append: only the newest segment grows, so the others are summed when they change.
    const { segments } = this
    if (this.#summed.segments !== segments || this.#summed.length !== segments.length)
      this.#summed = { segments, length: segments.length, bytes: sumOfSizes(segments.slice(0, -1)) }
    return this.#summed.bytes + (segments.at(-1)?.size ?? 0)
  }

  topicOrThrow(name: string): Topic {
    const topic = this.topics.get(name)
    if (topic === undefined) throw new RowmillError('TOPIC_UNKNOWN', `The topic ${name} does not exist.`)
    return topic
  }

  partitionOrThrow(name: string, index: number): Partition {
    const partition = this.topicOrThrow(name).partitions[index]
    if (partition === undefined)
      throw new RowmillError('TOPIC_UNKNOWN', `The topic ${name} has no partition ${index}.`)
    return partition
  }

  partitionById(topicId: number, index: number): Partition {
    const partition = this.#topicsById.get(topicId)?.partitions[index]
    assert(partition !== undefined, `partition ${index} of topic ${topicId} is defined before it is used`)
    return partition
  }

  nextTopicId(): number {
    return this.#topicsById.size
  }

  /** Adds a chunk at `position` of `segment` to its partition. */
  applyChunk(
    segment: Segment,
    entry: ChunkEntry,
    place: { position: number; appendedMs: number },
  ): Partition {
    const partition = this.partitionById(entry.topicId, entry.partition)
    const row = {
      base: entry.base,
      maxTimestampMs: entry.maxTimestampMs,
      position: place.position,
      length: entry.length,
      count: entry.count,
      checksum: entry.checksum,
    }
    const key = { topicId: entry.topicId, partition: entry.partition }
    const slice = segment.addChunk(key, row, place.appendedMs)
    if (partition.slices.at(-1) !== slice) partition.slices.push(slice)
    partition.end = Math.max(partition.end, slice.end)
    partition.bytesAppended += entry.length
    return partition
  }

  applyMeta(meta: Meta): void {
    for (const [id, name, partitions, retentionMs] of meta.topics ?? [])
      this.#defineTopic(id, { name, partitions, retentionMs })
    for (const [topicId, ends] of meta.ends ?? [])
      for (const [index, end] of ends.entries()) {
        const partition = this.partitionById(topicId, index)
        partition.end = Math.max(partition.end, end)
      }
    for (const [group, topicId, positions, intended, resets] of meta.groups ?? [])
      for (const [index, position] of positions.entries())
        this.registerGroup(group, this.partitionById(topicId, index), {
          position,
          intended: intended[index] ?? undefined,
          resets: resets?.[index] ?? 0,
        })
    for (const [group, topicId, index, position] of meta.settled ?? []) {
      const standing = this.#standing(group, topicId, index)
      // Two commits of one lease may reach the file in either order.
      standing.position = Math.max(standing.position, position)
      if (standing.intended !== undefined && standing.intended <= standing.position)
        standing.intended = undefined
    }
    for (const [group, topicId, index, until] of meta.intended ?? [])
      this.#standing(group, topicId, index).intended = until
    for (const [group, topicId, index, position] of meta.reset ?? []) {
      const standing = this.#standing(group, topicId, index)
      standing.position = position
      standing.intended = undefined
      standing.resets++
    }
    for (const group of meta.forgotten ?? []) this.groups.delete(group)
  }

  registerGroup(name: string, partition: Partition, standing: Standing): void {
    let group = this.groups.get(name)
    if (group === undefined) {
      group = { name, standings: new Map() }
      this.groups.set(name, group)
    }
    const known = group.standings.get(partition)
    if (known === undefined) group.standings.set(partition, standing)
    else {
      // Leases hold on to the standing, and a position only moves forward.
      known.position = Math.max(known.position, standing.position)
      known.intended = standing.intended
      known.resets = Math.max(known.resets, standing.resets)
    }
  }

  /** All that a new segment must know of the old ones. */
  snapshot(): Meta {
    const topics = [...this.topics.values()]
    return {
      topics: topics.map((topic) => [topic.id, topic.name, topic.partitions.length, topic.retentionMs]),
      ends: topics.map((topic) => [topic.id, topic.partitions.map((partition) => partition.end)]),
      groups: [...this.groups.values()].flatMap((group) => groupMeta(group, topics)),
    }
  }

  describe(): TopicDescription[] {
    return [...this.topics.values()].map((topic) => ({
      name: topic.name,
      partitions: topic.partitions.length,
      retentionMs: topic.retentionMs,
      bounds: topic.partitions.map((partition) => ({ start: startOf(partition), end: partition.end })),
    }))
  }

  positions(name?: string): GroupPosition[] {
    return [...this.groups.values()]
      .filter((group) => name === undefined || group.name === name)
      .flatMap((group) =>
        [...group.standings].map(([partition, standing]) => ({
          group: group.name,
          topic: partition.topic.name,
          partition: partition.index,
          position: standing.position,
          intended: standing.intended,
        })),
      )
  }

  /** The offset below which every group that reads the partition has settled; undefined if none reads it. */
  settledByAll(partition: Partition): number | undefined {
    let settled: number | undefined
    for (const group of this.groups.values()) {
      const standing = group.standings.get(partition)
      if (standing === undefined) continue
      settled = Math.min(settled ?? Number.POSITIVE_INFINITY, standing.position)
    }
    return settled
  }

  #standing(group: string, topicId: number, index: number): Standing {
    const standing = this.groups.get(group)?.standings.get(this.partitionById(topicId, index))
    assert(standing !== undefined, `group ${group} is registered before it settles`)
    return standing
  }

  /** New partitions begin at 0 for every group that reads the topic. */
  #defineTopic(id: number, spec: { name: string; partitions: number; retentionMs: number }): void {
    const topic = this.topics.get(spec.name) ?? { id, name: spec.name, retentionMs: 0, partitions: [] }
    topic.retentionMs = spec.retentionMs
    const readers = [...this.groups.values()].filter((group) =>
      topic.partitions.some((partition) => group.standings.has(partition)),
    )
    while (topic.partitions.length < spec.partitions) {
      const index = topic.partitions.length
      const partition = {
        topic,
        index,
        end: 0,
        bytesAppended: 0,
        slices: [],
        waiters: new Set<GrowthWaiter>(),
      }
      topic.partitions.push(partition)
      for (const group of readers)
        group.standings.set(partition, { position: 0, intended: undefined, resets: 0 })
    }
    this.topics.set(spec.name, topic)
    this.#topicsById.set(id, topic)
  }
}

function sumOfSizes(segments: readonly Segment[]): number {
  return segments.reduce((total, segment) => total + segment.size, 0)
}

function groupMeta(group: Group, topics: readonly Topic[]): NonNullable<Meta['groups']> {
  return topics
    .filter((topic) => topic.partitions.some((partition) => group.standings.has(partition)))
    .map((topic) => [
      group.name,
      topic.id,
      topic.partitions.map((partition) => group.standings.get(partition)?.position ?? 0),
      topic.partitions.map((partition) => group.standings.get(partition)?.intended ?? null),
      topic.partitions.map((partition) => group.standings.get(partition)?.resets ?? 0),
    ])
}

/** The first offset that is still there. */
export function startOf(partition: Partition): number {
  return partition.slices[0]?.base ?? partition.end
}

/** Lets those go on who waited for the partition to grow this far. */
export function wakeWaiters(partition: Partition): void {
  for (const waiter of partition.waiters)
    if (partition.end >= waiter.offset || partition.bytesAppended >= waiter.bytes) waiter.wake()
}

/**
 * Resolves when the partition's end reaches `offset`, or `bytes` have been appended in all, or the signal
 * aborts.
 */
export async function waitForGrowth(
  partition: Partition,
  target: { offset: number; bytes: number },
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || partition.end >= target.offset || partition.bytesAppended >= target.bytes) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const wake = () => resolve()
  const waiter = { ...target, wake }
  partition.waiters.add(waiter)
  signal.addEventListener('abort', wake, { once: true })
  await promise
  signal.removeEventListener('abort', wake)
  partition.waiters.delete(waiter)
}
