/** Groups and their leases: positions, batches, intentions, and partitions that move from one consumer to another. */
import assert from 'node:assert/strict'
import { waitFor } from '../../../test/support/wait-for.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { LogConsumer } from '../log.ts'
import {
  type Check,
  greedy,
  nextBatch,
  note,
  take,
  texts,
  textsOf,
  topic,
  withLease,
} from './harness.contract.ts'

export function exerciseGroups(check: Check): void {
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

export function exerciseIntent(check: Check): void {
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

export function exerciseLeases(check: Check): void {
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

export function exerciseReset(check: Check): void {
  check('a position can be set back and forth, and is kept', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 2)])
    await log.append(['a', 'b', 'c'].map((text) => note('t', text)))
    await withLease(log, { group: 'g', topic: 't' }, async (lease) => {
      await lease.commit({ offset: 2 })
      await lease.intend(3)
    })
    await log.reset({ group: 'g', topic: 't', partition: 0, offset: 1 })
    const [first, second] = await log.positions('g')
    assert.deepEqual([first?.position, first?.intended, second?.position], [1, undefined, 0])
    const again = await reopen()
    assert.equal((await again.positions('g'))[0]?.position, 1)
    await withLease(again, { group: 'g', topic: 't' }, async (lease) => {
      assert.equal(lease.resets, 1)
      assert.deepEqual(textsOf(await nextBatch(lease)), ['b', 'c'])
      await lease.commit({ offset: 3 })
    })
    await again.reset({ group: 'g', topic: 't', partition: 0, offset: 0 })
    await again.reset({ group: 'g', topic: 't', partition: 0, offset: 3 })
    const last = await reopen()
    await withLease(last, { group: 'g', topic: 't' }, async (lease) =>
      assert.deepEqual([lease.position, lease.resets], [3, 3]),
    )
  })

  check('a group that nobody knew is registered by setting its position', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 2)])
    await log.append([note('t', 'a'), note('t', 'b'), note('t', 'c', 1)])
    await log.reset({ group: 'g', topic: 't', partition: 0, offset: 2 })
    const positions = await (await reopen()).positions('g')
    assert.deepEqual(
      positions.map(({ partition, position }) => [partition, position]),
      [
        [0, 2],
        [1, 0],
      ],
    )
  })

  check('a position is not set while the group has a consumer, nor beyond the end', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.append([note('t', 'a')])
    const place = { group: 'g', topic: 't', partition: 0 }
    await withLease(log, place, async () => {
      await assert.rejects(log.reset({ ...place, offset: 0 }), (error) =>
        isRowmillError(error, 'GROUP_IN_USE'),
      )
    })
    for (const offset of [2, -1, 0.5])
      await assert.rejects(log.reset({ ...place, offset }), (error) =>
        isRowmillError(error, 'OFFSET_OUT_OF_RANGE'),
      )
    await assert.rejects(log.reset({ ...place, partition: 1, offset: 0 }), (error) =>
      isRowmillError(error, 'TOPIC_UNKNOWN'),
    )
    await log.reset({ ...place, offset: 1 })
    await withLease(log, place, async (lease) => assert.equal(lease.position, 1))
  })
}

export function exerciseForget(check: Check): void {
  check('a group that is forgotten is new when it comes back', async ({ log, reopen }) => {
    await log.ensureTopics([topic('t', 1), topic('u', 1)])
    await log.append([note('t', 'a'), note('t', 'b'), note('u', 'c')])
    await withLease(log, { group: 'g', topic: 't' }, (lease) => lease.commit({ offset: 1 }))
    await withLease(log, { group: 'g', topic: 'u' }, (lease) => lease.commit({ offset: 1 }))
    await withLease(log, { group: 'h', topic: 't' }, (lease) => lease.commit({ offset: 2 }))
    await log.forget('g')
    assert.deepEqual(await log.positions('g'), [])
    const again = await reopen()
    assert.deepEqual(
      (await again.positions()).map(({ group, position }) => [group, position]),
      [['h', 2]],
    )
    await withLease(again, { group: 'g', topic: 't' }, async (lease) =>
      assert.deepEqual(textsOf(await nextBatch(lease)), ['a', 'b']),
    )
  })

  check('a group with a consumer is not forgotten, and none that never was', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await withLease(log, { group: 'g', topic: 't' }, async () => {
      await assert.rejects(log.forget('g'), (error) => isRowmillError(error, 'GROUP_IN_USE'))
    })
    await log.forget('nobody')
    assert.equal((await log.positions('g')).length, 1)
  })
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
