/** Appending and reading: what was given is there, in order, whole or not at all, also after a restart. */
import assert from 'node:assert/strict'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { murmur2Partition } from '../../std/murmur2.ts'
import type { NewRecord } from '../log.ts'
import { type Check, collect, note, settle, texts, topic } from './harness.contract.ts'

export function exerciseAppend(check: Check): void {
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

  check('a log that refuses nothing has room', async ({ log }) => {
    await log.ensureTopics([topic('t', 1)])
    await log.checkRoom()
    await log.append([note('t', 'a')])
    await log.checkRoom()
    assert.equal((await texts(log, 't', 0)).length, 1)
  })

  check('a topic may get more partitions, and never fewer', async (harness) => {
    const { log, reopen, fewerPartitions = 'refused' } = harness
    await log.ensureTopics([topic('t', 2)])
    await log.append([note('t', 'kept', 1)])
    await log.ensureTopics([topic('t', 3)])
    await log.append([note('t', 'new', 2)])
    const lowered = log.ensureTopics([topic('t', 2)])
    if (fewerPartitions === 'passed over') await lowered
    else await assert.rejects(lowered, (error) => isRowmillError(error, 'CONFIG_INVALID'))
    const again = await reopen()
    const [described] = await again.describe()
    assert.equal(described?.partitions, 3)
    assert.deepEqual(
      described?.bounds.map((bound) => bound.end),
      [0, 1, 1],
    )
  })
}

export function exerciseReading(check: Check): void {
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
