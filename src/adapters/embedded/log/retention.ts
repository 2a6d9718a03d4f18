/**
 * Lets go of records. A slice (what one partition has in one sealed segment) is dead when every group that
 * reads the partition has settled all of it and it is older than the topic keeps, or space is short. A slice
 * that no group reads goes by age alone. A segment whose slices are all dead is deleted; one that is mostly
 * dead is rewritten without them, so that a few long-lived records do not hold a whole file. What is dead
 * can be read no more, whether its file is there or not.
 *
 * Files are deleted before any is rewritten, because rewriting takes room first. A disk that has none left
 * puts the rewriting off; that is no failure.
 */
import type { Clock } from '../../../ports/clock.ts'
import type { Random } from '../../../ports/random.ts'
import type { Logger } from '../../../telemetry/logger.ts'
import type { Metrics } from '../../../telemetry/metrics.ts'
import type { EmbeddedLogConfig } from './config.ts'
import { isDiskFullError } from './files/disk.ts'
import type { Files } from './files/recover.ts'
import { rewriteSegment } from './files/rewrite.ts'
import type { Segment, Slice } from './files/segment.ts'
import { type Partition, type State, startOf } from './state.ts'

export type RetentionDeps = {
  files: Files
  state: State
  clock: Clock
  random: Random
  metrics: Metrics
  logger: Logger
}

/** When space is short, more is rewritten than otherwise. */
const rewriteShareShort = 0.6

export class Retention {
  readonly #deps: RetentionDeps
  readonly #config: EmbeddedLogConfig
  #running: { done: Promise<void>; isShort: boolean } | undefined

  constructor(deps: RetentionDeps, config: EmbeddedLogConfig) {
    this.#deps = deps
    this.#config = config
  }

  /** Looks at every sealed segment once. `isShort`: settled records go before their time. */
  run(options: { isShort: boolean }): Promise<void> {
    const running = this.#running
    // A look that spares settled records is not the one that is asked for when space is short.
    if (running !== undefined && options.isShort && !running.isShort)
      return running.done.then(() => this.run(options))
    if (running !== undefined) return running.done
    const done = this.#sweep(options).finally(() => {
      this.#running = undefined
    })
    this.#running = { done, isShort: options.isShort }
    return done
  }

  async #sweep(options: { isShort: boolean }): Promise<void> {
    const { state, metrics } = this.#deps
    const sealed = state.segments.filter((segment) => segment.isSealed)
    // Dead slices are found oldest first, so that a partition only ever loses its beginning.
    const gone = new Set<Slice>()
    const starts = new Map<Partition, number>()
    for (const segment of sealed)
      for (const slice of segment.slices.values()) {
        const partition = state.partitionById(slice.topicId, slice.partition)
        const isDetached = !partition.slices.includes(slice)
        const start = starts.get(partition) ?? startOf(partition)
        if (!isDetached && (slice.base > start || !this.#isDead(slice, partition, options.isShort))) continue
        gone.add(slice)
        if (!isDetached) starts.set(partition, this.#nextBase(partition, slice))
      }
    this.#detach([...gone])
    const partly: Segment[] = []
    for (const segment of sealed) {
      const slices = [...segment.slices.values()]
      if (slices.every((slice) => gone.has(slice))) await this.#delete(segment)
      else if (slices.some((slice) => gone.has(slice))) partly.push(segment)
    }
    await this.#rewriteAll(partly, gone, options.isShort)
    metrics.set('log_bytes', state.totalBytes)
  }

  #nextBase(partition: Partition, slice: Slice): number {
    return partition.slices[partition.slices.indexOf(slice) + 1]?.base ?? slice.end
  }

  #isDead(slice: Slice, partition: Partition, isShort: boolean): boolean {
    const settled = this.#deps.state.settledByAll(partition)
    const isOld = slice.appendedMs + partition.topic.retentionMs < this.#deps.clock.now()
    if (settled === undefined) return isOld
    return settled >= slice.end && (isOld || isShort)
  }

  async #delete(segment: Segment): Promise<void> {
    const { files, state, logger } = this.#deps
    state.segments = state.segments.filter((other) => other !== segment)
    await segment.retire()
    await files.disk.remove(segment.path)
    logger.debug({ path: segment.path }, 'deleted a segment of the log')
  }

  async #rewriteAll(segments: readonly Segment[], gone: ReadonlySet<Slice>, isShort: boolean): Promise<void> {
    try {
      for (const segment of segments) await this.#rewrite(segment, gone, isShort)
    } catch (error) {
      if (!isDiskFullError(error)) throw error
      this.#deps.logger.warn({ error }, 'there is no room to rewrite a segment of the log; it is tried later')
    }
  }

  async #rewrite(segment: Segment, gone: ReadonlySet<Slice>, isShort: boolean): Promise<void> {
    const { state } = this.#deps
    const living = [...segment.slices.values()].filter((slice) => !gone.has(slice))
    const livingBytes = living.reduce((total, slice) => total + slice.bytes, 0)
    const share = isShort ? Math.max(rewriteShareShort, this.#config.rewriteShare) : this.#config.rewriteShare
    if (livingBytes > segment.size * share) return
    // The old file stays open until nobody can ask for it any more.
    await segment.use(async () => {
      const replacement = await rewriteSegment(segment, living, this.#deps)
      state.segments = state.segments.map((other) => (other === segment ? replacement : other))
      for (const slice of living) this.#replace(slice, replacement)
      await segment.retire()
    })
  }

  #detach(slices: readonly Slice[]): void {
    for (const slice of slices) {
      const partition = this.#deps.state.partitionById(slice.topicId, slice.partition)
      partition.slices = partition.slices.filter((other) => other !== slice)
    }
  }

  #replace(slice: Slice, replacement: Segment): void {
    const partition = this.#deps.state.partitionById(slice.topicId, slice.partition)
    const found = [...replacement.slices.values()].find(
      (other) => other.topicId === slice.topicId && other.partition === slice.partition,
    )
    if (found === undefined) return
    partition.slices = partition.slices.map((other) => (other === slice ? found : other))
  }
}
