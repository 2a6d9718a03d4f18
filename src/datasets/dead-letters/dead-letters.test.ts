import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { logDeps, temporaryDirectory } from '../../../test/support/embedded-log.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import { embeddedLogConfig } from '../../adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../adapters/embedded/log/log.ts'
import type { Database } from '../../ports/database.ts'
import type { Log, LogRecord } from '../../ports/log.ts'
import { listDeadLetters } from './dead-letters.ts'
import { readDeadLetterRequests, requestDeadLetters, runDeadLetterRequests } from './requests.ts'

const source = 'outcomes'
const dlq = 'outcomes-dlq'
const places = (offsets: readonly number[]) => offsets.map((offset) => ({ topic: dlq, partition: 0, offset }))

async function openWorld() {
  await using stack = new AsyncDisposableStack()
  const { directory } = stack.use(temporaryDirectory())
  const log = stack.use(await openEmbeddedLog(logDeps(directory), embeddedLogConfig.parse({})))
  const { database } = stack.use(await openTestDatabase({ isMigrated: true }))
  await log.ensureTopics([
    { name: source, partitions: 3, retentionMs: 3_600_000 },
    { name: dlq, partitions: 1, retentionMs: 3_600_000 },
  ])
  const owned = stack.move()
  return { log, database, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Three dead letters of partition 2 of the topic `outcomes`. */
async function setAside(log: Log): Promise<void> {
  await log.append(
    ['a', 'b', 'c'].map((text, index) => ({
      topic: dlq,
      key: 'key',
      value: Buffer.from([0, 255, index]),
      headers: {
        kind: text,
        dlq_reason: index === 1 ? 'row_refused' : 'invalid_message',
        dlq_step: 'datasets-outcomes',
        dlq_error: 'It is no JSON.',
        dlq_path: 'data.x',
        dlq_timestamp: '2026-01-01T00:00:00.000Z',
        dlq_topic: source,
        dlq_partition: '2',
        dlq_offset: String(10 + index),
      },
    })),
  )
  await log.append([{ topic: dlq, key: null, value: Buffer.from('from somebody else') }])
}

async function carryOut(world: { log: Log; database: Database }, ids: readonly number[]) {
  const stop = new AbortController()
  const ports = { ...world, clock: createSystemClock(), ...quietTelemetry() }
  const running = runDeadLetterRequests(ports, { pollIntervalMs: 100 }, { signal: stop.signal })
  await waitFor(async () =>
    (await readDeadLetterRequests(world.database, ids)).every(({ isFinished }) => isFinished),
  )
  stop.abort()
  await running
  return await readDeadLetterRequests(world.database, ids)
}

async function recordsOf(log: Log, partition: number): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for await (const records of log.scan({ topic: source, partition, from: 0 })) all.push(...records)
  return all
}

test('dead letters are listed with their reason, error and the place that they came from', async () => {
  await using world = await openWorld()
  await setAside(world.log)
  const letters = await listDeadLetters(world, { topics: [dlq, 'no-such-topic'], limit: 10 })
  assert.deepEqual(
    letters.map(({ place, source, reason }) => [place.offset, source, reason]),
    [
      [0, { topic: source, partition: 2, offset: 10 }, 'invalid_message'],
      [1, { topic: source, partition: 2, offset: 11 }, 'row_refused'],
      [2, { topic: source, partition: 2, offset: 12 }, 'invalid_message'],
    ],
  )
  assert.equal(letters[0]?.error, 'It is no JSON.')
  assert.equal(letters[0]?.path, 'data.x')
  const refused = await listDeadLetters(world, { topics: [dlq], reason: 'row_refused', limit: 10 })
  assert.equal(refused.length, 1)
  assert.equal((await listDeadLetters(world, { topics: [dlq], stage: 'other', limit: 10 })).length, 0)
})

test('a replay gives the original bytes, key and headers back to their topic and partition, once', async () => {
  await using world = await openWorld()
  await setAside(world.log)
  const bounds = { requestLettersMax: 2 }
  const ids = await requestDeadLetters(
    world.database,
    { action: 'replay', letters: places([0, 1, 2]) },
    bounds,
  )
  assert.equal(ids.length, 2)
  assert.deepEqual(
    (await carryOut(world, ids)).map(({ handled, error }) => [handled, error]),
    [
      [2, undefined],
      [1, undefined],
    ],
  )
  const records = await recordsOf(world.log, 2)
  assert.deepEqual(
    records.map(({ value, headers, key }) => [[...value], headers.kind, headers.dlq_reason, key?.toString()]),
    [
      [[0, 255, 0], 'a', undefined, 'key'],
      [[0, 255, 1], 'b', undefined, 'key'],
      [[0, 255, 2], 'c', undefined, 'key'],
    ],
  )
  assert.deepEqual(await listDeadLetters(world, { topics: [dlq], limit: 10 }), [])
  assert.equal((await listDeadLetters(world, { topics: [dlq], limit: 10, hasHandled: true })).length, 3)
  const again = await requestDeadLetters(
    world.database,
    { action: 'replay', letters: places([0, 1]) },
    bounds,
  )
  assert.deepEqual(
    (await carryOut(world, again)).map(({ handled }) => handled),
    [0],
  )
  assert.equal((await recordsOf(world.log, 2)).length, 3)
})

test('a program that died between the append and its note does not replay again', async () => {
  await using world = await openWorld()
  await setAside(world.log)
  const bounds = { requestLettersMax: 10 }
  const ids = await requestDeadLetters(world.database, { action: 'replay', letters: places([0, 2]) }, bounds)
  await carryOut(world, ids)
  await world.database.execute('delete from dead_letters_handled')
  await world.database.execute('update dead_letter_requests set finished_at = null, handled = 0')
  assert.deepEqual(
    (await carryOut(world, ids)).map(({ handled }) => handled),
    [2],
  )
  assert.equal((await recordsOf(world.log, 2)).length, 2)
})

test('a program that died before the append replays at its next start', async () => {
  await using world = await openWorld()
  await setAside(world.log)
  const ids = await requestDeadLetters(
    world.database,
    { action: 'replay', letters: places([1]) },
    { requestLettersMax: 10 },
  )
  await world.database.execute('update dead_letter_requests set started = $1', [
    JSON.stringify({ [source]: [0, 0, 0] }),
  ])
  await carryOut(world, ids)
  assert.equal((await recordsOf(world.log, 2)).length, 1)
})

test('a dropped dead letter stays on its topic and leaves the list', async () => {
  await using world = await openWorld()
  await setAside(world.log)
  const ids = await requestDeadLetters(
    world.database,
    { action: 'drop', letters: places([0]) },
    { requestLettersMax: 10 },
  )
  await carryOut(world, ids)
  const left = await listDeadLetters(world, { topics: [dlq], limit: 10 })
  assert.deepEqual(
    left.map(({ place }) => place.offset),
    [1, 2],
  )
  const all = await listDeadLetters(world, { topics: [dlq], limit: 10, hasHandled: true })
  assert.deepEqual(
    all.map(({ handled }) => handled),
    ['drop', undefined, undefined],
  )
  assert.equal((await recordsOf(world.log, 2)).length, 0)
})

test('only the newest of a long list are kept', async () => {
  await using world = await openWorld()
  for (let turn = 0; turn < 4; turn++) await setAside(world.log)
  const letters = await listDeadLetters(world, { topics: [dlq], limit: 2 })
  assert.deepEqual(
    letters.map(({ place }) => place.offset),
    [13, 14],
  )
})
