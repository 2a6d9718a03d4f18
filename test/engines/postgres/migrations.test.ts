/** The migrations with real processes, and with users who may not. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { loadMigrations } from '../../../src/adapters/migration-files.ts'
import { migrateDatabase } from '../../../src/adapters/postgres/migrations.ts'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { noPgBouncer, openPgBouncer } from '../../support/engines/pgbouncer.ts'
import { noPostgres, openPostgres } from '../../support/engines/postgres.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { changed, openOn } from './support.ts'

const skip = noPostgres
const run = promisify(execFile)
const program = fileURLToPath(new URL('../../support/migrate-process.ts', import.meta.url))
const folder = new URL('../../../sql/postgres/', import.meta.url)
const { logger } = quietTelemetry()

async function migrateByTen(...urls: string[]): Promise<void> {
  const files = await loadMigrations(folder)
  const told = await Promise.all(Array.from({ length: 10 }, () => run(process.execPath, [program, ...urls])))
  const names = told.flatMap(({ stdout }) => JSON.parse(stdout) as string[])
  assert.deepEqual(names.sort(), files.map(({ name }) => name).sort())
}

test('ten processes that start at once apply each migration once', { skip }, async () => {
  await using server = await openPostgres()
  await migrateByTen(server.url)
})

test('ten processes do so behind PgBouncer too', { skip: skip || noPgBouncer }, async () => {
  await using server = await openPostgres()
  await using pooler = await openPgBouncer(server.url)
  await migrateByTen(pooler.url, server.url)
})

test('a user who may not create tables is told what to grant, and may start when all is there', {
  skip,
}, async () => {
  await using server = await openPostgres({ isOwn: true })
  await using admin = await openOn(server.url)
  await admin.execute("create role clerk login password 'clerk'")
  const files = await loadMigrations(folder)
  const clerkUrl = changed(server.url, (url) => {
    url.username = 'clerk'
    url.password = 'clerk'
  })
  await using clerk = await openOn(clerkUrl)
  await assert.rejects(migrateDatabase(clerk, { files, logger }), (error) => {
    assert(isRowmillError(error, 'MIGRATION_FAILED'))
    assert.match(error.message, /user clerk .*grant create, usage on schema "public" to "clerk"/)
    return true
  })
  await migrateDatabase(admin, { files, logger })
  await assert.rejects(
    clerk.query('select * from rowmill_migration'),
    (error) => isRowmillError(error, 'DATABASE_REFUSED') && /Grant it to the user/.test(error.message),
  )
  await admin.execute('grant select on rowmill_migration to clerk')
  assert.deepEqual(await migrateDatabase(clerk, { files, logger }), [])
})
