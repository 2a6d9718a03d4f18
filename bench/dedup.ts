/**
 * De-duplication: ids judged and remembered per second, memory per id, and how long a restart takes to load
 * them again. The floor is a JavaScript Set of strings. Prints one JSON line. `node bench/dedup.ts [ids]`
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { topics } from '../src/event/topics.ts'
import { dedupConfigSchema } from '../src/ingest/dedup/config.ts'
import { openDedup } from '../src/ingest/dedup/dedup.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const ids = Number(process.argv[2] ?? 1_000_000)
const batchIds = 1000
const token = 'phc_bench'
const source = { topic: topics.captured, partition: 0 }

function uuidOf(number: number): string {
  const digits = (Math.imul(number + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')
  return `${digits}-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
}

const directory = fs.mkdtempSync(join(tmpdir(), 'rowmill-bench-dedup-'))
const random = createSystemRandom()
const clock = createSystemClock()
const ground = { clock, random, metrics: createMetrics(), logger: createLogger({ level: 'warn' }) }
const config = dedupConfigSchema.parse({})
const signal = new AbortController().signal
try {
  await using log = await openEmbeddedLog({ ...ground, directory }, embeddedLogConfig.parse({}))
  await log.ensureTopics([{ name: topics.dedup, partitions: 1, retentionMs: config.windowMs }])
  const uuids = Array.from({ length: ids }, (_, index) => uuidOf(index))
  const dedup = await openDedup({ log, ...ground }, config, { signal })
  let judgeMs = 0
  for (let from = 0; from < ids; from += batchIds) {
    const batch = uuids
      .slice(from, from + batchIds)
      .map((uuid, index) => ({ token, uuid, offset: from + index }))
    const started = performance.now()
    dedup.judge(batch, source)
    const record = dedup.record(batch, source)
    dedup.committed(batch, { ...source, until: from + batch.length })
    judgeMs += performance.now() - started
    if (record !== undefined) await log.append([record])
  }
  const startedLoad = performance.now()
  const loaded = await openDedup({ log, ...ground }, config, { signal })
  const loadMs = performance.now() - startedLoad
  const startedFloor = performance.now()
  const floor = new Set<string>()
  for (const uuid of uuids) floor.add(`${token}:${uuid}`)
  const floorMs = performance.now() - startedFloor
  const result = {
    bench: 'dedup',
    ids: loaded.size,
    idsPerSecond: Math.round((ids * 1000) / judgeMs),
    floorIdsPerSecond: Math.round((ids * 1000) / floorMs),
    bytesPerId: Math.round((loaded.memoryBytes / loaded.size) * 10) / 10,
    loadMs: Math.round(loadMs),
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  fs.rmSync(directory, { recursive: true, force: true })
}
