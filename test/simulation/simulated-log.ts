/**
 * A log in memory that misbehaves by a seed: it delays, fails, takes leases away, and loses its readers in
 * the middle of a call, before or after the call took effect. What it promises it keeps: `ports/log.ts`.
 */
import assert from 'node:assert/strict'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import type {
  BatchOptions,
  ConsumeOptions,
  Log,
  LogBatch,
  LogConsumer,
  LogRecord,
  NewRecord,
  PartitionLease,
  TopicSpec,
} from '../../src/ports/log.ts'
import type { Random } from '../../src/ports/random.ts'
import { nextTurn } from './hurried-clock.ts'

export type SimulatedCommit = { group: string; topic: string; partition: number; from: number; until: number }

export type SimulatedLogOptions = {
  random: Random
  /** Seen before a commit takes effect. */
  onCommit?: (commit: SimulatedCommit) => void
  /** Larger values are refused. Default: no limit. */
  recordBytesMax?: number
}

export interface SimulatedLog extends Log {
  /** How likely a call fails, and how likely the reader dies in it. */
  faults: { fails: number; dies: number; turnsMax: number }
  /** Takes one leased partition away by chance; it goes to any consumer of its group. */
  reassign(): void
  records(topic: string): LogRecord[]
  /** Called when a reader dies in a call: ends that reader's run. */
  onDeath: (consumer: LogConsumer) => void
}

type Group = {
  position: number
  intended: number | undefined
  resets: number
  holder: SimulatedLease | undefined
}
type Consumer = LogConsumer & {
  options: ConsumeOptions
  isClosed: boolean
  offer(lease: PartitionLease): void
}

