/**
 * What every Log must do, in code: run by each adapter against the real thing. Each case opens its own log
 * and uses its own topics.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../../test/support/wait-for.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import { murmur2Partition } from '../std/murmur2.ts'
import type { BatchOptions, Log, LogBatch, LogConsumer, LogRecord, NewRecord, PartitionLease } from './log.ts'

export type LogHarness = AsyncDisposable & {
  log: Log
  /** Closes the log cleanly and opens it again. */
  reopen(): Promise<Log>
  /** Lets `ms` pass as far as retention is concerned, and lets retention look. */
  passTime?(ms: number): Promise<void>
}

export type LogHarnessOptions = {
  /** Whether the log should keep its records in small pieces, so that retention has something to delete. */
  smallSegments?: boolean
}

type Open = (options: LogHarnessOptions) => Promise<LogHarness>

const dayMs = 24 * 60 * 60 * 1000
const greedy: BatchOptions = { recordsMax: 1000, bytesMax: 1_000_000, waitMs: 0 }

export function exerciseLog(name: string, open: Open): void {
  const check = (
    what: string,
    body: (harness: LogHarness) => Promise<void>,
    options: LogHarnessOptions = {},
  ) =>
    test(`${name}: ${what}`, async () => {
      await using harness = await open(options)
      await body(harness)
    })
  exerciseAppend(check)
  exerciseReading(check)
  exerciseGroups(check)
  exerciseIntent(check)
  exerciseLeases(check)
  exerciseRetention(check)
}

type Check = (what: string, body: (harness: LogHarness) => Promise<void>, options?: LogHarnessOptions) => void

function exerciseAppend(check: Check): void {
  check('records come back as they were given', async ({ log }) => {
    await log.ensureTopics([topic('t', 2)])
    const headers = { token: 'phc_a', nothing: null, 'umlaut-ä': 'ß\u{1F600}', empty: '' }
    const given: NewRecord[] = [
      { topic: 't', partition: 0, key: 'key', value: Buffer.from('one'), headers, timestampMs: 1234.0 },
      { topic: 't', partition: 0, key: null, value: Buffer.alloc(0) },
      { topic: 't', partition: 1, key: Buffer.from([0, 255]), value: Buffer.from([1, 2, 0, 254]) },
      { topic: 't', partition: 0, key: '', value: Buffer.from('four') },
    ]
    const positions = await log.append(given)
    assert.deepEqual(
      positions.map(({ partition, offset }) => [partition, offset]),
      [
        [0, 0],
        [0, 1],
        [1, 0],
        [0, 2],
      ],
    )
    const [first, second, fourth] = await collect(log, 't', 0)
    assert.equal(first?.key?.toString(), 'key')
    assert.equal(first?.value.toString(), 'one')
    assert.equal(first?.timestampMs, 1234)
    assert.deepEqual({ ...first?.headers }, headers)
    assert.equal(second?.key, null)
    assert.equal(second?.value.length, 0)
    assert.deepEqual({ ...second?.headers }, {})
    assert.equal(fourth?.key?.length, 0)
    assert.deepEqual([...((await log.read('t', 1, 0))?.value ?? [])], [1, 2, 0, 254])
    assert.deepEqual([...((await log.read('t', 1, 0))?.key ?? [])], [0, 255])
  })

  check('a key decides the partition as murmur2 does, and null keys go anywhere', async ({ log }) => {
    await log.ensureTopics([topic('t', 7)])
    const keys = ['a', 'token:distinct', '', 'ünïcode', '0'.repeat(300)]
    const positions = await log.append(keys.map((key) => ({ topic: 't', key, value: Buffer.from('x') })))
    assert.deepEqual(
      positions.map((position) => position.partition),
      keys.map((key) => murmur2Partition(Buffer.from(key), 7)),
    )
    const [anywhere] = await log.append([{ topic: 't', key: null, value: Buffer.from('x') }])
    assert.ok(anywhere !== undefined && anywhere.partition >= 0 && anywhere.partition < 7)
  })

  check('records of one call keep their order, whatever else is appended at once', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await Promise.all(
      Array.from({ length: 20 }, (_, call) =>
        log.append(
          Array.from({ length: 10 }, (_, at) => ({
            topic: 't',
            key: null,
            value: Buffer.from(`${call}.${at}`),
          })),
        ),
      ),
    )
    const records = await collect(log, 't', 0)
    assert.equal(records.length, 200)
    for (let call = 0; call < 20; call++) {
      const own = records
        .map((record) => record.value.toString())
        .filter((text) => text.startsWith(`${call}.`))
      assert.deepEqual(
        own,
        Array.from({ length: 10 }, (_, at) => `${call}.${at}`),
      )
    }
  })

  check('an unknown topic is refused and nothing of the call is appended', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    const records = [note('t', 'here'), note('nowhere', 'there')]
    await assert.rejects(log.append(records), (error) => isRowmillError(error, 'TOPIC_UNKNOWN'))
    assert.deepEqual(await collect(log, 't', 0), [])
  })

  check('a topic may get more partitions, and never fewer', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 2)])
    await log.append([note('t', 'kept', 1)])
    await log.ensureTopics([topic('t', 3)])
    await log.append([note('t', 'new', 2)])
    await assert.rejects(log.ensureTopics([topic('t', 2)]), (error) =>
      isRowmillError(error, 'CONFIG_INVALID'),
    )
    const again = await reopen()
    const [described] = await again.describe()
    assert.equal(described?.partitions, 3)
    assert.deepEqual(
      described?.bounds.map((bound) => bound.end),
      [0, 1, 1],
    )
  })
}

