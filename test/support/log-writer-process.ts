/** Appends to a log as fast as it can and tells its parent each append that was acknowledged. To be killed. */
import { embeddedLogConfig } from '../../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../src/adapters/embedded/log/log.ts'
import { logDeps } from './embedded-log.ts'

const [directory = ''] = process.argv.slice(2)
const config = embeddedLogConfig.parse({ segmentBytes: 200_000, diskReserveBytes: 4096 })
const log = await openEmbeddedLog(logDeps(directory), config)
await log.ensureTopics([
  { name: 'a', partitions: 2, retentionMs: 1e12 },
  { name: 'b', partitions: 2, retentionMs: 1e12 },
])
const [first] = await log.describe()
let serial = (first?.bounds ?? []).reduce((total, bound) => total + bound.end, 0) * 1_000_000

async function write(): Promise<void> {
  while (process.connected) {
    const mine = serial++
    const key = String(mine)
    const value = Buffer.alloc(mine % 2000, mine % 251)
    const places = ['a', 'a', 'b'].map((topic, index) => ({
      topic,
      partition: (mine + index) % 2,
      key,
      value,
    }))
    const positions = await log.append(places)
    process.send?.({
      serial: mine,
      partitions: positions.map((position) => position.partition),
      offsets: positions.map((position) => position.offset),
    })
  }
}

await Promise.all(Array.from({ length: 8 }, write))