export function createSimulatedLog(options: SimulatedLogOptions): SimulatedLog {
  const { random, onCommit, recordBytesMax = Number.POSITIVE_INFINITY } = options
  const topics = new Map<string, { spec: TopicSpec; partitions: LogRecord[][] }>()
  const groups = new Map<string, Group>()
  const consumers = new Set<Consumer>()
  let grown = Promise.withResolvers<void>()
  const faults = { fails: 0, dies: 0, turnsMax: 3 }
  const chance = (limit: number) => Math.floor(random.next() * limit)

  const stall = async () => {
    for (let turn = chance(faults.turnsMax + 1); turn > 0; turn--) await nextTurn()
  }
  const mayFail = (what: string) => {
    if (random.next() < faults.fails) throw new RowmillError('LOG_UNAVAILABLE', `Simulated: ${what} failed.`)
  }
  const partitionsOf = (topic: string) => {
    const found = topics.get(topic)
    if (found === undefined) throw new RowmillError('TOPIC_UNKNOWN', `There is no topic ${topic}.`)
    return found.partitions
  }
  const groupOf = (group: string, topic: string, partition: number): Group => {
    const name = `${group} ${topic} ${partition}`
    const found = groups.get(name) ?? { position: 0, intended: undefined, resets: 0, holder: undefined }
    groups.set(name, found)
    return found
  }
  const write = (records: readonly NewRecord[]) => {
    if (records.some(({ value }) => value.length > recordBytesMax))
      throw new RowmillError('RECORD_TOO_LARGE', 'Simulated: a record is too large.')
    const positions = records.map((record) => {
      const partitions = partitionsOf(record.topic)
      const partition = record.partition ?? keyHash(record.key) % partitions.length
      const held = partitions[partition] ?? []
      const key = record.key === null ? null : Buffer.from(record.key)
      const offset = held.length
      const { topic, value, headers = {}, timestampMs = 0 } = record
      held.push({ topic, partition, offset, timestampMs, key, value, headers })
      return { topic, partition, offset }
    })
    grown.resolve()
    grown = Promise.withResolvers()
    return positions
  }
  const assign = () => {
    for (const { options } of [...consumers])
      for (const topic of options.topics)
        for (const partition of partitionsOf(topic).keys()) offer(options.group, topic, partition)
  }
  const offer = (group: string, topic: string, partition: number) => {
    const state = groupOf(group, topic, partition)
    const ready = [...consumers].filter((one) => one.options.group === group && !one.isClosed)
    const consumer = ready[chance(ready.length)]
    if (state.holder !== undefined || consumer === undefined) return
    const lease: SimulatedLease = createLease({ consumer, state, topic, partition })
    state.holder = lease
    consumer.offer(lease)
  }

  function createLease(at: { consumer: Consumer; state: Group; topic: string; partition: number }) {
    const { consumer, state, topic, partition } = at
    const revoked = new AbortController()
    const check = () => {
      if (revoked.signal.aborted || state.holder !== lease)
        throw new RowmillError('LEASE_LOST', `${topic}/${partition} is no longer leased.`)
    }
    /** The call takes effect or not; the reader may die before or after it. */
    const act = async (what: string, effect: () => void) => {
      await stall()
      check()
      mayFail(what)
      const fate = random.next()
      if (fate < faults.dies / 2) log.onDeath(consumer)
      check()
      effect()
      if (fate > 1 - faults.dies / 2) log.onDeath(consumer)
      check()
      await stall()
    }
    const lease: SimulatedLease = {
      topic,
      partition,
      position: state.position,
      skippedTo: undefined,
      intended: state.intended,
      resets: state.resets,
      signal: revoked.signal,
      revoke: () => revoked.abort(),
      batches: (options) => batchesOf(at, options, revoked.signal),
      intend: (until) =>
        act('intend', () => {
          state.intended = until
        }),
      commit: ({ offset, records = [] }) =>
        act('commit', () => {
          assert(offset >= state.position, 'a position only moves forward')
          onCommit?.({ group: consumer.options.group, topic, partition, from: state.position, until: offset })
          write(records)
          state.position = offset
          if (state.intended !== undefined && state.intended <= offset) state.intended = undefined
        }),
      async [Symbol.asyncDispose]() {
        revoked.abort()
        if (state.holder === lease) state.holder = undefined
        assign()
      },
    }
    return lease
  }

  async function* batchesOf(
    { state, topic, partition }: { state: Group; topic: string; partition: number },
    options: BatchOptions,
    revoked: AbortSignal,
  ): AsyncIterable<LogBatch> {
    const ended = AbortSignal.any(options.signal === undefined ? [revoked] : [revoked, options.signal])
    const held = partitionsOf(topic)[partition] ?? []
    let from = state.position
    while (!ended.aborted) {
      await stall()
      if (from >= held.length) {
        await Promise.race([grown.promise, aborted(ended)])
        continue
      }
      const intended = from === state.position ? state.intended : undefined
      const until = intended ?? Math.min(held.length, from + 1 + chance(options.recordsMax))
      if (ended.aborted) return
      yield { topic, partition, from, until, records: held.slice(from, until) }
      from = until
    }
  }

  function consume(options: ConsumeOptions): LogConsumer {
    const offered: PartitionLease[] = []
    let more = Promise.withResolvers<void>()
    const close = () => {
      consumer.isClosed = true
      consumers.delete(consumer)
      for (const { holder } of groups.values())
        if (holder !== undefined && holder.owner === consumer) holder.revoke()
      more.resolve()
    }
    const consumer: Consumer = {
      options,
      isClosed: false,
      offer(lease) {
        Object.assign(lease, { owner: consumer })
        offered.push(lease)
        more.resolve()
      },
      async *leases() {
        while (true) {
          for (let lease = offered.shift(); lease !== undefined; lease = offered.shift()) yield lease
          if (consumer.isClosed) return
          await more.promise
          more = Promise.withResolvers()
        }
      },
      async [Symbol.asyncDispose]() {
        close()
      },
    }
    consumers.add(consumer)
    if (options.signal.aborted) close()
    else options.signal.addEventListener('abort', close, { once: true })
    assign()
    return consumer
  }

  const log: SimulatedLog = {
    faults,
    onDeath: () => {},
    reassign() {
      const held = [...groups.values()].flatMap(({ holder }) => (holder === undefined ? [] : [holder]))
      held[chance(held.length)]?.revoke()
    },
    records: (topic) => partitionsOf(topic).flat(),
    async ensureTopics(specs) {
      for (const spec of specs)
        topics.set(spec.name, { spec, partitions: Array.from({ length: spec.partitions }, () => []) })
    },
    async describe() {
      return [...topics.values()].map(({ spec, partitions }) => ({
        ...spec,
        bounds: partitions.map((held) => ({ start: 0, end: held.length })),
      }))
    },
    async append(records) {
      await stall()
      mayFail('append')
      return write(records)
    },
    consume,
    read: async (topic, partition, offset) => partitionsOf(topic)[partition]?.[offset],
    async *scan({ topic, partition, from, until }) {
      yield (partitionsOf(topic)[partition] ?? []).slice(from, until)
    },
    offsetAt: async () => 0,
    checkRoom: () => Promise.resolve(),
    async positions() {
      return [...groups].map(([name, { position, intended }]) => {
        const [group = '', topic = '', partition = ''] = name.split(' ')
        return { group, topic, partition: Number(partition), position, intended }
      })
    },
    async reset({ group, topic, partition, offset }) {
      const state = groupOf(group, topic, partition)
      Object.assign(state, { position: offset, intended: undefined, resets: state.resets + 1 })
    },
    async forget(group) {
      for (const name of [...groups.keys()]) if (name.startsWith(`${group} `)) groups.delete(name)
    },
    async [Symbol.asyncDispose]() {},
  }
  return log
}

type SimulatedLease = PartitionLease & { revoke: () => void; owner?: unknown }

function keyHash(key: Buffer | string | null): number {
  let hash = 7
  for (const byte of Buffer.from(key ?? '')) hash = (hash * 31 + byte) >>> 0
  return hash
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
