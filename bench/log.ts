/**
 * The embedded log: durable appends of 1 KiB with 1, 64 and 512 in flight, and reading back. The floor is
 * measured in the same run: the same bytes gathered, written with writev and made durable with fdatasync,
 * with nothing else done. Prints one JSON line. `node bench/log.ts [seconds per case]`
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import type { Log } from '../src/ports/log.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const caseMs = Number(process.argv[2] ?? 2) * 1000
const value = Buffer.alloc(1024, 'x')
const inFlightCases = [1, 64, 512]

/** Records per second of `append` called by so many loops at once. */
async function measure(inFlight: number, append: (loop: number) => Promise<unknown>): Promise<number> {
  const started = performance.now()
  let records = 0
  const loop = async (index: number) => {
    while (performance.now() - started < caseMs) {
      await append(index)
      records++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, index) => loop(index)))
  return Math.round((records * 1000) / (performance.now() - started))
}

/** Group commit and nothing else. */
function openFloor(path: string) {
  const fd = fs.openSync(path, 'w')
  const writev = promisify(fs.writev)
  const sync = promisify(fs.fdatasync)
  let queue: { bytes: Buffer; resolve: () => void }[] = []
  let isRunning = false
  const run = async () => {
    isRunning = true
    await new Promise((resolve) => setImmediate(resolve))
    while (queue.length > 0) {
      const group = queue
      queue = []
      await writev(
        fd,
        group.map((each) => each.bytes),
      )
      await sync(fd)
      for (const each of group) each.resolve()
    }
    isRunning = false
  }
  return {
    append: (bytes: Buffer) =>
      new Promise<void>((resolve) => {
        queue.push({ bytes, resolve })
        if (!isRunning) void run()
      }),
    close: () => fs.closeSync(fd),
  }
}

async function readBack(log: Log): Promise<number> {
  const started = performance.now()
  let bytes = 0
  for (let partition = 0; partition < 4; partition++)
    for await (const records of log.scan({ topic: 't', partition, from: 0 }))
      for (const record of records) bytes += record.value.length
  return Math.round(bytes / 1000 / (performance.now() - started))
}

const directory = fs.mkdtempSync(join(tmpdir(), 'rowmill-bench-log-'))
try {
  const floor: Record<string, number> = {}
  const log: Record<string, number> = {}
  const deps = {
    directory: join(directory, 'log'),
    clock: createSystemClock(),
    random: createSystemRandom(),
    metrics: createMetrics(),
    logger: createLogger({ level: 'warn' }),
  }
  const config = embeddedLogConfig.parse({ cacheBytesMax: 0 })
  let readMegabytes = 0
  {
    await using opened = await openEmbeddedLog(deps, config)
    await opened.ensureTopics([{ name: 't', partitions: 4, retentionMs: 1e12 }])
    for (const inFlight of inFlightCases) {
      const bare = openFloor(join(directory, `floor-${inFlight}`))
      floor[inFlight] = await measure(inFlight, () => bare.append(value))
      bare.close()
      fs.rmSync(join(directory, `floor-${inFlight}`))
      log[inFlight] = await measure(inFlight, (loop) =>
        opened.append([{ topic: 't', partition: loop % 4, key: null, value }]),
      )
    }
    readMegabytes = await readBack(opened)
  }
  const started = performance.now()
  {
    await using opened = await openEmbeddedLog(deps, config)
    await opened.describe()
  }
  const openMs = Math.round(performance.now() - started)
  const result = {
    bench: 'log',
    recordBytes: 1024,
    appendedPerSecond: log,
    floorPerSecond: floor,
    readMegabytesPerSecond: readMegabytes,
    reopenMs: openMs,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}