function exerciseReading(check: Check): void {
  check('reads and scans find what is there and nothing else', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    for (let at = 0; at < 5; at++) await log.append([note('t', String(at)), note('t', `${at}b`)])
    assert.equal((await log.read('t', 0, 7))?.value.toString(), '3b')
    assert.equal(await log.read('t', 0, 10), undefined)
    const part = await collect(log, 't', 0, { from: 3, until: 6 })
    assert.deepEqual(
      part.map((record) => record.offset),
      [3, 4, 5],
    )
  })

  check('a time finds the first record at or after it', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    for (const timestampMs of [1000, 3000, 2000, 4000])
      await log.append([{ ...note('t', String(timestampMs)), timestampMs }])
    assert.equal(await log.offsetAt('t', 0, 0), 0)
    assert.equal(await log.offsetAt('t', 0, 2000), 1)
    assert.equal(await log.offsetAt('t', 0, 3001), 3)
    assert.equal(await log.offsetAt('t', 0, 5000), 4)
  })

  check(
    'everything is there after closing and opening',
    async ({ log, reopen }) => {
      await log.ensureTopics([topic('t', 1), topic('u', 2)])
      for (let at = 0; at < 50; at++) await log.append([note('t', `t${at}`), note('u', `u${at}`, at % 2)])
      await settle(log, { group: 'g', topic: 't', until: 20 })
      const before = [await texts(log, 't', 0), await texts(log, 'u', 0), await texts(log, 'u', 1)]
      const again = await reopen()
      assert.deepEqual(
        [await texts(again, 't', 0), await texts(again, 'u', 0), await texts(again, 'u', 1)],
        before,
      )
      assert.equal((await again.positions('g'))[0]?.position, 20)
      const [position] = await again.append([note('t', 'next')])
      assert.equal(position?.offset, 50)
    },
    { smallSegments: true },
  )
}

function exerciseGroups(check: Check): void {
  check('a commit moves the position and appends, both at once', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 1), topic('out', 1)])
    await log.append([note('t', 'a'), note('t', 'b')])
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      const batch = await nextBatch(lease)
      assert.equal(batch.until, 2)
      await lease.commit({ offset: 2, records: [note('out', 'ab')] })
    })
    const again = await reopen()
    assert.deepEqual(await texts(again, 'out', 0), ['ab'])
    assert.equal((await again.positions('g'))[0]?.position, 2)
  })

  check('a commit that fails moves nothing', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append([note('t', 'a')])
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      const records = [note('nowhere', 'x')]
      await assert.rejects(lease.commit({ offset: 1, records }), (error) =>
        isRowmillError(error, 'TOPIC_UNKNOWN'),
      )
      assert.equal((await log.positions('g'))[0]?.position, 0)
      await lease.commit({ offset: 1 })
      await assert.rejects(lease.commit({ offset: 0 }))
      assert.equal((await log.positions('g'))[0]?.position, 1)
    })
  })

  check('a new group begins at the earliest or the latest record', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append([note('t', 'old')])
    await withLease(log, { group: 'all', topic: 't' }, async (lease) => assert.equal(lease.position, 0))
    await withLease(log, { group: 'new', topic: 't', start: 'latest' }, async (lease) => {
      assert.equal(lease.position, 1)
      await log.append([note('t', 'fresh')])
      assert.deepEqual(textsOf(await nextBatch(lease)), ['fresh'])
    })
  })

  check('the unsettled is read again, by the same lease and by the next', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append(['a', 'b', 'c'].map((text) => note('t', text)))
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      const one = { ...greedy, recordsMax: 1 }
      assert.deepEqual(textsOf(await nextBatch(lease, one)), ['a'])
      assert.deepEqual(textsOf(await nextBatch(lease, one)), ['a'])
      await lease.commit({ offset: 1 })
      assert.deepEqual(textsOf(await nextBatch(lease)), ['b', 'c'])
    })
    await withLease(await reopen(), { group: 'g', topic: 't' }, async (lease) => {
      assert.equal(lease.position, 1)
      assert.deepEqual(textsOf(await nextBatch(lease)), ['b', 'c'])
    })
  })

  check('batches keep to their limits and hold at least one record', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append(Array.from({ length: 10 }, (_, at) => note('t', String(at).repeat(1000))))
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      assert.equal((await nextBatch(lease, { ...greedy, recordsMax: 3 })).until, 3)
      assert.equal((await nextBatch(lease, { ...greedy, bytesMax: 1 })).until, 1)
      const batch = await nextBatch(lease, { ...greedy, bytesMax: 5000 })
      assert.ok(batch.until >= 2 && batch.until <= 5)
      const froms: number[] = []
      for await (const { from, until } of lease.batches({ ...greedy, recordsMax: 4 })) {
        froms.push(from)
        if (until === 10) break
      }
      assert.deepEqual(froms, [0, 4, 8])
    })
  })

  check('a batch waits for records that come, and fills while it waits', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      const batch = nextBatch(lease, { recordsMax: 3, bytesMax: 1_000_000, waitMs: 60_000 })
      for (const text of ['a', 'b', 'c']) await log.append([note('t', text)])
      assert.deepEqual(textsOf(await batch), ['a', 'b', 'c'])
      const few = nextBatch(lease, { recordsMax: 100, bytesMax: 1_000_000, waitMs: 5 })
      assert.equal((await few).from, 0)
    })
  })
}

