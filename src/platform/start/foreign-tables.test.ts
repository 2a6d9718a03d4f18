/** What a database must not hold already when Rowmill makes its tables there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../../test/support/database.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { migrateEngines } from '../migrate.ts'

test("a database with PostHog's own tables is refused, and left as it is", async () => {
  await using opened = await openTestDatabase({ isMigrated: false })
  const { database } = opened
  const engines = { database, warehouse: undefined, ...quietTelemetry() }
  await database.execute('create table posthog_team (id integer primary key)')
  await assert.rejects(
    () => migrateEngines(engines),
    (error) =>
      isRowmillError(error, 'CONFIG_INVALID') &&
      /DATABASE_URL .* name a database of its own/.test(error.message),
  )
  const tables = await database.query(`select tablename from pg_tables where schemaname = current_schema()`)
  assert.deepEqual(tables, [{ tablename: 'posthog_team' }])
  await database.execute('drop table posthog_team')
  assert.notEqual((await migrateEngines(engines)).database.length, 0)
  assert.deepEqual((await migrateEngines(engines)).database, [])
})
