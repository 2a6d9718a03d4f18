/** A real process, killed with -9 in the middle of its appends: what it was told is durable is there. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { test } from 'node:test'
import { logDeps, temporaryDirectory } from '../../../../test/support/embedded-log.ts'
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import type { Log } from '../../../ports/log.ts'
import { embeddedLogConfig } from './config.ts'
import { openEmbeddedLog } from './log.ts'

const config = embeddedLogConfig.parse({ segmentBytes: 200_000, diskReserveBytes: 4096 })
const child = new URL('../../../../test/support/log-writer-process.ts', import.meta.url)
const rounds = 6

type Acknowledged = { serial: number; partitions: number[]; offsets: number[] }

test('what was acknowledged before kill -9 is there, and appends are whole', async (context) => {
  using temporary = temporaryDirectory()
  const seed = Math.floor(performance.timeOrigin) % 1_000_000
  context.diagnostic(`seed ${seed}`)
  let chance = seed
  const acknowledged: Acknowledged[] = []
  for (let round = 0; round < rounds; round++) {
    chance = (chance * 1_103_515_245 + 12_345) % 2_147_483_648
    acknowledged.push(...(await writeUntilKilled(temporary.directory, 1 + (chance % 300))))
    await using log = await openEmbeddedLog(logDeps(temporary.directory), config)
    await checkWhole(log)
    await checkAcknowledged(log, acknowledged)
  }
  assert.ok(acknowledged.length > rounds, 'the process got to write')
})

test('a directory that a living process has open is refused, by name', async () => {
  using temporary = temporaryDirectory()
  const { directory } = temporary
  const log = await openEmbeddedLog(logDeps(directory), config)
  await assert.rejects(
    openEmbeddedLog(logDeps(directory), config),
    (error) => isRowmillError(error, 'LOG_LOCKED') && error.message.includes(String(process.pid)),
  )
  await log[Symbol.asyncDispose]()
  await using again = await openEmbeddedLog(logDeps(directory), config)
  assert.deepEqual(await again.describe(), [])
})

/** Starts a writer, kills it after so many acknowledgements, and returns what it was told. */
async function writeUntilKilled(directory: string, acknowledgements: number): Promise<Acknowledged[]> {
  const writer = fork(child, [directory], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const acknowledged: Acknowledged[] = []
  const ended = new Promise((resolve) => writer.once('exit', resolve))
  writer.on('message', (message: Acknowledged) => {
    acknowledged.push(message)
    if (acknowledged.length === acknowledgements) writer.kill('SIGKILL')
  })
  await ended
  assert.equal(writer.signalCode, 'SIGKILL', 'it ran until it was killed')
  return acknowledged
}

/** Each append wrote the same serial to three places. */
async function checkWhole(log: Log): Promise<void> {
  const seen = new Map<string, number>()
  for (const topic of ['a', 'b'])
    for (let partition = 0; partition < 2; partition++)
      for await (const records of log.scan({ topic, partition, from: 0 }))
        for (const record of records) {
          const serial = record.key?.toString() ?? ''
          seen.set(serial, (seen.get(serial) ?? 0) + 1)
        }
  for (const [serial, count] of seen) assert.equal(count, 3, `append ${serial} is whole`)
}

async function checkAcknowledged(log: Log, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const { serial, partitions, offsets } of acknowledged)
    for (const [index, topic] of ['a', 'a', 'b'].entries()) {
      const record = await log.read(topic, partitions[index] ?? 0, offsets[index] ?? -1)
      assert.equal(record?.key?.toString(), String(serial))
    }
}
