import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { quietTelemetry } from '../../../../test/support/quiet.ts'
import { tempDir } from '../../../../test/support/temp-dir.ts'
import { waitFor } from '../../../../test/support/wait-for.ts'
import { isRowmillError } from '../../../errors/rowmill-error.ts'
import type { Database } from '../../../ports/database.ts'
import { Secret } from '../../../std/secret.ts'
import { databaseConfig } from '../../postgres/config.ts'
import { openDatabase } from '../../postgres/database.ts'
import { createSystemClock } from '../clock.ts'
import { createSystemRandom } from '../random.ts'
import { postgresConfig } from './config.ts'
import { openManagedPostgres } from './managed-postgres.ts'
import { findProcess } from './processes.ts'

const context = () => ({ clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() })
const open = (directory: string) =>
  openManagedPostgres(context(), { ...postgresConfig.parse({ sharedBuffersMb: 16 }), directory })
const connect = (url: string): Promise<Database> =>
  openDatabase(context(), { ...databaseConfig.parse({}), url: new Secret(url) })
const isEngineFailure = (message: RegExp) => (error: unknown) =>
  isRowmillError(error, 'ENGINE_FAILED') && message.test(error.message)

test('rows outlive a restart, a killed PostgreSQL and a lock file whose number another process has now', async () => {
  await using dir = await tempDir()
  const directory = dir.path
  {
    await using managed = await open(directory)
    await using database = await connect(managed.connectionString)
    await database.execute('create table t (id integer)')
    await database.execute('insert into t values (1)')
    const [settings] = await database.query(
      "select current_setting('fsync') as fsync, current_setting('server_encoding') as encoding, current_setting('data_checksums') as checksums, upper('é') as upper",
    )
    assert.deepEqual(settings, { fsync: 'on', encoding: 'UTF8', checksums: 'on', upper: 'É' })

    const first = managed.pid
    assert(first !== undefined)
    process.kill(first, 'SIGKILL')
    await waitFor(() => managed.pid !== undefined && managed.pid !== first)
    await managed.ready()
    await waitFor(async () => (await database.query('select id from t')).length === 1)
    await database.execute('insert into t values (2)')
  }
  await writeFile(
    join(directory, 'data', 'postmaster.pid'),
    `${process.ppid}\n${join(directory, 'data')}\n1\n5432\n`,
  )
  await using managed = await open(directory)
  await using database = await connect(managed.connectionString)
  assert.deepEqual(await database.query('select id from t order by id'), [{ id: 1 }, { id: 2 }])
  await managed[Symbol.asyncDispose]()
  await managed[Symbol.asyncDispose]()
  assert.equal(managed.state, 'stopped')
})

/** Another Rowmill: it opens the PostgreSQL of a folder, says so, and stays. */
async function startOther(directory: string): Promise<ChildProcess & { url: string }> {
  const place = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const script = `
    import { createSystemClock } from ${place('../clock.ts')}
    import { createSystemRandom } from ${place('../random.ts')}
    import { createLogger } from ${place('../../../telemetry/logger.ts')}
    import { postgresConfig } from ${place('./config.ts')}
    import { openManagedPostgres } from ${place('./managed-postgres.ts')}
    const context = { clock: createSystemClock(), random: createSystemRandom(), logger: createLogger({ level: 'silent' }) }
    const config = { ...postgresConfig.parse({ sharedBuffersMb: 16 }), directory: ${JSON.stringify(directory)} }
    const managed = await openManagedPostgres(context, config)
    process.send({ url: managed.connectionString })
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [message]: { url: string }[] = await once(child, 'message')
  assert(message !== undefined)
  return Object.assign(child, message)
}

test('what a killed Rowmill has left running is stopped, and its rows are there', async () => {
  await using dir = await tempDir()
  const other = await startOther(dir.path)
  const left = Number.parseInt(await readFile(join(dir.path, 'data', 'postmaster.pid'), 'utf8'), 10)
  {
    await using database = await connect(other.url)
    await database.execute('create table t as select 1 as id')
    await assert.rejects(open(dir.path), isEngineFailure(new RegExp(`in use by the process ${other.pid};`)))
    assert.equal((await database.query('select id from t')).length, 1)
  }
  other.kill('SIGKILL')
  await once(other, 'exit')
  assert(await findProcess(left), 'PostgreSQL runs on without its Rowmill')

  await using managed = await open(dir.path)
  assert.equal(await findProcess(left), undefined)
  await using database = await connect(managed.connectionString)
  assert.deepEqual(await database.query('select id from t'), [{ id: 1 }])
})

test('where the path is too long for a socket it listens on loopback, with a password', async () => {
  await using dir = await tempDir()
  await chmod(dir.path, 0o711)
  const directory = join(dir.path, 'x'.repeat(100))
  await using managed = await open(directory)
  const url = new URL(managed.connectionString)
  assert.equal(url.hostname, '127.0.0.1')
  assert.equal((await stat(join(directory, 'password'))).mode & 0o777, 0o600)
  await using database = await connect(managed.connectionString)
  assert.deepEqual(await database.query('select 1 as one'), [{ one: 1 }])
  url.password = 'wrong'
  await assert.rejects(
    connect(url.href),
    (error) => isRowmillError(error, 'DATABASE_REFUSED') && error.details.sqlState === '28P01',
  )
})

test('data of another major version is left alone', async () => {
  await using dir = await tempDir()
  await mkdir(join(dir.path, 'data'))
  await writeFile(join(dir.path, 'data', 'PG_VERSION'), '12\n')
  await assert.rejects(open(dir.path), isEngineFailure(/written by PostgreSQL 12, this Rowmill brings \d+/))
  assert.equal(await readFile(join(dir.path, 'data', 'PG_VERSION'), 'utf8'), '12\n')
})

const isRoot = process.getuid?.() === 0

test('a folder that the user of PostgreSQL cannot enter is named', {
  skip: !isRoot && 'it needs root',
}, async () => {
  await using dir = await tempDir()
  await chmod(dir.path, 0o700)
  await assert.rejects(open(join(dir.path, 'postgres')), isEngineFailure(/may not enter .*chmod o\+x/))
})
