/**
 * The log on Kafka, one broker on this machine: appends of 600 B with few and many in flight, reading, and the
 * journey's way of consuming, where a batch is settled together with what came of it. The floor is measured in
 * the same run: one packed request that is sent again and again, with nothing else done. Prints one JSON line.
 * `node bench/kafka.ts [seconds per case]`
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sendBatches } from '../src/adapters/kafka/produce/produce-request.ts'
import { packBatch, packHeaders, stampBatch } from '../src/adapters/kafka/produce/record-batch.ts'
import { Cluster } from '../src/adapters/kafka/wire/cluster.ts'
import type { Log, LogConsumer } from '../src/ports/log.ts'
import { startBroker } from '../test/support/engines/kafka/broker.ts'
import { openKafkaTestLog } from '../test/support/engines/kafka/log.ts'
import { freePort } from '../test/support/engines/redis.ts'

const caseMs = Number(process.argv[2] ?? 3) * 1000
const value = Buffer.alloc(600, 'x')
const partitions = 4
const floorBatch = 1000

type Measured = { perSecond: number; p50Ms: number; p99Ms: number }

/** Runs `work` in so many loops at once; each call counts for `records`. */
async function measure(
  loops: number,
  records: number,
  work: (loop: number) => Promise<unknown>,
): Promise<Measured> {
  const started = performance.now()
  const latencies: number[] = []
  const loop = async (index: number) => {
    while (performance.now() - started < caseMs) {
      const before = performance.now()
      await work(index)
      latencies.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: loops }, (_, index) => loop(index)))
  const elapsedMs = performance.now() - started
  latencies.sort((a, b) => a - b)
  const at = (share: number) => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 10) / 10
  const perSecond = Math.round((latencies.length * records * 1000) / elapsedMs)
  return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** One request packed once and sent again and again, by so many at once: what the broker takes. */
async function measureFloor(
  { context, config }: Awaited<ReturnType<typeof openKafkaTestLog>>,
  address: string,
): Promise<number> {
  const [host = '', port] = address.split(':')
  await using cluster = new Cluster(context, config, [{ host, port: Number(port) }])
  const record = { key: null, value, headers: packHeaders({}), timestampMs: Date.now() }
  const batch = packBatch(
    Array.from({ length: floorBatch / partitions }, () => record),
    'none',
  )
  stampBatch(batch, { producerId: -1n, epoch: -1, sequence: -1, isTransactional: false })
  const topic = `${config.topicPrefix}floor`
  const batches = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, batch }))
  const connections = [await cluster.anyBroker()]
  for (const name of ['1', '2', '3'])
    connections.push(await cluster.connections.to({ host, port: Number(port) }, { name }))
  const { perSecond } = await measure(connections.length, floorBatch, async (loop) => {
    const connection = connections[loop]
    if (connection !== undefined)
      await sendBatches(connection, batches, { transactionalId: null, timeoutMs: 10_000 })
  })
  return perSecond
}

async function consumeAll(log: Log, total: number, isCopying: boolean) {
  const stop = new AbortController()
  const group = isCopying ? 'copier' : 'reader'
  await using consumer = log.consume({ group, topics: ['t'], start: 'earliest', signal: stop.signal })
  let rows = 0
  let commits = 0
  const started = performance.now()
  const holding: Promise<void>[] = []
  for await (const lease of consumer.leases())
    holding.push(
      (async () => {
        for await (const { until, records } of lease.batches({
          recordsMax: 1000,
          bytesMax: 4e6,
          waitMs: 0,
        })) {
          const copies = records.map(({ key, value, headers }) => ({ topic: 'out', key, value, headers }))
          if (isCopying) await lease.intend(until)
          await lease.commit({ offset: until, ...(isCopying ? { records: copies } : {}) })
          commits++
          rows += records.length
          if (rows >= total) stop.abort()
        }
        await lease[Symbol.asyncDispose]()
      })(),
    )
  await Promise.all(holding)
  const seconds = (performance.now() - started) / 1000
  return { rowsPerSecond: Math.round(rows / seconds), commitsPerSecond: Math.round(commits / seconds) }
}

async function measureRebalance(address: string, one: Log, topicPrefix: string): Promise<number> {
  await using other = await openKafkaTestLog(address, { topicPrefix, heartbeatIntervalMs: 3000 })
  const stop = new AbortController()
  const consume = (log: Log) =>
    log.consume({ group: 'round', topics: ['t'], start: 'latest', signal: stop.signal })
  const holding = new Map<LogConsumer, number>()
  const hold = async (consumer: LogConsumer) => {
    for await (const lease of consumer.leases()) {
      holding.set(consumer, (holding.get(consumer) ?? 0) + 1)
      lease.signal.addEventListener('abort', () => void lease[Symbol.asyncDispose]())
    }
  }
  await using first = consume(one)
  const holds = [hold(first)]
  while ((holding.get(first) ?? 0) < partitions) await new Promise((resolve) => setTimeout(resolve, 5))
  const started = performance.now()
  await using second = consume(other.log)
  holds.push(hold(second))
  while ((holding.get(second) ?? 0) < partitions / 2) await new Promise((resolve) => setTimeout(resolve, 5))
  const elapsedMs = Math.round(performance.now() - started)
  stop.abort()
  await Promise.all(holds)
  return elapsedMs
}

const folder = mkdtempSync(join(tmpdir(), 'rowmill-bench-kafka-'))
try {
  const port = await freePort()
  await using broker = await startBroker({
    folder,
    port,
    controllerPort: await freePort(),
    heapMiB: 512,
    isOptimised: true,
  })
  void broker
  const address = `127.0.0.1:${port}`
  await using opened = await openKafkaTestLog(address, { heartbeatIntervalMs: 3000 })
  const { log, config } = opened
  await log.ensureTopics(['t', 'out', 'floor'].map((name) => ({ name, partitions, retentionMs: 3_600_000 })))
  const one = (loop: number) => log.append([{ topic: 't', key: String(loop), value }])
  const records = Array.from({ length: floorBatch }, (_, index) => ({
    topic: 't',
    partition: index % partitions,
    key: null,
    value,
  }))
  const append = {
    single1: await measure(1, 1, one),
    single64: await measure(64, 1, one),
    single512: await measure(512, 1, one),
    batches1000: await measure(1, floorBatch, () => log.append(records)),
    batches1000x4: await measure(4, floorBatch, () => log.append(records)),
  }
  const floorPerSecond = await measureFloor(opened, address)
  const total = 100_000
  const consume = await consumeAll(log, total, false)
  const transactions = await consumeAll(log, total, true)
  const rebalanceMs = await measureRebalance(address, log, config.topicPrefix)
  const result = {
    bench: 'kafka',
    recordBytes: value.length,
    partitions,
    floorPerSecond,
    append,
    consume,
    transactions,
    rebalanceMs,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}
