/** What every Database must do, against the real server. Each case has a database of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '../../test/support/wait-for.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Database } from './database.ts'

/** `another` opens the same database once more, as another process would. */
export type DatabaseHarness = AsyncDisposable & { database: Database; another(): Promise<Database> }

type Check = (what: string, body: (harness: DatabaseHarness) => Promise<void>) => void

export function exerciseDatabase(name: string, open: () => Promise<DatabaseHarness>): void {
  const check: Check = (what, body) =>
    test(`${name}: ${what}`, async () => {
      await using harness = await open()
      await body(harness)
    })
  exerciseStatements(check)
  exerciseTransactions(check)
  exerciseLocks(check)
  exerciseNotifications(check)
}

const isRefused = (sqlState: string) => (error: unknown) =>
  isRowmillError(error, 'DATABASE_REFUSED') && error.details.sqlState === sqlState

function exerciseStatements(check: Check): void {
  check('values come back as the port says', async ({ database }) => {
    const [row] = await database.query(
      `select 9007199254740993::bigint as big, 1.10::numeric as exact, true as yes, null as nothing,
        '{"a":[1,null]}'::jsonb as tree, '{1,2}'::bigint[] as bigs, array['a',null] as texts,
        '{1.10}'::numeric[] as exacts, 3::integer as small, 0.5::double precision as half, '\\x00ff'::bytea as bytes,
        timestamptz '2026-01-02 03:04:05.123456+02' as micros, timestamptz '2026-01-02 03:04:05Z' as whole,
        array[timestamptz '2026-01-02 03:04:05.5Z'] as times, date '2026-01-02' as day`,
    )
    assert.deepEqual(row, {
      big: '9007199254740993',
      exact: '1.10',
      yes: true,
      nothing: null,
      tree: { a: [1, null] },
      bigs: ['1', '2'],
      texts: ['a', null],
      exacts: ['1.10'],
      small: 3,
      half: 0.5,
      bytes: Buffer.from([0, 255]),
      micros: '2026-01-02T01:04:05.123456Z',
      whole: '2026-01-02T03:04:05.000Z',
      times: ['2026-01-02T03:04:05.500Z'],
      day: '2026-01-02',
    })
  })

  check('values are never part of the statement', async ({ database }) => {
    const text = `'; drop table x; -- $1 \\ " \u{1f600}`
    const rows = await database.query<{ text: string }>('select $1::text as text', [text])
    assert.deepEqual(rows, [{ text }])
  })

  check('execute answers how many rows were touched', async ({ database }) => {
    await database.execute('create table t (id integer)')
    assert.equal(await database.execute('insert into t select generate_series(1, 5)'), 5)
    assert.equal(await database.execute('update t set id = id where id > $1', [3]), 2)
    assert.equal(await database.execute('delete from t where id = 99'), 0)
  })

  check('a refused statement says why, and the next one works', async ({ database }) => {
    await database.execute('create table t (id integer constraint only_small check (id < 10))')
    await assert.rejects(database.execute('insert into t values (11)'), (error) => {
      assert(isRefused('23514')(error))
      assert(isRowmillError(error))
      assert.equal(error.details.constraint, 'only_small')
      return true
    })
    await assert.rejects(database.query('select wrong'), isRefused('42703'))
    assert.deepEqual(await database.query('select 1 as one'), [{ one: 1 }])
  })

  check('a failure does not tell the values', async ({ database }) => {
    await database.execute('create table t (id text unique)')
    await database.execute("insert into t values ('hush-hush')")
    for (const attempt of [
      database.execute('insert into t values ($1)', ['hush-hush']),
      database.query('select $1::integer', ['hush-hush']),
    ])
      await assert.rejects(attempt, (error) => {
        assert(isRowmillError(error, 'DATABASE_REFUSED'))
        assert(!JSON.stringify([error.message, error.details, error.cause]).includes('hush-hush'))
        return true
      })
  })

  check('many statements at once share the connections', async ({ database }) => {
    const asked = Array.from({ length: 100 }, (_, index) =>
      database.query('select $1::integer as n', [index]),
    )
    assert.deepEqual(
      (await Promise.all(asked)).flat(),
      Array.from({ length: 100 }, (_, n) => ({ n })),
    )
  })

  check('a read that may be stale is answered, by whoever can', async ({ database }) => {
    const rows = await database.query('select $1::integer as one', [1], { mayBeStale: true })
    assert.deepEqual(rows, [{ one: 1 }])
  })

  check('it may be closed twice, and is unavailable then', async ({ database }) => {
    await database[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await assert.rejects(database.query('select 1'), (error) => isRowmillError(error, 'DATABASE_UNAVAILABLE'))
    await assert.rejects(
      database.withLock('any', async () => undefined),
      (error) => isRowmillError(error, 'DATABASE_UNAVAILABLE'),
    )
  })
}

function exerciseTransactions(check: Check): void {
  const ids = async (database: Database) =>
    (await database.query<{ id: number }>('select id from t order by id')).map((row) => row.id)

  check('a transaction is seen by others when it has been committed, as a whole', async ({ database }) => {
    await database.execute('create table t (id integer)')
    const answer = await database.transaction(async (session) => {
      await session.execute('insert into t values (1)')
      await session.execute('insert into t values (2)')
      assert.deepEqual(await session.query('select count(*)::integer as n from t'), [{ n: 2 }])
      assert.deepEqual(await ids(database), [])
      return 'done'
    })
    assert.equal(answer, 'done')
    assert.deepEqual(await ids(database), [1, 2])
  })

  check(
    'a transaction whose code throws leaves nothing, and the error comes through',
    async ({ database }) => {
      await database.execute('create table t (id integer)')
      const surprise = new Error('surprise')
      const attempt = database.transaction(async (session) => {
        await session.execute('insert into t values (1)')
        throw surprise
      })
      await assert.rejects(attempt, (error) => error === surprise)
      assert.deepEqual(await ids(database), [])
    },
  )

  check('a transaction with a failed statement cannot be committed by ignoring it', async ({ database }) => {
    await database.execute('create table t (id integer)')
    const attempt = database.transaction(async (session) => {
      await session.execute('insert into t values (1)')
      await assert.rejects(session.query('select 1/0'), isRefused('22012'))
    })
    await assert.rejects(attempt, isRefused('25P02'))
    assert.deepEqual(await ids(database), [])
  })

  check('statements of one transaction may be sent at once and run in order', async ({ database }) => {
    await database.execute('create table t (id integer generated always as identity, n integer)')
    await database.transaction((session) =>
      Promise.all([7, 8, 9].map((n) => session.execute('insert into t (n) values ($1)', [n]))),
    )
    assert.deepEqual(await database.query('select n from t order by id'), [{ n: 7 }, { n: 8 }, { n: 9 }])
  })

  check('a conflict is marked for the caller to try again', async ({ database }) => {
    await database.execute('create table t (id integer)')
    await database.execute('insert into t values (1)')
    const attempt = database.transaction(async (session) => {
      await session.execute('set transaction isolation level repeatable read')
      await session.query('select * from t')
      await database.execute('update t set id = 2')
      await session.execute('update t set id = 3')
    })
    await assert.rejects(attempt, (error) => {
      assert(isRefused('40001')(error))
      assert(isRowmillError(error))
      assert.equal(error.details.isConflict, true)
      return true
    })
  })
}

function exerciseLocks(check: Check): void {
  check('a lock has one holder at a time, across processes', async ({ database, another }) => {
    const other = await another()
    let holders = 0
    const hold = async () => {
      holders += 1
      assert.equal(holders, 1)
      await database.query('select pg_sleep(0.005)')
      holders -= 1
    }
    const holds = Array.from({ length: 6 }, (_, index) =>
      (index % 2 === 0 ? database : other).withLock('one', hold),
    )
    await Promise.all(holds)
  })

  check('locks of other names do not wait', async ({ database }) => {
    const answer = await database.withLock('outer', () => database.withLock('inner', async () => 'both'))
    assert.equal(answer, 'both')
  })

  check('a lock is free again after its holder threw', async ({ database }) => {
    const failing = database.withLock('one', async () => {
      throw new Error('surprise')
    })
    await assert.rejects(failing, /surprise/)
    assert.equal(await database.withLock('one', async () => 'free'), 'free')
  })

  check('waiting for a lock can be given up', async ({ database, another }) => {
    const other = await another()
    await database.withLock('one', async () => {
      const abort = new AbortController()
      const waiting = other.withLock('one', async () => 'never', { signal: abort.signal })
      abort.abort(new Error('given up'))
      await assert.rejects(waiting, /given up/)
    })
  })
}

function exerciseNotifications(check: Check): void {
  check('a listener gets the payloads of its channel, until it is aborted', async ({ database, another }) => {
    const other = await another()
    const abort = new AbortController()
    const seen: string[] = []
    const listening = (async () => {
      for await (const payload of database.listen('News "here"', { signal: abort.signal })) seen.push(payload)
    })()
    await waitFor(async () => {
      await other.query('select pg_notify($1, $2)', ['News "here"', 'hello'])
      return seen.length > 0
    })
    await other.query("select pg_notify('other', 'not this')")
    await other.query('select pg_notify($1, $2)', ['News "here"', 'last'])
    await waitFor(() => seen.includes('last'))
    assert(!seen.includes('not this'))
    abort.abort()
    await listening
  })

  check('closing ends listeners', async ({ another }) => {
    const other = await another()
    const listening = Array.fromAsync(other.listen('news', { signal: new AbortController().signal }))
    await other[Symbol.asyncDispose]()
    assert.deepEqual(await listening, [])
  })
}
