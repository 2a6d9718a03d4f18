import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestLog } from '../../../test/support/embedded-log.ts'
import { numbersStorage, numbersTable } from '../../../test/support/storage.ts'
import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { ensureStorageTopics, prepareTables } from './prepare-storage.ts'

test('missing tables are made, and what a storage writes must be in those that are there', async () => {
  await using opened = await openTestWarehouse()
  const { warehouse } = opened
  const storage = numbersStorage()
  const isMismatch = (what: RegExp) => (error: unknown) =>
    isRowmillError(error, 'TABLE_MISMATCH') && what.test(error.message)
  await assert.rejects(
    prepareTables(warehouse, storage, { createsTables: false }),
    isMismatch(/The table numbers of the storage numbers does not exist.*rowmill storage diff numbers/),
  )
  await prepareTables(warehouse, storage, { createsTables: true })
  await prepareTables(warehouse, storage, { createsTables: false })
  await warehouse.command('ALTER TABLE numbers DROP COLUMN fate')
  await assert.rejects(
    prepareTables(warehouse, storage, { createsTables: true }),
    isMismatch(/The table numbers lacks fate, which the storage numbers writes/),
  )
  const [number] = numbersTable.columns
  assert.ok(number !== undefined)
  const computed = { ...number, name: 'twice', materialized: 'number * 2' }
  const other = { ...numbersTable, columns: [number, computed] }
  await prepareTables(warehouse, { ...storage, tables: [other] }, { createsTables: false })
})

test('topics that are missing are made, those that exist stay as they are', async () => {
  await using opened = await openTestLog()
  const { log } = opened
  await log.ensureTopics([{ name: 'numbers-in', partitions: 3, retentionMs: 5 }])
  await ensureStorageTopics(log, numbersStorage(), {
    partitions: 1,
    retentionMs: 100,
    deadLetterRetentionMs: 900,
  })
  const topics = (await log.describe()).map(({ name, partitions, retentionMs }) => [
    name,
    partitions,
    retentionMs,
  ])
  assert.deepEqual(topics.toSorted(), [
    ['numbers-changes', 1, 100],
    ['numbers-commits', 1, 100],
    ['numbers-dead', 1, 900],
    ['numbers-in', 3, 5],
  ])
})
