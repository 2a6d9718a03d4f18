/**
 * Reads the changelog: first back to the beginning of the window, then again and again what has come since.
 *
 * Other processes write ids there too. So a process that a partition has moved to must have read the changelog to
 * its end before it judges the partition's first event, and every process reads on while it works.
 *
 * The end of a shared log is not simply what can be read: a transaction of another process that is still open, or was
 * left open by a crash, hides all that was written after it. So a barrier is appended and read back: what stands
 * before it has been decided by then.
 */
import { isRetryable } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log, LogRecord, NewRecord } from '../../ports/log.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Dedup } from './dedup.ts'

export type ChangelogLog = Pick<Log, 'append' | 'describe' | 'offsetAt' | 'scan'>

/** How long a barrier that cannot be read yet is left alone. */
const barrierDelayMs = 20

export interface ChangelogTail {
  /** Resolves when everything is read that was committed when it was called. Fails with the log's errors. */
  catchUp(): Promise<void>
  /** Reads what can be read now. */
  follow(): Promise<void>
}

/** Hands over the records since `sinceMs`, of all partitions in the order of their times, and goes on from there. */
export async function openChangelogTail(
  { log, clock }: { log: ChangelogLog; clock: Clock },
  options: TailOptions,
): Promise<ChangelogTail> {
  const { sinceMs, load, isShared, signal } = options
  const described = (await log.describe()).find((topic) => topic.name === topics.dedup)
  const next: number[] = []
  for (let partition = 0; partition < (described?.partitions ?? 0); partition++)
    next.push(await log.offsetAt(topics.dedup, partition, sinceMs))
  const read = async () => {
    for await (const record of readMerged(log, next, signal)) {
      if (record.value.length > 0) load(record)
      next[record.partition] = record.offset + 1
    }
  }
  const readAll = async () => {
    const barriers = isShared && next.length > 0 ? await log.append(next.map(barrierOf)) : []
    await read()
    const isBehind = () => barriers.some(({ partition, offset }) => (next[partition] ?? 0) <= offset)
    while (isBehind() && !signal.aborted) {
      await clock.sleep(barrierDelayMs, { signal })
      await read()
    }
  }
  const turns = createTurns()
  await read()
  return { catchUp: shareRuns(() => turns.take(readAll)), follow: () => turns.take(read) }
}

type TailOptions = {
  sinceMs: number
  load: (record: LogRecord) => void
  /** Other processes write the changelog too. */
  isShared: boolean
  signal: AbortSignal
}

/** An empty record of a partition of the changelog. */
function barrierOf(_from: number, partition: number): NewRecord {
  return { topic: topics.dedup, partition, key: null, value: Buffer.alloc(0) }
}

/** One reading at a time: both move the same offsets. */
function createTurns(): { take(work: () => Promise<void>): Promise<void> } {
  let last: Promise<unknown> = Promise.resolve()
  return {
    take(work) {
      const turn = last.then(work)
      last = Promise.allSettled([turn])
      return turn
    },
  }
}

/** A call during a run waits for a run that begins after it; all such calls share one. */
function shareRuns(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let following: Promise<void> | undefined
  const begin = (): Promise<void> => {
    running = run().finally(() => {
      running = undefined
    })
    return running
  }
  const follow = async (before: Promise<void>): Promise<void> => {
    // How the run before ended is told to those who asked for it.
    await Promise.allSettled([before])
    following = undefined
    await begin()
  }
  return () => {
    if (running === undefined) return begin()
    following ??= follow(running)
    return following
  }
}

/** The records of the changelog's partitions from these offsets on, merged in the order of their times. */
async function* readMerged(
  log: ChangelogLog,
  from: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const readers = [...from.entries()].map(([partition, offset]) =>
    readPartition(log, { partition, offset, signal }),
  )
  const heads: { record: LogRecord; reader: AsyncGenerator<LogRecord> }[] = []
  const advance = async (reader: AsyncGenerator<LogRecord>) => {
    const next = await reader.next()
    if (next.done !== true) heads.push({ record: next.value, reader })
  }
  for (const reader of readers) await advance(reader)
  while (heads.length > 0) {
    let first = 0
    for (let index = 1; index < heads.length; index++)
      if ((heads[index]?.record.timestampMs ?? 0) < (heads[first]?.record.timestampMs ?? 0)) first = index
    const [head] = heads.splice(first, 1)
    if (head === undefined) return
    yield head.record
    await advance(head.reader)
  }
}

async function* readPartition(
  log: ChangelogLog,
  { partition, offset, signal }: { partition: number; offset: number; signal: AbortSignal },
): AsyncGenerator<LogRecord> {
  for await (const records of log.scan({ topic: topics.dedup, partition, from: offset, signal }))
    yield* records
}

/** Reads on every `tailIntervalMs` until the signal aborts. A log that is away for a while is asked again. */
export async function runDedupTail(
  deps: { dedup: Pick<Dedup, 'follow'>; clock: Clock; logger: Logger },
  config: { tailIntervalMs: number },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await deps.dedup.follow()
    } catch (error) {
      if (signal.aborted) return
      if (!isRetryable(error)) throw error
      deps.logger.warn({ error }, 'ids of other processes could not be read')
    }
    await deps.clock.sleep(config.tailIntervalMs, { signal })
  }
}
