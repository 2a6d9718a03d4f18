/** Reads a log in a worker thread until it has seen so many records, then tells what it saw. */
import { parentPort, workerData } from 'node:worker_threads'
import { openLogReader } from '../../src/adapters/embedded/log/log-reader.ts'

const { directory, records: wanted }: { directory: string; records: number } = workerData
await using reader = await openLogReader({ directory })
let next = 0
let isInOrder = true
while (next < wanted) {
  for await (const records of reader.scan({ topic: 't', partition: 0, from: next }))
    for (const record of records) {
      isInOrder &&= record.offset === next && record.value.toString().trim() === String(next)
      next++
    }
}
parentPort?.postMessage({ records: next, isInOrder })
