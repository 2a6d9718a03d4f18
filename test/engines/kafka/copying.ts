/** Load and a copier for tests in which brokers go away: each record with a number, each copied by a commit. */
import type { Log } from '../../../src/ports/log.ts'
import { waitFor } from '../../support/wait-for.ts'

export const patient = { withinMs: 60_000 }

/** Appends records one after the other in several loops, each with the next number. */
export function startLoad(log: Log) {
  const acknowledged: number[] = []
  const failures: unknown[] = []
  let serial = 0
  let isOver = false
  const loop = async () => {
    while (!isOver) {
      const mine = serial++
      try {
        await log.append([{ topic: 't', key: String(mine), value: Buffer.from(String(mine)) }])
        acknowledged.push(mine)
      } catch (error) {
        failures.push(error)
        return
      }
    }
  }
  const loops = Array.from({ length: 4 }, loop)
  return {
    acknowledged,
    failures,
    async stop() {
      isOver = true
      await Promise.all(loops)
    },
  }
}

/** Copies every partition of `t` to `out`, in the commits that settle. */
export async function copyAll(log: Log, signal: AbortSignal): Promise<void> {
  await using consumer = log.consume({ group: 'copier', topics: ['t'], start: 'earliest', signal })
  const holding: Promise<void>[] = []
  for await (const lease of consumer.leases())
    holding.push(
      (async () => {
        for await (const { until, records } of lease.batches({ recordsMax: 200, bytesMax: 1e6, waitMs: 5 })) {
          const copies = records.map(({ partition, key, value }) => ({ topic: 'out', partition, key, value }))
          await waitFor(async () => {
            await lease.commit({ offset: until, records: copies })
            return true
          }, patient)
        }
        await lease[Symbol.asyncDispose]()
      })(),
    )
  await Promise.all(holding)
}

/** Whether the copier stands at the end of everything. */
export async function isCopied(log: Log): Promise<boolean> {
  const described = (await log.describe()).find(({ name }) => name === 't')
  const ends = described?.bounds.reduce((sum, { end }) => sum + end, 0)
  const positions = await log.positions('copier')
  return positions.reduce((sum, { position }) => sum + position, 0) === ends
}

/** The numbers in a topic, in order. */
export async function serialsOf(log: Log, topic: string, partitions: number): Promise<number[]> {
  const found: number[] = []
  for (let partition = 0; partition < partitions; partition++)
    for await (const records of log.scan({ topic, partition, from: 0 }))
      for (const { value } of records) found.push(Number(value.toString()))
  return found.toSorted((a, b) => a - b)
}

export function serials(count: number): number[] {
  return Array.from({ length: count }, (_, serial) => serial)
}
