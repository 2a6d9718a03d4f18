import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCapture } from '../../../test/compat/capture-fixture.ts'
import { openTestLog } from '../../../test/support/embedded-log.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { openEmbeddedBlobs } from '../../adapters/embedded/blobs.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { createSystemRandom } from '../../adapters/embedded/random.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import type { NewRecord } from '../../ports/log.ts'
import type { RecordSink } from '../sinks/record-sink.ts'
import { fallbackConfigSchema } from './config.ts'
import { openFallback } from './fallback.ts'
import { decodeObject, encodeRecords, joinObject } from './object-format.ts'

const full = () => new RowmillError('LOG_FULL', 'The log is full.')
const away = () => new RowmillError('LOG_UNAVAILABLE', 'The log is away.')
const tooLarge = () => new RowmillError('RECORD_TOO_LARGE', 'The record is too large.')

/** The real log behind a door that the test may close, real blobs, and a lock that another may have. */
async function openWorld() {
  const stack = new AsyncDisposableStack()
  const opened = stack.use(await openTestLog())
  const names = [topics.captured, topics.historical, topics.drops]
  await opened.log.ensureTopics(names.map((name) => ({ name, partitions: 1, retentionMs: 1e12 })))
  const dir = stack.use(await tempDir('rowmill-fallback-'))
  const blobs = stack.use(await openEmbeddedBlobs({ directory: dir.path, random: createSystemRandom() }))
  const door = {
    failure: undefined as (() => Error) | undefined,
    asked: 0,
    deletes: 0,
    locks: 0,
    isLocked: false,
    deletesFail: false,
    putsFail: false,
    beforePut: async () => {},
  }
  const log: RecordSink = {
    async append(records) {
      door.asked++
      if (door.failure !== undefined) throw door.failure()
      return await opened.log.append(records)
    },
  }
  const telemetry = quietTelemetry()
  const deps = {
    ...telemetry,
    log,
    clock: createSystemClock(),
    random: createSystemRandom(),
    blobs: {
      list: blobs.list.bind(blobs),
      get: blobs.get.bind(blobs),
      async put(key: string, bytes: Buffer) {
        await door.beforePut()
        if (door.putsFail) throw new RowmillError('BLOBS_UNAVAILABLE', 'No blob can be written.')
        await blobs.put(key, bytes)
      },
      async delete(key: string) {
        door.deletes++
        if (door.deletesFail) throw new RowmillError('BLOBS_UNAVAILABLE', 'No blob can be deleted.')
        return await blobs.delete(key)
      },
    },
    cache: {
      async lock() {
        door.locks++
        if (door.isLocked) return undefined
        return { extend: async () => !door.isLocked, async [Symbol.asyncDispose]() {} }
      },
    },
  }
  return {
    door,
    blobs,
    metrics: telemetry.metrics,
    open: (settings: Record<string, unknown> = {}, recordBytesMax = 1_000_000) =>
      openFallback(
        deps,
        {
          ...fallbackConfigSchema.parse({ isEnabled: true, probeIntervalMs: 10, ...settings }),
          recordBytesMax,
        },
        { signal: new AbortController().signal },
      ),
    keys: async (prefix = 'capture-fallback/') => {
      const keys: string[] = []
      for await (const { key } of blobs.list(prefix)) keys.push(key)
      return keys
    },
    /** The values of a topic's records, in their order. */
    async onLog(topic: string = topics.captured) {
      const values: string[] = []
      for await (const chunk of opened.log.scan({ topic, partition: 0, from: 0 }))
        values.push(...chunk.map(({ value }) => value.toString()))
      return values
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

type World = Awaited<ReturnType<typeof openWorld>>

async function uuidsOnLog(world: World): Promise<string[]> {
  return (await world.onLog()).map((text) => String(JSON.parse(text).uuid))
}

function uuidOf(number: number): string {
  return `0198c0de-0000-7000-8000-${String(number).padStart(12, '0')}`
}

const event = (number: number) =>
  JSON.stringify({ api_key: 'phc_a', event: 'paid', distinct_id: 'd', uuid: uuidOf(number), properties: {} })
const record = (value: string, topic: string = topics.captured): NewRecord => ({
  topic,
  key: 'k',
  value: Buffer.from(value),
  headers: { token: 'phc_a', uuid: uuidOf(1), distinct_id: 'd', event: 'e' },
})

async function openServer(fallback: RecordSink) {
  return await openCapture({ append: async (records) => void (await fallback.append(records)) })
}

for (const [name, failure] of [
  ['full', full],
  ['away', away],
] as const)
  test(`a request is kept while the log is ${name}, answered 200, and reaches the log once it is well`, async () => {
    await using world = await openWorld()
    await using fallback = await world.open()
    await using server = await openServer(fallback)
    world.door.failure = failure
    const answer = await server.post('/i/v0/e', event(1))
    assert.equal(answer.status, 200)
    const [key = ''] = await world.keys()
    assert.match(key, /^capture-fallback\/\d{4}\/\d{2}\/\d{2}\/\d{13}-00000000-[0-9a-f]{8}\.ndjson$/)
    const lines = String(await world.blobs.get(key))
      .trim()
      .split('\n')
    assert.equal(lines[0], '{"format":"rowmill-captured-1"}')
    assert.equal(JSON.parse(JSON.parse(lines[1] ?? '').value).uuid, uuidOf(1))
    assert.equal(await world.metrics.value('capture_primary_sink_health'), 0)
    assert.equal(await world.metrics.value('capture_fallback_objects'), 1)
    assert.equal(await world.metrics.value('capture_fallback_sink_failovers_total'), 1)

    world.door.failure = undefined
    await waitFor(async () => (await world.keys()).length === 0, { what: 'the drain' })
    assert.deepEqual(await uuidsOnLog(world), [uuidOf(1)])
    await waitFor(async () => (await world.metrics.value('capture_fallback_objects')) === 0)
    assert.equal(await world.metrics.value('capture_primary_sink_health'), 1)
    assert.equal(await world.metrics.value('capture_fallback_drained_total'), 1)
    assert.equal((await server.post('/i/v0/e', event(2))).status, 200)
    assert.deepEqual(await uuidsOnLog(world), [uuidOf(1), uuidOf(2)])
  })

test('a refusal for good is told and never kept, whether the log says it or would say it', async () => {
  await using world = await openWorld()
  await using fallback = await world.open({ probeIntervalMs: 60_000 }, 2_000)
  await using server = await openServer(fallback)
  world.door.failure = tooLarge
  assert.equal((await server.post('/i/v0/e', event(1))).status, 413)
  world.door.failure = full
  assert.equal((await server.post('/i/v0/e', event(2))).status, 200)
  const large = event(3).replace('{}', JSON.stringify({ x: 'x'.repeat(3_000) }))
  assert.equal((await server.post('/i/v0/e', large)).status, 413)
  assert.equal((await world.keys()).length, 1)
})

test('a log that failed is left alone for a while', async () => {
  await using world = await openWorld()
  await using fallback = await world.open({ probeIntervalMs: 60_000 })
  await using server = await openServer(fallback)
  world.door.failure = away
  for (let number = 0; number < 5; number++)
    assert.equal((await server.post('/i/v0/e', event(number))).status, 200)
  assert.equal(world.door.asked, 1)
  assert.equal((await world.keys()).length, 5)
})

test('beyond its bounds, and when it cannot keep anything, the answer is 503 as without it', async () => {
  await using world = await openWorld()
  await using fallback = await world.open({ probeIntervalMs: 60_000, objectsMax: 2 })
  await using server = await openServer(fallback)
  world.door.failure = full
  world.door.putsFail = true
  const refused = await server.post('/i/v0/e', event(0))
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '1')
  world.door.putsFail = false
  const statuses: number[] = []
  for (let number = 1; number <= 3; number++)
    statuses.push((await server.post('/i/v0/e', event(number))).status)
  assert.deepEqual(statuses, [200, 200, 503])

  await using small = await world.open({ probeIntervalMs: 60_000, prefix: 'small', storedBytesMax: 1024 })
  await assert.rejects(small.append([record('x'.repeat(2_000))]), { code: 'LOG_UNAVAILABLE' })
})

test('requests that wait while an object is written share the next one', async () => {
  await using world = await openWorld()
  await using fallback = await world.open({
    probeIntervalMs: 60_000,
    putsInFlightMax: 1,
    inFlightBytesMax: 2_048,
  })
  const held = Promise.withResolvers<void>()
  world.door.failure = full
  world.door.beforePut = () => held.promise
  const appends = [1, 2, 3, 4].map((number) => fallback.append([record(`${number}`)]))
  await waitFor(
    async () => (await world.metrics.value('queue_depth', { queue: 'capture_fallback_bytes' })) > 400,
  )
  await assert.rejects(fallback.append([record('x'.repeat(2_000))]), { code: 'LOG_UNAVAILABLE' })
  held.resolve()
  await Promise.all(appends)
  const objects = await Promise.all((await world.keys()).map((key) => world.blobs.get(key)))
  assert.deepEqual(
    objects.map((bytes) => decodeObject(bytes ?? Buffer.alloc(0))?.map(({ value }) => value.toString())),
    [['1'], ['2', '3', '4']],
  )
})

test('a crash between the append and the delete brings an object twice, with the same token and uuid', async () => {
  await using world = await openWorld()
  {
    await using fallback = await world.open()
    await using server = await openServer(fallback)
    world.door.failure = full
    assert.equal((await server.post('/i/v0/e', event(1))).status, 200)
    world.door.deletesFail = true
    world.door.failure = undefined
    await waitFor(async () => (await world.onLog()).length > 0)
    // Deletes fail again and again, and only they are tried again.
    const asked = world.door.asked
    await waitFor(() => world.door.deletes >= 3)
    assert.equal(world.door.asked, asked)
    assert.equal((await world.keys()).length, 1)
  }
  world.door.deletesFail = false
  await using _next = await world.open()
  await waitFor(async () => (await world.keys()).length === 0)
  const messages = (await world.onLog()).map((text) => JSON.parse(text))
  assert.deepEqual(
    messages.map(({ token, uuid }) => [token, uuid]),
    [
      ['phc_a', uuidOf(1)],
      ['phc_a', uuidOf(1)],
    ],
  )
})

test('what an earlier run left is brought at the start, oldest first', async () => {
  await using world = await openWorld()
  const object = (value: string) => joinObject([encodeRecords([record(value)])])
  await world.blobs.put('capture-fallback/2026/02/01/1770000000000-00000000-aaaaaaaa.ndjson', object('3'))
  await world.blobs.put('capture-fallback/2026/01/31/1769800000000-00000007-bbbbbbbb.ndjson', object('1'))
  await world.blobs.put('capture-fallback/2026/01/31/1769800000000-00000008-aaaaaaaa.ndjson', object('2'))
  await using _fallback = await world.open()
  await waitFor(async () => (await world.keys()).length === 0)
  assert.deepEqual(await world.onLog(), ['1', '2', '3'])
})

test('what an earlier run left is brought even when the fallback is switched off, and nothing new is kept', async () => {
  await using world = await openWorld()
  const key = 'capture-fallback/2026/01/31/1769800000000-00000000-aaaaaaaa.ndjson'
  await world.blobs.put(key, joinObject([encodeRecords([record('left')])]))
  await using fallback = await world.open({ isEnabled: false })
  await waitFor(async () => (await world.keys()).length === 0)
  assert.deepEqual(await world.onLog(), ['left'])
  world.door.failure = full
  await assert.rejects(fallback.append([record('new')]), { code: 'LOG_FULL' })
  assert.deepEqual(await world.keys(), [])
})

test('what the log refuses for good is set aside with a written reason, and the rest goes on', async () => {
  await using world = await openWorld()
  const lines = encodeRecords([record('good'), record('bad', 'no_such_topic'), record('fine')])
  await world.blobs.put(
    'capture-fallback/2026/01/01/1767225600000-00000000-aaaaaaaa.ndjson',
    joinObject([lines]),
  )
  await world.blobs.put(
    'capture-fallback/2026/01/01/1767225600001-00000000-aaaaaaaa.ndjson',
    Buffer.from('no object'),
  )
  await world.blobs.put('capture-fallback/mine.txt', Buffer.from('not of this form'))
  await using fallback = await world.open()
  await waitFor(async () => (await world.keys()).length === 1)
  await fallback.append([record('next')])
  assert.deepEqual(await world.onLog(), ['good', 'fine', 'next'])
  const [drop] = (await world.onLog(topics.drops)).map((text) => JSON.parse(text))
  assert.deepEqual(
    [drop.reason, drop.uuid, drop.token, drop.details],
    ['fallback_refused', uuidOf(1), 'phc_a', '{"code":"TOPIC_UNKNOWN","topic":"no_such_topic"}'],
  )
  const [refused = '', unreadable = ''] = await world.keys('capture-fallback-refused/')
  assert.deepEqual(
    decodeObject((await world.blobs.get(refused)) ?? Buffer.alloc(0))?.map(({ value }) => value.toString()),
    ['bad'],
  )
  assert.equal(String(await world.blobs.get(unreadable)), 'no object')
  assert.deepEqual(await world.keys(), ['capture-fallback/mine.txt'])
  for (const reason of ['refused', 'unreadable'])
    assert.equal(await world.metrics.value('capture_fallback_refused_total', { reason }), 1)
})

test('another process that drains is left to it', async () => {
  await using world = await openWorld()
  world.door.isLocked = true
  await using fallback = await world.open()
  world.door.failure = away
  await fallback.append([record('1')])
  world.door.failure = undefined
  await waitFor(() => world.door.locks >= 3)
  assert.equal((await world.keys()).length, 1)
  world.door.isLocked = false
  await waitFor(async () => (await world.keys()).length === 0)
  assert.deepEqual(await world.onLog(), ['1'])
})

test('a request that finds the log well again opens it for all', async () => {
  await using world = await openWorld()
  world.door.isLocked = true
  await using fallback = await world.open({ probeIntervalMs: 30 })
  world.door.failure = away
  await fallback.append([record('1')])
  world.door.failure = undefined
  await waitFor(async () => {
    await fallback.append([record('2')])
    return (await world.onLog()).length > 0
  })
  assert.equal(await world.metrics.value('capture_primary_sink_health'), 1)
})
