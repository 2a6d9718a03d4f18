/** Capture's fallback on a bucket: the log away, S3 away, and a process that is killed while it drains. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../../../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../../src/adapters/embedded/log/log.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { openS3Blobs } from '../../../src/adapters/s3/blobs.ts'
import { s3Config } from '../../../src/adapters/s3/config.ts'
import { fallbackConfigSchema } from '../../../src/capture/fallback/config.ts'
import { openFallback } from '../../../src/capture/fallback/fallback.ts'
import type { RecordSink } from '../../../src/capture/sinks/record-sink.ts'
import { isRowmillError, RowmillError } from '../../../src/errors/rowmill-error.ts'
import { topics } from '../../../src/event/topics.ts'
import { openFallbackBlobs } from '../../../src/platform/engines/fallback-blobs.ts'
import type { Blobs } from '../../../src/ports/blobs.ts'
import type { Log } from '../../../src/ports/log.ts'
import { openCapture } from '../../compat/capture-fixture.ts'
import { logDeps } from '../../support/embedded-log.ts'
import { openS3, s3SettingsOf, type TestS3 } from '../../support/engines/s3.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { waitFor } from '../../support/wait-for.ts'

const uuidOf = (number: number) => `0198c0de-0000-7000-8000-${String(number).padStart(12, '0')}`
const event = (number: number) =>
  JSON.stringify({ api_key: 'phc_a', event: 'paid', distinct_id: 'd', uuid: uuidOf(number), properties: {} })

/** The settings as an operator gives them: credentials in `s3`, bucket and endpoint of the fallback's own. */
function openBucket(s3: TestS3): Promise<Blobs | undefined> {
  const { accessKeyId, secretAccessKey, region } = s3
  const fallback = { bucket: s3.bucket, endpoint: s3.endpoint, requestTimeoutMs: 2000 }
  return openFallbackBlobs(quietTelemetry(), {
    s3: s3Config.parse({ accessKeyId, secretAccessKey, region, attemptsMax: 2 }),
    capture: { fallback: fallbackConfigSchema.parse(fallback) },
  })
}

async function openLog(directory: string): Promise<Log> {
  const log = await openEmbeddedLog(logDeps(directory), embeddedLogConfig.parse({ diskReserveBytes: 4096 }))
  const names = [topics.captured, topics.historical, topics.drops]
  await log.ensureTopics(names.map((name) => ({ name, partitions: 1, retentionMs: 1e12 })))
  return log
}

async function uuidsOn(log: Log): Promise<string[]> {
  const uuids: string[] = []
  for await (const chunk of log.scan({ topic: topics.captured, partition: 0, from: 0 }))
    uuids.push(...chunk.map(({ value }) => String(JSON.parse(value.toString()).uuid)))
  return uuids
}

function openOn(log: RecordSink, blobs: Blobs) {
  return openFallback(
    {
      ...quietTelemetry(),
      log,
      blobs,
      clock: createSystemClock(),
      random: createSystemRandom(),
      cache: { lock: async () => ({ extend: async () => true, async [Symbol.asyncDispose]() {} }) },
    },
    { ...fallbackConfigSchema.parse({ isEnabled: true, probeIntervalMs: 10 }), recordBytesMax: 1_000_000 },
    { signal: new AbortController().signal },
  )
}

