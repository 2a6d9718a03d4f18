import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Database } from '../../ports/database.ts'
import type { Migration } from '../migration-files.ts'
import { migrateDatabase } from './migrations.ts'

const { logger } = quietTelemetry()

function migration(version: number, sql: string, isBreaking = false): Migration {
  const name = `${String(version).padStart(4, '0')}_test`
  return { version, name, sql, isBreaking, checksum: createHash('sha256').update(sql).digest('hex') }
}

const first = migration(1, 'create table a (id integer); create table b (id integer)')
const second = migration(2, 'alter table a add column name text')
const migrate = (database: Database, files: Migration[]) => migrateDatabase(database, { files, logger })
const isFailed = (message: RegExp) => (error: unknown) =>
  isRowmillError(error, 'MIGRATION_FAILED') && message.test(error.message)

test('migrations are applied once, in their order', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  assert.deepEqual(await migrate(opened.database, [first]), ['0001_test'])
  assert.deepEqual(await migrate(opened.database, [first, second]), ['0002_test'])
  assert.deepEqual(await migrate(opened.database, [first, second]), [])
  await opened.database.execute("insert into a values (1, 'x')")
})

test('ten processes at once apply each migration once', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const applied = await Promise.all(
    Array.from({ length: 10 }, () => migrate(opened.database, [first, second])),
  )
  assert.deepEqual(applied.flat().sort(), ['0001_test', '0002_test'])
})

test('a migration that fails leaves nothing and can be repaired', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const broken = migration(2, 'create table c (id integer); select wrong')
  await assert.rejects(migrate(opened.database, [first, broken]), isFailed(/0002_test failed/))
  assert.deepEqual(await opened.database.query('select version from rowmill_migration'), [{ version: 1 }])
  assert.deepEqual(await opened.database.query("select to_regclass('c') as c"), [{ c: null }])
  assert.deepEqual(await migrate(opened.database, [first, second]), ['0002_test'])
})

test('a history that was changed is refused', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  await migrate(opened.database, [first, migration(3, 'select 3')])
  await assert.rejects(
    migrate(opened.database, [migration(1, 'select 1'), migration(3, 'select 3')]),
    isFailed(/has changed/),
  )
  await assert.rejects(migrate(opened.database, [migration(3, 'select 3')]), isFailed(/missing here/))
  await assert.rejects(
    migrate(opened.database, [first, second, migration(3, 'select 3')]),
    isFailed(/below number 3/),
  )
})

test('a newer schema is accepted unless it breaks older programs', async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  await migrate(opened.database, [first, second])
  assert.deepEqual(await migrate(opened.database, [first]), [])
  await migrate(opened.database, [first, second, migration(3, 'drop table b', true)])
  await assert.rejects(migrate(opened.database, [first]), isFailed(/breaking migration 0003_test/))
})

test('the migrations of this program can be applied', async () => {
  await using opened = await openTestDatabase()
  const rows = await opened.database.query('select name from rowmill_migration')
  assert(rows.length > 0)
})
