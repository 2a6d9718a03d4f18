/** PostgreSQL goes away under load and comes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noPostgres, openPostgres } from '../../support/engines/postgres.ts'
import { waitFor } from '../../support/wait-for.ts'
import { isUnavailable, openOn } from './support.ts'

const skip = noPostgres

for (const mode of ['fast', 'immediate'] as const)
  test(`a restart (${mode}) under load fails statements, loses none that was acknowledged, and passes`, {
    skip,
  }, async () => {
    await using server = await openPostgres({
      isOwn: true,
      settings: { fsync: 'on', full_page_writes: 'on' },
    })
    await using database = await openOn(server.url, { connectTimeoutMs: 200 })
    await database.execute('create table t (id integer primary key)')
    const done = { stop: false, acknowledged: new Set<number>(), failures: 0, next: 0 }
    const work = async () => {
      while (!done.stop) {
        const id = done.next++
        try {
          await database.transaction((session) => session.execute('insert into t values ($1)', [id]))
          done.acknowledged.add(id)
        } catch (error) {
          assert(isUnavailable(error), String(error))
          done.failures++
        }
      }
    }
    const workers = Array.from({ length: 4 }, work)
    try {
      await waitFor(() => done.acknowledged.size > 20)
      await server.stop(mode)
      const before = done.failures
      await waitFor(() => done.failures > before + 2)
      await server.start()
      const known = done.acknowledged.size
      await waitFor(() => done.acknowledged.size > known + 20)
    } finally {
      done.stop = true
      await Promise.all(workers)
    }
    const rows = await database.query<{ id: number }>('select id from t')
    const there = new Set(rows.map(({ id }) => id))
    for (const id of done.acknowledged) assert(there.has(id), `row ${id} was acknowledged and is gone`)
  })

test('a server that takes connections and answers none is given up in time, and used again later', {
  skip,
}, async () => {
  await using server = await openPostgres({ isOwn: true })
  server.pause()
  try {
    await assert.rejects(openOn(server.url, { connectTimeoutMs: 300 }), isUnavailable)
  } finally {
    server.resume()
  }
  await using database = await openOn(server.url)
  assert.deepEqual(await database.query('select 1 as one'), [{ one: 1 }])
})
