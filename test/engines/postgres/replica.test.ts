/** Reads that may be stale, with a second server in the replica's place: what is asked of it shows where it went. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRowmillError } from '../../../src/errors/rowmill-error.ts'
import { noPostgres, openPostgres } from '../../support/engines/postgres.ts'
import { waitFor } from '../../support/wait-for.ts'
import { changed, openOn } from './support.ts'

const skip = noPostgres

test('only reads that may be stale go to the replica, and the primary stands in for it', {
  skip,
}, async () => {
  await using primary = await openPostgres()
  await using second = await openPostgres({ isOwn: true })
  await using database = await openOn(primary.url, { replicaUrl: second.url, replicaPauseMs: 20 })
  const where = async (mayBeStale: boolean) => {
    const sql = "select current_setting('port') as port"
    const [row] = await database.query<{ port: string }>(sql, [], { mayBeStale })
    return Number(row?.port)
  }
  assert.equal(await where(true), second.port)
  assert.equal(await where(false), primary.port)
  const [row] = await database.query<{ port: string }>("select current_setting('port') as port")
  assert.equal(Number(row?.port), primary.port)
  const write = database.query('create table t (id integer)', [], { mayBeStale: true })
  await assert.rejects(write, (error) => isRowmillError(error) && error.details.sqlState === '25006')
  await assert.rejects(database.query('select * from t'), 'nobody has run it')
  await second.stop('immediate')
  assert.equal(await where(true), primary.port)
  await second.start()
  await waitFor(async () => (await where(true)) === second.port)
})

test('a replica that is away does not keep a program from starting, a wrong password does', {
  skip,
}, async () => {
  await using primary = await openPostgres()
  await using second = await openPostgres({ isOwn: true })
  const replicaUrl = changed(second.url, (url) => {
    url.password = 'wrong'
  })
  await assert.rejects(openOn(primary.url, { replicaUrl }), (error) => {
    return isRowmillError(error, 'DATABASE_REFUSED') && /database\.replicaUrl/.test(error.message)
  })
  await second.stop()
  await using database = await openOn(primary.url, { replicaUrl: second.url })
  assert.deepEqual(await database.query('select 1 as one', [], { mayBeStale: true }), [{ one: 1 }])
})
