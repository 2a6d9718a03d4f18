/** The job queue behind PgBouncer in transaction mode: everything, and waking where PostgreSQL's own address is known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSystemClock } from '../../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../../src/adapters/embedded/random.ts'
import { loadMigrations } from '../../../src/adapters/migration-files.ts'
import { databaseConfig } from '../../../src/adapters/postgres/config.ts'
import { openDatabase } from '../../../src/adapters/postgres/database.ts'
import { migrateDatabase } from '../../../src/adapters/postgres/migrations.ts'
import { jobsConfig } from '../../../src/jobs/config.ts'
import { createJanitor } from '../../../src/jobs/janitor.ts'
import { createJobs } from '../../../src/jobs/jobs.ts'
import { runJobWorker } from '../../../src/jobs/worker.ts'
import { Secret } from '../../../src/std/secret.ts'
import { noPgBouncer, openPgBouncer } from '../../support/engines/pgbouncer.ts'
import { noPostgres, openPostgres } from '../../support/engines/postgres.ts'
import { quietTelemetry } from '../../support/quiet.ts'
import { waitFor } from '../../support/wait-for.ts'

for (const isNotifying of [true, false])
  test(`jobs run behind a pooler, ${isNotifying ? 'woken' : 'found by polling'}`, {
    skip: noPostgres || noPgBouncer,
  }, async () => {
    await using server = await openPostgres({})
    await using pooler = await openPgBouncer(server.url)
    const ground = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
    const settings = databaseConfig.parse({ directUrl: server.url })
    await using database = await openDatabase(ground, { ...settings, url: new Secret(pooler.url) })
    const files = await loadMigrations(new URL('../../../sql/postgres/', import.meta.url))
    await migrateDatabase(database, { files, logger: ground.logger })
    const config = jobsConfig.parse({
      isNotifying,
      pollIntervalMs: isNotifying ? 600_000 : 50,
      heartbeatIntervalMs: 50,
      doneKeepMs: 1,
    })
    const jobs = createJobs({ ...ground, databases: [database] }, config)
    const stop = new AbortController()
    const ran = new Set<string>()
    const worker = runJobWorker(
      { ...ground, jobs },
      {
        ...{ queue: 'q', stop: stop.signal, signal: new AbortController().signal },
        handle: async ({ id }) => {
          ran.add(id)
        },
      },
    )
    await waitFor(async () => {
      await jobs.createMany(Array.from({ length: 50 }, () => ({ queue: 'q', teamId: 1 })))
      return ran.size > 0
    })
    const last = await jobs.create({ queue: 'q', teamId: 1 })
    await waitFor(() => ran.has(last ?? ''))
    stop.abort()
    await worker
    const janitor = createJanitor({ ...ground, jobs })
    await waitFor(async () => {
      await janitor.sweep()
      return (await jobs.list({ limit: 1 })).length === 0
    })
    assert.ok(ran.size >= 51)
  })