test('while the log is away a bucket keeps events, while both are away the answer is 503, and nothing is lost', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using dir = await tempDir('rowmill-fallback-')
  await using log = await openLog(dir.path)
  const blobs = await openBucket(s3)
  assert(blobs !== undefined)
  await using _blobs = blobs
  let isAway = true
  await using fallback = await openOn(
    {
      async append(records) {
        if (isAway) throw new RowmillError('LOG_UNAVAILABLE', 'The log is away.')
        return await log.append(records)
      },
    },
    blobs,
  )
  await using server = await openCapture({ append: async (records) => void (await fallback.append(records)) })
  const accepted: string[] = []
  const post = async (number: number): Promise<number> => {
    const { status } = await server.post('/i/v0/e', event(number))
    if (status === 200) accepted.push(uuidOf(number))
    return status
  }
  for (let number = 0; number < 20; number++) assert.equal(await post(number), 200)
  assert([...s3.content.objects.keys()].every((key) => key.startsWith('capture-fallback/')))
  await s3.kill()
  for (let number = 20; number < 23; number++) assert.equal(await post(number), 503)
  await s3.start()
  await waitFor(async () => (await post(23)) === 200)
  // The drain comes to the bucket while that is away, and waits.
  await s3.kill()
  isAway = false
  await waitFor(async () => (await post(24)) === 200)
  assert((await uuidsOn(log)).includes(uuidOf(24)))
  await s3.start()
  await waitFor(() => s3.content.objects.size === 0, { withinMs: 30_000, what: 'the drain' })
  assert.deepEqual([...new Set(await uuidsOn(log))].sort(), [...new Set(accepted)].sort())
})

test('a bucket that is away at the start keeps nobody from capturing, one that refuses is told', async () => {
  await using s3 = await openS3({ isOwn: true })
  await s3.kill()
  await using away = await openBucket(s3)
  assert.notEqual(away, undefined)
  await s3.start()
  s3.faults.refuse = () => ({ code: 'NoSuchBucket', status: 404 })
  await assert.rejects(openBucket(s3), (error) => {
    assert(isRowmillError(error, 'CONFIG_INVALID'))
    assert.match(error.message, /name another in capture\.fallback\.bucket \(S3_FALLBACK_BUCKET\)/)
    return true
  })
  const { accessKeyId, secretAccessKey } = s3
  const none = {
    s3: s3Config.parse({ accessKeyId, secretAccessKey }),
    capture: { fallback: fallbackConfigSchema.parse({}) },
  }
  assert.equal(await openFallbackBlobs(quietTelemetry(), none), undefined)
})

test('a process that is killed while it drains loses no event, and brings few twice', async () => {
  await using s3 = await openS3({ isOwn: true })
  await using dir = await tempDir('rowmill-fallback-')
  const objects = 150
  const settings = { ...s3SettingsOf(s3), keyPrefix: '' }
  {
    await using blobs = await openS3Blobs(quietTelemetry(), s3Config.parse(settings))
    const full = () => Promise.reject(new RowmillError('LOG_FULL', 'The log is full.'))
    await using fallback = await openOn({ append: full }, blobs)
    await using server = await openCapture({
      append: async (records) => void (await fallback.append(records)),
    })
    for (let number = 0; number < objects; number++)
      assert.equal((await server.post('/i/v0/e', event(number))).status, 200)
    assert.equal(s3.content.objects.size, objects)
  }
  await (await openLog(dir.path))[Symbol.asyncDispose]()
  let kills = 0
  while (s3.content.objects.size > 0) {
    await using child = await startDrain(dir.path, settings)
    const left = s3.content.objects.size
    const goal = kills < 6 ? Math.max(0, left - 20) : 0
    await waitFor(() => s3.content.objects.size <= goal, { withinMs: 30_000, what: 'the drain' })
    if (kills < 6) kills++
    await child.kill()
  }
  await using log = await openLog(dir.path)
  const uuids = await uuidsOn(log)
  const expected = Array.from({ length: objects }, (_, number) => uuidOf(number))
  assert.deepEqual([...new Set(uuids)].sort(), expected)
  assert(uuids.length <= objects + kills + 1, `${uuids.length - objects} came twice in ${kills} kills`)
})

async function startDrain(
  directory: string,
  settings: Record<string, unknown>,
): Promise<AsyncDisposable & { kill(): Promise<void> }> {
  const program = fileURLToPath(new URL('../../support/fallback-drain-process.ts', import.meta.url))
  const child: ChildProcess = fork(program, [directory, JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => assert.fail(`The draining process ended with ${code}.`)),
  ])
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return { kill, [Symbol.asyncDispose]: kill }
}
