import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Migration } from '../migration-files.ts'
import { migrateWarehouse, splitStatements } from './migrations.ts'

const { logger } = quietTelemetry()

function file(version: number, sql: string, isBreaking = false): Migration {
  return { version, name: `000${version}_test`, sql, checksum: `sum of ${sql}`, isBreaking }
}

const first = file(
  1,
  '-- a table; with a comment\nCREATE TABLE a (x UInt8) ENGINE = Memory;\nINSERT INTO a VALUES (1);\n',
)
const second = file(2, 'ALTER TABLE a ADD COLUMN y UInt8', true)
const isFailure = (error: unknown) => isRowmillError(error, 'MIGRATION_FAILED')

test('statements end with a semicolon at the end of a line', () => {
  assert.deepEqual(
    splitStatements("SELECT ';' AS x;\n-- only words;\nSELECT 2 ; \nSELECT 3"),
    ["SELECT ';' AS x", '-- only words', 'SELECT 2', 'SELECT 3'].filter((piece) => !piece.startsWith('--')),
  )
})

test('each migration is applied once and in order', async () => {
  await using opened = await openTestWarehouse()
  const { warehouse } = opened
  assert.deepEqual(await migrateWarehouse(warehouse, { files: [first], logger }), ['0001_test'])
  assert.deepEqual(await migrateWarehouse(warehouse, { files: [first, second], logger }), ['0002_test'])
  assert.deepEqual(await migrateWarehouse(warehouse, { files: [first, second], logger }), [])
  assert.deepEqual(await warehouse.query('SELECT x, y FROM a'), [{ x: 1, y: 0 }])
})

test('a changed past, an unknown breaking migration and a late number are refused', async () => {
  await using opened = await openTestWarehouse()
  const { warehouse } = opened
  await migrateWarehouse(warehouse, { files: [first, second], logger })
  const changed = { ...first, checksum: 'other' }
  await assert.rejects(migrateWarehouse(warehouse, { files: [changed, second], logger }), isFailure)
  await assert.rejects(migrateWarehouse(warehouse, { files: [first], logger }), isFailure)
  const late = { ...file(0, 'SELECT 1') }
  await assert.rejects(migrateWarehouse(warehouse, { files: [late, first, second], logger }), isFailure)
})

test('a migration that is refused says which statement it was and is tried again later', async () => {
  await using opened = await openTestWarehouse()
  const { warehouse } = opened
  const bad = file(1, 'CREATE TABLE IF NOT EXISTS b (x UInt8) ENGINE = Memory;\nCREATE NONSENSE;\n')
  await assert.rejects(migrateWarehouse(warehouse, { files: [bad], logger }), /Statement 2/)
  const good = file(1, 'CREATE TABLE IF NOT EXISTS b (x UInt8) ENGINE = Memory;\n')
  assert.deepEqual(await migrateWarehouse(warehouse, { files: [good], logger }), ['0001_test'])
})
