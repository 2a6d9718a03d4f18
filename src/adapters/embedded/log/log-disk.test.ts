/** Disks that are full, that fail, and that lie; budgets that are used up. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestLog, temporaryDirectory } from '../../../../test/support/embedded-log.ts'
import { waitFor } from '../../../../test/support/wait-for.ts'
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import type { Log, PartitionLease } from '../../../ports/log.ts'
import { type Disk, nodeDisk } from './files/disk.ts'

const topic = { name: 't', partitions: 1, retentionMs: 1e12 }

function record(bytes = 1000) {
  return { topic: 't', key: null, value: Buffer.alloc(bytes, 'x') }
}

async function firstLease(log: Log, signal: AbortSignal): Promise<PartitionLease> {
  const consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal })
  for await (const lease of consumer.leases()) return lease
  assert.fail('there is a lease')
}

async function appendUntilFull(log: Log, recordsMax: number): Promise<number> {
  for (let count = 0; count < recordsMax; count++) {
    try {
      await log.append([record()])
    } catch (error) {
      assert.ok(isRowmillError(error, 'LOG_FULL'), String(error))
      return count
    }
  }
  assert.fail('the log was never full')
}

async function countRecords(log: Log): Promise<number> {
  let count = 0
  for await (const records of log.scan({ topic: 't', partition: 0, from: 0 })) count += records.length
  return count
}

test('a full budget refuses appends, lets commits through, and recovers when the consumer settles', async () => {
  await using harness = await openTestLog({ bytesMax: 200_000, segmentBytes: 10_000, reserveShare: 0.2 })
  const { log } = harness
  await log.ensureTopics([topic])
  const stop = new AbortController()
  await using lease = await firstLease(log, stop.signal)
  const accepted = await appendUntilFull(log, 1000)
  assert.ok(accepted > 100 && accepted < 200, `${accepted} accepted`)
  await lease.commit({ offset: 1 })
  await lease.commit({ offset: 2, records: [record(2000)] })
  await assert.rejects(log.append([record()]), (error) => isRowmillError(error, 'LOG_FULL'))
  await assert.rejects(log.checkRoom(), (error) => isRowmillError(error, 'LOG_FULL'))
  await lease.commit({ offset: accepted - 10 })
  await log.checkRoom()
  await log.append([record()])
  assert.ok(((await log.describe())[0]?.bounds[0]?.start ?? 0) > 0)
  assert.equal((await log.read('t', 0, accepted - 10))?.offset, accepted - 10)
})

test('a failed write is not acknowledged, and the log goes on after it', async () => {
  for (const broken of ['write', 'sync', 'half'] as const) {
    let isBroken = false
    const fail = () => Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
    const disk: Disk = {
      ...nodeDisk,
      async write(fd, bytes, position) {
        if (isBroken && broken === 'write') return await fail()
        if (!isBroken || broken === 'sync') return await nodeDisk.write(fd, bytes, position)
        await nodeDisk.write(fd, bytes.subarray(0, bytes.length >> 1), position)
        await fail()
      },
      async sync(fd) {
        if (isBroken) await fail()
        await nodeDisk.sync(fd)
      },
    }
    await using harness = await openTestLog({}, { disk })
    await harness.log.ensureTopics([topic])
    await harness.log.append([record()])
    isBroken = true
    const failures = await Promise.allSettled([
      harness.log.append([record(10)]),
      harness.log.append([record(10)]),
    ])
    for (const failure of failures)
      assert.ok(failure.status === 'rejected' && isRowmillError(failure.reason, 'LOG_UNAVAILABLE'))
    assert.equal(await countRecords(harness.log), 1)
    isBroken = false
    const [position] = await harness.log.append([record(20)])
    assert.equal(position?.offset, 1)
    const again = await harness.reopen()
    assert.equal(await countRecords(again), 2)
    assert.equal((await again.read('t', 0, 1))?.value.length, 20)
  }
})

test('a full disk refuses, still settles, and takes appends again when there is room', async (context) => {
  using temporary = temporaryDirectory()
  const mount = join(temporary.directory, 'small')
  mkdirSync(mount)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount])
  if (mounted.status !== 0) return context.skip('SKIPPED: no small file system can be mounted here')
  try {
    const settings = { segmentBytes: 100_000, diskReserveBytes: 16_384 }
    await using harness = await openTestLog(settings, { directory: join(mount, 'log') })
    const { log } = harness
    await log.ensureTopics([topic])
    const stop = new AbortController()
    await using lease = await firstLease(log, stop.signal)
    const accepted = await appendUntilFull(log, 1000)
    assert.ok(accepted > 100, `${accepted} accepted`)
    assert.equal(await countRecords(log), accepted)
    await assert.rejects(log.append([record()]), (error) => isRowmillError(error, 'LOG_FULL'))
    await assert.rejects(log.checkRoom(), (error) => isRowmillError(error, 'LOG_FULL'))
    for (let offset = 1; offset <= 50; offset++) await lease.commit({ offset })
    await lease.commit({ offset: accepted })
    await waitFor(() =>
      log.checkRoom().then(
        () => true,
        () => false,
      ),
    )
    const [position] = await log.append([record()])
    assert.equal(position?.offset, accepted)
    await lease[Symbol.asyncDispose]()
    const again = await harness.reopen()
    assert.equal((await again.positions('g'))[0]?.position, accepted)
    assert.equal((await again.read('t', 0, accepted))?.offset, accepted)
    await again[Symbol.asyncDispose]()
  } finally {
    spawnSync('umount', ['-l', mount])
  }
})

test('appends stop before the disk is full, and commits with what came of them go on', async () => {
  let freeBytes = 1_000_000
  const disk: Disk = { ...nodeDisk, room: async () => ({ freeBytes, totalBytes: 10_000_000 }) }
  const settings = { freeBytesMin: 500_000, freeShareMax: 0.02, freeCheckIntervalMs: 0 }
  await using harness = await openTestLog(settings, { disk })
  const { log } = harness
  await log.ensureTopics([topic])
  const stop = new AbortController()
  await using lease = await firstLease(log, stop.signal)
  freeBytes = 200_000
  await log.append([record()])
  freeBytes = 199_999
  const appended = () =>
    log.append([record()]).then(
      () => true,
      () => false,
    )
  await waitFor(async () => !(await appended()))
  await assert.rejects(log.append([record()]), {
    code: 'LOG_FULL',
    message: 'The disk that holds the log is almost full: 199999 bytes are left.',
  })
  await assert.rejects(log.checkRoom(), (error) => isRowmillError(error, 'LOG_FULL'))
  await lease.commit({ offset: 1, records: [record()] })
  freeBytes = 200_000
  await waitFor(appended)
  await log.checkRoom()
})

test('a disk too full to rewrite a segment is the same refusal, to appends and to commits', async () => {
  let hasNoRoom = false
  const disk: Disk = {
    ...nodeDisk,
    async open(path, flags) {
      if (hasNoRoom && path.endsWith('.new'))
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      return await nodeDisk.open(path, flags)
    },
  }
  const settings = { bytesMax: 200_000, segmentBytes: 10_000, reserveShare: 0.2 }
  await using harness = await openTestLog(settings, { disk })
  const { log } = harness
  await log.ensureTopics([topic, { name: 'kept', partitions: 1, retentionMs: 1e12 }])
  const stop = new AbortController()
  await using lease = await firstLease(log, stop.signal)
  // No group reads this topic: its records stay, so that each segment is rewritten and none is deleted.
  const kept = () => ({ topic: 'kept', key: null, value: Buffer.alloc(100, 'y') })
  const append = () => log.append([record(), kept()])
  let accepted = 0
  for (let isFull = false; !isFull; accepted++)
    isFull = await append().then(
      () => false,
      (error) => isRowmillError(error, 'LOG_FULL'),
    )
  hasNoRoom = true
  await lease.commit({ offset: accepted - 20 })
  await assert.rejects(append(), (error) => isRowmillError(error, 'LOG_FULL'))
  const large = Array.from({ length: 60 }, () => record())
  await assert.rejects(lease.commit({ offset: accepted - 19, records: large }), (error) =>
    isRowmillError(error, 'LOG_FULL'),
  )
  hasNoRoom = false
  await lease.commit({ offset: accepted - 18 })
  await append()
})

test('damage in a sealed segment and in the middle of the newest is named, not cut off', async () => {
  for (const which of ['sealed', 'newest'] as const) {
    await using harness = await openTestLog({ segmentBytes: 10_000, cacheBytesMax: 0 })
    await harness.log.ensureTopics([topic])
    for (let at = 0; at < 25; at++) await harness.log.append([record()])
    await harness.log[Symbol.asyncDispose]()
    const names = readdirSync(harness.directory)
      .filter((name) => name.endsWith('.seg'))
      .sort()
    const path = join(harness.directory, (which === 'sealed' ? names[0] : names.at(-1)) ?? '')
    const fd = openSync(path, 'r+')
    writeSync(fd, Buffer.from('!'), 0, 1, 1500)
    closeSync(fd)
    const read = async () => {
      const log = await harness.reopen()
      await countRecords(log)
    }
    await assert.rejects(
      read,
      (error) => isRowmillError(error, 'LOG_CORRUPT') && error.message.includes(path),
    )
  }
})

test('too large a record is refused, and too long a queue', async () => {
  await using harness = await openTestLog({ recordBytesMax: 5000, appendQueueBytesMax: 8000 })
  const { log } = harness
  await log.ensureTopics([topic])
  await assert.rejects(log.append([record(5000)]), (error) => isRowmillError(error, 'RECORD_TOO_LARGE'))
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => log.append([record()])))
  const refused = results.filter((result) => result.status === 'rejected')
  assert.ok(refused.length > 5 && refused.length < 20)
  assert.ok(refused.every((result) => isRowmillError(result.reason, 'LOG_UNAVAILABLE')))
  await log.append([record()])
})

test('a torn beginning of a segment is forgotten', async () => {
  await using harness = await openTestLog()
  await harness.log.ensureTopics([topic])
  await harness.log.append([record()])
  await harness.log[Symbol.asyncDispose]()
  writeFileSync(join(harness.directory, '000000000002.seg'), 'RWLOG')
  const log = await harness.reopen()
  assert.equal(await countRecords(log), 1)
  await log.append([record()])
  assert.equal(await countRecords(await harness.reopen()), 2)
})
