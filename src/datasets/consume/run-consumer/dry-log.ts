/**
 * A view of the log for a dry run: it is read from where the group stands, and nothing that the run says is
 * kept. No group is registered, so retention does not wait for it, and it may run beside a program that owns
 * the log. Positions live in memory and begin anew with each run.
 */
import type { Clock } from '../../../ports/clock.ts'
import type {
  BatchOptions,
  ConsumeOptions,
  GroupPosition,
  Log,
  LogBatch,
  LogConsumer,
  LogRecord,
  PartitionLease,
} from '../../../ports/log.ts'
import type { StreamLog } from '../../../stream/stream.ts'

export type ReadableLog = Pick<Log, 'describe' | 'positions' | 'scan' | 'offsetAt'>

/** How often the end of the log is looked at: there is nobody who would wake a reader. */
const pollIntervalMs = 100

export function createDryLog(log: ReadableLog, clock: Clock): StreamLog {
  const positions = new Map<string, GroupPosition>()
  return {
    describe: () => log.describe(),
    positions: async (group) =>
      [...positions.values()].filter((one) => group === undefined || one.group === group),
    consume: (options) => createConsumer({ log, clock, positions }, options),
  }
}

type Dry = { log: ReadableLog; clock: Clock; positions: Map<string, GroupPosition> }

function createConsumer(dry: Dry, options: ConsumeOptions): LogConsumer {
  const closed = new AbortController()
  const signal = AbortSignal.any([options.signal, closed.signal])
  return {
    async *leases() {
      for (const position of await startingPositions(dry.log, options)) {
        dry.positions.set(`${position.group} ${position.topic} ${position.partition}`, position)
        yield createLease(dry, position, signal)
      }
      await aborted(signal)
    },
    async [Symbol.asyncDispose]() {
      closed.abort()
    },
  }
}

async function startingPositions(log: ReadableLog, options: ConsumeOptions): Promise<GroupPosition[]> {
  const { group, start } = options
  const [known, described] = [await log.positions(group), await log.describe()]
  return described
    .filter(({ name }) => options.topics.includes(name))
    .flatMap(({ name: topic, bounds }) =>
      bounds.map((bound, partition) => {
        const settled = known.find((one) => one.topic === topic && one.partition === partition)?.position
        const position = settled ?? (start === 'latest' ? bound.end : bound.start)
        return { group, topic, partition, position, intended: undefined }
      }),
    )
}

function createLease(dry: Dry, standing: GroupPosition, revoked: AbortSignal): PartitionLease {
  const { topic, partition, position } = standing
  return {
    topic,
    partition,
    position,
    skippedTo: undefined,
    intended: undefined,
    resets: 0,
    signal: revoked,
    batches: (options) => batchesOf(dry, standing, { ...options, revoked }),
    intend: async () => {},
    async commit({ offset }) {
      standing.position = offset
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function* batchesOf(
  dry: Dry,
  { topic, partition, position }: GroupPosition,
  options: BatchOptions & { revoked: AbortSignal },
): AsyncGenerator<LogBatch> {
  const signals = options.signal === undefined ? [options.revoked] : [options.revoked, options.signal]
  const signal = AbortSignal.any(signals)
  let from = position
  while (!signal.aborted) {
    for await (const batch of cut(dry.log.scan({ topic, partition, from, signal }), options)) {
      if (signal.aborted) return
      const until = (batch.at(-1)?.offset ?? from) + 1
      yield { topic, partition, from, until, records: batch }
      from = until
    }
    await dry.clock.sleep(Math.max(options.waitMs, pollIntervalMs), { signal })
  }
}

/** The chunks of a scan, cut and joined to batches within the limits. */
async function* cut(
  chunks: AsyncIterable<LogRecord[]>,
  { recordsMax, bytesMax }: BatchOptions,
): AsyncGenerator<LogRecord[]> {
  let batch: LogRecord[] = []
  let bytes = 0
  for await (const chunk of chunks)
    for (const record of chunk) {
      if (batch.length > 0 && (batch.length >= recordsMax || bytes + record.value.length > bytesMax)) {
        yield batch
        batch = []
        bytes = 0
      }
      batch.push(record)
      bytes += record.value.length
    }
  if (batch.length > 0) yield batch
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
