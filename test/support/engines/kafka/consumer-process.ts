/**
 * A consumer in a process of its own, to be killed or stopped. It reads `t` for the group `g` and tells its
 * parent what it does. What it does with a batch is the third argument: `copy` settles it with a copy in `out`,
 * `hang` intends it and goes no further.
 */
import { openKafkaLog } from '../../../../src/adapters/kafka/log.ts'
import { isRowmillError } from '../../../../src/errors/rowmill-error.ts'
import type { LogBatch, PartitionLease } from '../../../../src/ports/log.ts'
import { kafkaContext, kafkaSettings } from './log.ts'

const [hosts = '', topicPrefix = '', doing = 'copy', settings = '{}'] = process.argv.slice(2)
const log = await openKafkaLog(kafkaContext(), kafkaSettings(hosts, { topicPrefix, ...JSON.parse(settings) }))
const { promise: never } = Promise.withResolvers<void>()
const stop = new AbortController()
process.once('disconnect', () => process.exit())
process.on('message', () => stop.abort())

async function work(lease: PartitionLease, batch: LogBatch): Promise<void> {
  const { partition, from, until, records } = batch
  await lease.intend(until)
  tell({ did: 'intended', partition, from, until })
  if (doing === 'hang') await never
  const copies = records.map(({ key, value }) => ({ topic: 'out', partition, key, value }))
  await lease.commit({ offset: until, records: copies })
  tell({ did: 'settled', partition, from, until })
}

async function hold(lease: PartitionLease): Promise<void> {
  tell({ did: 'leased', partition: lease.partition, from: lease.position, until: lease.intended ?? -1 })
  try {
    for await (const batch of lease.batches({ recordsMax: 7, bytesMax: 1e6, waitMs: 5 }))
      await work(lease, batch)
  } catch (error) {
    if (!isRowmillError(error)) throw error
    tell({ did: error.code, partition: lease.partition, from: -1, until: -1 })
  }
  await lease[Symbol.asyncDispose]()
  tell({ did: 'released', partition: lease.partition, from: -1, until: -1 })
}

export type Told = { did: string; partition: number; from: number; until: number }

function tell(told: Told): void {
  process.send?.(told)
}

const consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
const holding: Promise<void>[] = []
for await (const lease of consumer.leases()) holding.push(hold(lease))
await Promise.all(holding)
await consumer[Symbol.asyncDispose]()
await log[Symbol.asyncDispose]()
process.disconnect()