function exerciseIntent(check: Check): void {
  check('an intended batch is read again with exactly its range', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append(Array.from({ length: 10 }, (_, at) => note('t', String(at))))
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      assert.equal(lease.intended, undefined)
      await lease.commit({ offset: 2 })
      await lease.intend(7)
      assert.equal((await log.positions('g'))[0]?.intended, 7)
    })
    await withLease(await reopen(), { group: 'g', topic: 't' }, async (lease) => {
      assert.equal(lease.intended, 7)
      const batch = await nextBatch(lease, { recordsMax: 1, bytesMax: 1, waitMs: 0 })
      assert.deepEqual([batch.from, batch.until, batch.records.length], [2, 7, 5])
      await lease.commit({ offset: 7 })
      const next = await nextBatch(lease)
      assert.deepEqual([next.from, next.until], [7, 10])
    })
    const again = await reopen()
    assert.equal((await again.positions('g'))[0]?.intended, undefined)
  })
}

function exerciseLeases(check: Check): void {
  check('a lease that has ended can neither commit nor intend', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append([note('t', 'a')])
    const ended = await withLease(log, { group: 'g', topic: 't' }, async (lease) => lease)
    await ended[Symbol.asyncDispose]()
    await assert.rejects(ended.commit({ offset: 1 }), (error) => isRowmillError(error, 'LEASE_LOST'))
    await assert.rejects(ended.intend(1), (error) => isRowmillError(error, 'LEASE_LOST'))
    assert.equal((await log.positions('g'))[0]?.position, 0)
  })

  check('two consumers share the partitions, and one that leaves hands over', async ({ log }) => {
    await log.ensureTopics([topic('t', 4)])
    const held = new Map<number, string>()
    const hold = (name: string) => {
      const stop = new AbortController()
      const consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
      return { stop, done: holdAll(consumer, name, held) }
    }
    const first = hold('first')
    await waitFor(() => held.size === 4)
    const second = hold('second')
    await waitFor(() => count(held, 'first') === 2 && count(held, 'second') === 2)
    first.stop.abort()
    await waitFor(() => count(held, 'second') === 4)
    await first.done
    second.stop.abort()
    await second.done
    assert.equal(held.size, 0)
  })

  check('a partition moves on only when its holder lets go', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append([note('t', 'a'), note('t', 'b')])
    const stop = new AbortController()
    await using first = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
    const [lease] = await take(first.leases(), 1)
    assert.ok(lease !== undefined)
    const other = new AbortController()
    await using second = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: other.signal })
    let hasMoved = false
    const taking = take(second.leases(), 1).then(([taken]) => {
      hasMoved = true
      return taken
    })
    stop.abort()
    assert.equal(lease.signal.aborted, true)
    await lease.commit({ offset: 1 })
    assert.equal(hasMoved, false)
    await lease[Symbol.asyncDispose]()
    const next = await taking
    assert.equal(next?.position, 1)
    await next?.[Symbol.asyncDispose]()
  })

  check('a consumer that is closed ends its iterations', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    const stop = new AbortController()
    const consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
    const reading = (async () => {
      for await (const lease of consumer.leases()) {
        for await (const batch of lease.batches(greedy)) assert.equal(batch.records.length, 0)
        await lease[Symbol.asyncDispose]()
      }
    })()
    await waitFor(async () => (await log.positions('g')).length === 1)
    stop.abort()
    await reading
    await consumer[Symbol.asyncDispose]()
    await consumer[Symbol.asyncDispose]()
  })
}

