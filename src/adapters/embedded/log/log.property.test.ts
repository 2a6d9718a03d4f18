/** The log against an array: whatever is done to it, crashes at any byte included, it holds what it acknowledged. */
import assert from 'node:assert/strict'
import { appendFileSync, cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { logDeps, temporaryDirectory } from '../../../../test/support/embedded-log.ts'
import type { Log, LogRecord, PartitionLease } from '../../../ports/log.ts'
import { embeddedLogConfig } from './config.ts'
import { openEmbeddedLog } from './log.ts'

type Step =
  | { kind: 'append'; sizes: number[] }
  | { kind: 'settle'; share: number; outputs: number }
  | { kind: 'intend'; share: number }
  | { kind: 'reopen' }
  | { kind: 'crash'; tornBytes: number; garbage: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      sizes: fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      outputs: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('intend' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      tornBytes: fc.integer({ min: 0, max: 900 }),
      garbage: fc.boolean(),
    }),
  },
)

const partitions = 3
const config = embeddedLogConfig.parse({
  segmentBytes: 6000,
  chunkBytesMax: 1500,
  cacheBytesMax: 2000,
  readBytesMax: 3000,
  indexCacheBytesMax: 600,
  openFilesMax: 2,
  diskReserveBytes: 0,
})

class Model {
  readonly records: string[][] = Array.from({ length: partitions }, () => [])
  readonly outputs: string[] = []
  readonly positions: number[] = Array.from({ length: partitions }, () => 0)
  readonly intended: (number | undefined)[] = Array.from({ length: partitions }, () => undefined)
}

test('the log is an array under append, settle, intend, reopening and crashes at any byte', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using run = await startRun()
      for (const each of steps) await run.apply(each)
      await run.check()
    }),
    { numRuns: 40, interruptAfterTimeLimit: 8000 },
  )
})

async function startRun() {
  const temporary = temporaryDirectory()
  const model = new Model()
  let generation = 0
  let directory = join(temporary.directory, '0')
  let log = await openEmbeddedLog(logDeps(directory), config)
  let serial = 0
  await log.ensureTopics([
    { name: 't', partitions, retentionMs: 1e12 },
    { name: 'out', partitions: 1, retentionMs: 1e12 },
  ])
  const apply = async (each: Step) => {
    if (each.kind === 'append') {
      const texts = each.sizes.map((size) => `${serial++}:`.padEnd(size, '.'))
      const records = texts.map((text, index) => ({
        topic: 't',
        partition: (index * 7 + text.length) % partitions,
        key: null,
        value: Buffer.from(text),
      }))
      const placed = await log.append(records)
      for (const [index, position] of placed.entries()) {
        const list = model.records[position.partition]
        assert.equal(position.offset, list?.length)
        list?.push(texts[index] ?? '')
      }
    } else if (each.kind === 'settle' || each.kind === 'intend') await consume(log, model, each)
    else if (each.kind === 'reopen') {
      await log[Symbol.asyncDispose]()
      log = await openEmbeddedLog(logDeps(directory), config)
    } else {
      const next = join(temporary.directory, String(++generation))
      await crash({ log, from: directory, to: next, torn: each })
      directory = next
      log = await openEmbeddedLog(logDeps(directory), config)
      await checkAll(log, model)
    }
  }
  return {
    apply,
    check: () => checkAll(log, model),
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]()
      temporary[Symbol.dispose]()
    },
  }
}

/** The directory as it stands, plus the beginning of a write that nobody was told about. */
async function crash(what: {
  log: Log
  from: string
  to: string
  torn: { tornBytes: number; garbage: boolean }
}) {
  const newest = () =>
    readdirSync(what.from)
      .filter((name) => name.endsWith('.seg'))
      .sort()
      .at(-1) ?? ''
  const before = newest()
  const size = statSync(join(what.from, before)).size
  if (!what.torn.garbage) {
    await what.log.append([{ topic: 't', partition: 0, key: null, value: Buffer.alloc(400, 'x') }])
  }
  cpSync(what.from, what.to, { recursive: true })
  await what.log[Symbol.asyncDispose]()
  rmSync(join(what.to, 'lock'))
  const path = join(what.to, before)
  if (what.torn.garbage) {
    appendFileSync(path, Buffer.alloc(what.torn.tornBytes, 0x5a))
    return
  }
  // The unacknowledged append is cut at any byte, so it must be gone, or whole if nothing of it was cut.
  for (const name of readdirSync(what.to))
    if (name.endsWith('.seg') && name > before) rmSync(join(what.to, name))
  const length = statSync(path).size
  truncateSync(path, Math.min(length - 1, size + what.torn.tornBytes))
}

async function consume(
  log: Log,
  model: Model,
  each: { kind: 'settle' | 'intend'; share: number; outputs?: number },
) {
  const stop = new AbortController()
  await using consumer = log.consume({ group: 'g', topics: ['t'], start: 'earliest', signal: stop.signal })
  let seen = 0
  for await (const lease of consumer.leases()) {
    await consumeOne(lease, model, each)
    seen++
    if (seen === partitions) break
  }
}

async function consumeOne(
  lease: PartitionLease,
  model: Model,
  each: { kind: 'settle' | 'intend'; share: number; outputs?: number },
) {
  const at = lease.partition
  const records = model.records[at] ?? []
  const position = model.positions[at] ?? 0
  assert.equal(lease.position, position)
  assert.equal(lease.intended, model.intended[at])
  if (position >= records.length) return
  const options = { recordsMax: 1 + Math.floor(each.share * 20), bytesMax: 1500, waitMs: 0 }
  for await (const batch of lease.batches(options)) {
    const expected = records.slice(batch.from, batch.until)
    assert.equal(batch.from, position)
    assert.deepEqual(batch.records.map(textOf), expected)
    const intended = model.intended[at]
    if (intended !== undefined) assert.equal(batch.until, intended)
    if (each.kind === 'intend') {
      await lease.intend(batch.until)
      model.intended[at] = batch.until
    } else {
      const outputs = Array.from({ length: each.outputs ?? 0 }, (_, index) => `${at}/${batch.until}/${index}`)
      await lease.commit({
        offset: batch.until,
        records: outputs.map((text) => ({ topic: 'out', key: null, value: Buffer.from(text) })),
      })
      model.outputs.push(...outputs)
      model.positions[at] = batch.until
      model.intended[at] = undefined
    }
    break
  }
}

function textOf(record: LogRecord): string {
  return record.value.toString()
}

async function readAll(log: Log, topic: string, partition: number): Promise<string[]> {
  const texts: string[] = []
  for await (const records of log.scan({ topic, partition, from: 0 })) texts.push(...records.map(textOf))
  return texts
}

async function checkAll(log: Log, model: Model): Promise<void> {
  for (const [partition, records] of model.records.entries())
    assert.deepEqual(await readAll(log, 't', partition), records)
  assert.deepEqual(await readAll(log, 'out', 0), model.outputs)
  for (const standing of await log.positions('g')) {
    assert.equal(standing.position, model.positions[standing.partition])
    assert.equal(standing.intended, model.intended[standing.partition])
  }
}
