/**
 * Kills a consumer with -9 again and again, between an insert and its settling, and counts: a plain MergeTree
 * holds exactly one row for each message.
 *
 * The consumer is a process of its own on the real log and the real chDB. It is killed when an insert of it has
 * returned and nothing is settled yet: the warehouse is told of before the position. Then it is started again.
 *
 * ROWMILL_CRASH_ROUNDS sets the number of kills (default 5; `npm run test:crash` does more).
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { embeddedLogConfig } from '../../src/adapters/embedded/log/config.ts'
import { openEmbeddedLog } from '../../src/adapters/embedded/log/log.ts'
import { openLogReader } from '../../src/adapters/embedded/log/log-reader.ts'
import { logDeps } from '../support/embedded-log.ts'
import { numberRecord, numbersStorage } from '../support/storage.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'
import { openTestWarehouse } from '../support/warehouse.ts'

const rounds = Number(process.env.ROWMILL_CRASH_ROUNDS ?? 5)
const program = fileURLToPath(new URL('../support/consumer-process.ts', import.meta.url))
const batchRows = 50

test(`after ${rounds} kills between insert and settle a plain MergeTree has exactly one row a message`, {
  timeout: 1_800_000,
}, async () => {
  await using dir = await tempDir('rowmill-consumer-')
  await using opened = await openTestWarehouse()
  const { warehouse, url, user, password, database } = opened
  await warehouse.command(
    `CREATE TABLE numbers (number UInt64, fate String) ENGINE = MergeTree ORDER BY number
     SETTINGS non_replicated_deduplication_window = 1000`,
  )
  const directory = join(dir.path, 'log')
  const messages = (rounds + 3) * batchRows
  await fill(directory, messages)
  const settings = { directory, url, user, password, database, batchRows }
  const start = (killAfterInserts: number) =>
    spawn(process.execPath, [program, JSON.stringify({ ...settings, killAfterInserts })], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  for (let round = 0; round < rounds; round++) {
    // The consumer kills itself in the moment in question: nobody outside could hit it a hundred times.
    const ended = await endOf(start(1 + (round % 2)))
    assert.equal(ended.signal, 'SIGKILL', ended.printed)
  }
  await using reader = await openLogReader({ directory })
  const [before] = await reader.positions('datasets-numbers')
  assert((before?.position ?? 0) < messages, 'something is left to do')
  const last = start(0)
  const printed = endOf(last)
  await waitFor(async () => (await reader.positions('datasets-numbers'))[0]?.position === messages, {
    withinMs: 60_000,
    what: 'everything to be settled',
  })
  last.kill('SIGTERM')
  assert.equal((await printed).code, 0, (await printed).printed)
  const [rows] = await warehouse.query<{ all: string; different: string }>(
    'SELECT count() AS all, uniqExact(number) AS different FROM numbers',
  )
  assert.deepEqual(rows, { all: String(messages), different: String(messages) })
})

async function fill(directory: string, messages: number): Promise<void> {
  await using log = await openEmbeddedLog(logDeps(directory), embeddedLogConfig.parse({}))
  const { stream } = numbersStorage()
  const names = [stream.topic, stream.commitLogTopic, stream.dlqTopic, stream.replacementTopic]
  await log.ensureTopics(
    [...names, 'dead', 'drops', 'ledger'].flatMap((name) =>
      name === undefined ? [] : [{ name, partitions: 1, retentionMs: 3_600_000 }],
    ),
  )
  await log.append(Array.from({ length: messages }, (_, number) => numberRecord(number)))
}

async function endOf(child: ChildProcess): Promise<{ code: unknown; signal: unknown; printed: string }> {
  let printed = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  const [code, signal]: unknown[] = await once(child, 'close')
  return { code, signal, printed }
}