function exerciseRetention(check: Check): void {
  const small = { smallSegments: true }
  check(
    'retention deletes what is old and settled, and never the unsettled',
    async (harness) => {
      const { log, passTime } = harness
      if (passTime === undefined) return
      await log.ensureTopics([topic('t', 1, 1000), topic('free', 1, 1000), topic('kept', 1, dayMs)])
      await settle(log, { group: 'g', topic: 't', until: 0 })
      for (let at = 0; at < 200; at++)
        await log.append([
          note('t', `${at}`.padEnd(500)),
          note('free', `${at}`.padEnd(200)),
          note('kept', `${at}`),
        ])
      await passTime(5000)
      assert.equal(await startOf(log, 't'), 0)
      assert.ok((await startOf(log, 'free')) > 100)
      assert.deepEqual((await texts(log, 'kept', 0)).length, 200)
      await settle(log, { group: 'g', topic: 't', until: 150 })
      await passTime(5000)
      const start = await startOf(log, 't')
      assert.ok(start > 50 && start <= 150, `start ${start}`)
      const left = await texts(log, 't', 0)
      assert.equal(left[0]?.trim(), String(start))
      assert.equal(left.length, 200 - start)
      const again = await harness.reopen()
      assert.equal((await texts(again, 'kept', 0)).length, 200)
      assert.equal((await texts(again, 't', 0)).at(-1)?.trim(), '199')
      assert.equal((await again.append([note('t', 'next')]))[0]?.offset, 200)
    },
    small,
  )
}

function topic(name: string, partitions: number, retentionMs = dayMs) {
  return { name, partitions, retentionMs }
}

function note(topicName: string, text: string, partition = 0): NewRecord {
  return { topic: topicName, partition, key: null, value: Buffer.from(text) }
}

function textsOf(batch: LogBatch): string[] {
  return batch.records.map((record) => record.value.toString())
}

async function collect(
  log: Log,
  name: string,
  partition: number,
  range: { from?: number; until?: number } = {},
) {
  const records: LogRecord[] = []
  const scan = { topic: name, partition, from: range.from ?? 0 }
  const bounded = range.until === undefined ? scan : { ...scan, until: range.until }
  for await (const chunk of log.scan(bounded)) records.push(...chunk)
  return records
}

async function texts(log: Log, name: string, partition: number): Promise<string[]> {
  return (await collect(log, name, partition)).map((record) => record.value.toString())
}

async function startOf(log: Log, name: string): Promise<number> {
  return (await log.describe()).find((each) => each.name === name)?.bounds[0]?.start ?? -1
}

async function take<T>(items: AsyncIterable<T>, wanted: number): Promise<T[]> {
  const taken: T[] = []
  for await (const item of items) {
    taken.push(item)
    if (taken.length === wanted) break
  }
  return taken
}

async function nextBatch(lease: PartitionLease, options = greedy): Promise<LogBatch> {
  const [batch] = await take(lease.batches(options), 1)
  assert.ok(batch !== undefined, 'there is a batch')
  return batch
}

type LeaseWanted = { group: string; topic: string; start?: 'earliest' | 'latest' }

async function withLease<T>(
  log: Log,
  wanted: LeaseWanted,
  use: (lease: PartitionLease) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const { group, start = 'earliest' } = wanted
  await using consumer = log.consume({ group, topics: [wanted.topic], start, signal: stop.signal })
  const [lease] = await take(consumer.leases(), 1)
  assert.ok(lease !== undefined, 'there is a lease')
  await using held = lease
  return await use(held)
}

async function settle(log: Log, what: { group: string; topic: string; until: number }): Promise<void> {
  await withLease(log, what, (lease) => lease.commit({ offset: what.until }))
}

function count(held: ReadonlyMap<number, string>, name: string): number {
  return [...held.values()].filter((holder) => holder === name).length
}

/** Holds every lease it is given until it is revoked, and notes what it holds; two holders of one would show. */
async function holdAll(consumer: LogConsumer, name: string, held: Map<number, string>): Promise<void> {
  const holding: Promise<void>[] = []
  for await (const lease of consumer.leases()) {
    assert.equal(held.get(lease.partition), undefined, 'nobody else holds it')
    held.set(lease.partition, name)
    const hold = async () => {
      for await (const batch of lease.batches(greedy)) assert.ok(batch)
      held.delete(lease.partition)
      await lease[Symbol.asyncDispose]()
    }
    holding.push(hold())
  }
  await Promise.all(holding)
}
