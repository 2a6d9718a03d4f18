/**
 * Opens a log and capture's fallback on S3, and drains what is kept there into the log. To be killed. Tells its
 * parent when it is up.
 */
import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { openS3Blobs } from '../../src/adapters/s3/blobs.ts'
import { s3Config } from '../../src/adapters/s3/config.ts'
import { fallbackConfigSchema } from '../../src/capture/fallback/config.ts'
import { openFallback } from '../../src/capture/fallback/fallback.ts'
import { logDeps } from './embedded-log.ts'
import { quietTelemetry } from './quiet.ts'

const [directory = '', settings = '{}'] = process.argv.slice(2)
const telemetry = quietTelemetry()
await using log = await openEmbeddedLog(
  logDeps(directory),
  embeddedLogConfig.parse({ diskReserveBytes: 4096 }),
)
await using blobs = await openS3Blobs(telemetry, s3Config.parse(JSON.parse(settings)))
const stop = new AbortController()
process.on('disconnect', () => stop.abort())
await using _fallback = await openFallback(
  {
    ...telemetry,
    log: { append: (records) => log.append(records) },
    blobs,
    clock: createSystemClock(),
    random: createSystemRandom(),
    // The parent runs one of these at a time.
    cache: { lock: async () => ({ extend: async () => true, async [Symbol.asyncDispose]() {} }) },
  },
  {
    ...fallbackConfigSchema.parse({ isEnabled: true, probeIntervalMs: 10, lookIntervalMs: 10 }),
    recordBytesMax: 1_000_000,
  },
  { signal: stop.signal },
)
process.send?.('up')
await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
