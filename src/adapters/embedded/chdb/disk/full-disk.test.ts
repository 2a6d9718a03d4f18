/**
 * What the engine says is written although it is not. Both tables need more room than the engine sees to beforehand,
 * because of indexes that are not compressed: so its writes fail each time, and not only now and then.
 */
import assert from 'node:assert/strict'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { quietTelemetry } from '../../../../../test/support/quiet.ts'
import { openSmallDisk } from '../../../../../test/support/small-disk.ts'
import { tempDir } from '../../../../../test/support/temp-dir.ts'
import { waitFor } from '../../../../../test/support/wait-for.ts'
import { createSystemClock } from '../../clock.ts'
import { createSystemRandom } from '../../random.ts'
import { chdbConfigSchema } from '../config.ts'
import { openManagedChdb } from '../managed-chdb.ts'

async function openOnSmallDisk(directory: string, diskCheckIntervalMs: number) {
  const chdb = await openManagedChdb(
    { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() },
    { ...chdbConfigSchema.parse({ diskCheckIntervalMs }), directory },
  )
  const ask = async (query: string, settings: Record<string, string> = {}) => {
    const answer = await fetch(`${chdb.url}/?${new URLSearchParams(settings)}`, {
      method: 'POST',
      headers: { 'X-ClickHouse-User': chdb.user, 'X-ClickHouse-Key': chdb.password },
      body: query,
    })
    return (await answer.text()).trim()
  }
  /** Waits while the engine starts anew or refuses. */
  const askUntil = (query: string, expected: string) =>
    waitFor(async () => (await ask(query).catch(String)) === expected, { what: `${query} to be ${expected}` })
  return { ask, askUntil, [Symbol.asyncDispose]: () => chdb[Symbol.asyncDispose]() }
}

async function leaveRoom(directory: string, bytes: number): Promise<string> {
  const { bavail, bsize } = await statfs(directory)
  const path = join(directory, 'ballast')
  await writeFile(path, Buffer.alloc(bavail * bsize - bytes))
  return path
}

test('an insert whose writes failed is no success, and is taken when it comes again', async (context) => {
  await using dir = await tempDir()
  await using disk = await openSmallDisk(dir.path, 32)
  if (disk === undefined) return context.skip('it takes root on Linux to mount a tmpfs')
  await using engine = await openOnSmallDisk(join(dir.path, 'clickhouse'), 50)
  const made = await engine.ask(
    `CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY tuple() SETTINGS index_granularity = 1,
     compress_marks = 0, non_replicated_deduplication_window = 100`,
  )
  assert.equal(made, '')
  const rows = 200_000
  const insert = (token: string, count: number) =>
    engine.ask(`INSERT INTO t SELECT 1 FROM numbers(${count})`, { insert_deduplication_token: token })
  assert.equal(await insert('before', 10), '')
  const ballast = await leaveRoom(dir.path, 3_000_000)
  assert.match(await insert('failing', rows), /NOT_ENOUGH_SPACE/)
  assert.match(await insert('next', 10), /NOT_ENOUGH_SPACE/)
  await rm(ballast)
  await engine.askUntil('SELECT count() FROM t', '10')
  for (const [token, count] of [
    ['before', 10],
    ['failing', rows],
    ['failing', rows],
  ] as const)
    assert.equal(await insert(token, count), '')
  assert.equal(await engine.ask('SELECT count() FROM t'), String(rows + 10))
})

test('a merge whose writes failed is undone', async (context) => {
  await using dir = await tempDir()
  await using disk = await openSmallDisk(dir.path, 48)
  if (disk === undefined) return context.skip('it takes root on Linux to mount a tmpfs')
  // Rarely enough that the merge is over before it would be stopped.
  await using engine = await openOnSmallDisk(join(dir.path, 'clickhouse'), 2000)
  const statements = [
    'CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity = 1',
    "INSERT INTO t SELECT repeat('a', 200) FROM numbers(50000)",
    "INSERT INTO t SELECT 'b' FROM numbers(10)",
    'ALTER TABLE t MODIFY SETTING compress_marks = 0, compress_primary_key = 0',
  ]
  for (const statement of statements) assert.equal(await engine.ask(statement), '')
  const ballast = await leaveRoom(dir.path, 7_500_000)
  assert.match(await engine.ask('OPTIMIZE TABLE t FINAL'), /NOT_ENOUGH_SPACE|ABORTED/)
  await rm(ballast)
  await engine.askUntil('SELECT count() FROM t', '50010')
  await engine.askUntil('OPTIMIZE TABLE t FINAL', '')
  assert.equal(await engine.ask('SELECT count() FROM t'), '50010')
})
