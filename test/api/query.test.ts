import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { keys, openTestApi, resultsOf, type TestApi } from '../support/api.ts'
import {
  insertTwoProjects,
  isolatedSql,
  oracleSql,
  refusedSql,
  secrets,
  secretsInErrors,
} from '../support/hostile-sql.ts'
import { waitFor } from '../support/wait-for.ts'

suite('queries', () => {
  let api: TestApi
  before(async () => {
    api = await openTestApi({ settings: { queriesMax: 2, queryTimeMaxMs: 5000 } })
    const { warehouse } = api.ports
    await insertTwoProjects(warehouse, { first: 'phc_first', second: 'phc_second' })
  })
  after(() => api[Symbol.asyncDispose]())

  test('a query answers columns, types and rows, with values as parameters', async () => {
    const answer = await api.query('select {a:String} as a, {n:UInt64} as n, [1, 2] as list, nan as x', {
      values: { a: "it's; --", n: 9007199254740991 },
    })
    assert.deepEqual(answer.body, {
      columns: ['a', 'n', 'list', 'x'],
      types: [
        ['a', 'String'],
        ['n', 'UInt64'],
        ['list', 'Array(UInt8)'],
        ['x', 'Float64'],
      ],
      results: [["it's; --", 9007199254740991, [1, 2], 'nan']],
    })
  })

  test('text of any kind and many rows come through whole', async () => {
    const odd = 'line\nbreak "quoted" ä 😀 \\ ]'
    assert.deepEqual(resultsOf(await api.query('select {t:String}', { values: { t: odd } })), [[odd]])
    const rows = resultsOf<[number]>(await api.query('select number from numbers(200000)'))
    assert.equal(rows.length, 200_000)
    assert.deepEqual(rows.at(-1), [199_999])
    assert.deepEqual(resultsOf(await api.query('select 1 where 0')), [])
  })

  test('each table and view shows one project', async () => {
    for (const project of [1, 2]) {
      const count = async (from: string) =>
        resultsOf<[number]>(await api.query(`select count() from ${from}`, { project }))[0]?.[0]
      assert.equal(await count('events'), 200)
      assert.equal(await count('events final'), 200)
      assert.equal(await count('events_with_person'), 200)
      assert.equal(await count('person'), 1)
      assert.equal(await count('persons'), 1)
      assert.equal(await count('drops'), 1)
      assert.equal(await count('ledger'), 0)
    }
  })

  for (const sql of isolatedSql)
    test(`sees nothing of another project: ${sql}`, async () => {
      const rows = resultsOf<unknown[]>(await api.query(sql))
      assert.equal(secrets.test(JSON.stringify(rows)), false, JSON.stringify(rows))
    })

  test('an alias that sounds like another table shows no more than its own', async () => {
    const { database } = api.ports.warehouse
    const tables = ['events', 'drops', 'ledger', 'person'] as const
    for (const table of tables)
      for (const alias of tables)
        for (const columns of ['*', "*, 'phc_first' as token, 1 as team_id"]) {
          const sql = `select count() from (select ${columns} from ${table} as "${database}.${alias}")`
          const answer = await api.query(sql)
          const most = { events: 200, drops: 1, ledger: 0, person: 1 }[table]
          if (answer.status === 200) assert.ok(Number(resultsOf<unknown[]>(answer)[0]?.[0]) <= most, sql)
        }
  })

  for (const sql of oracleSql)
    test(`no error tells of another project's rows: ${sql}`, async () => {
      const answer = await api.query(sql)
      assert.equal(answer.status, 200, answer.text)
      assert.equal((answer.body as { error?: unknown }).error, undefined, answer.text)
      assert.equal(/LEAK|secret/.test(JSON.stringify(resultsOf(answer))), false, answer.text)
    })

  for (const sql of refusedSql)
    test(`is refused: ${sql}`, async () => {
      const answer = await api.query(sql)
      assert.equal(answer.status, 400, answer.text)
      assert.equal(secretsInErrors.test(answer.text), false, answer.text)
    })

  test('names of tables cannot be given as values', async () => {
    for (const sql of [
      'select * from {t:Identifier}',
      'select * from {d:Identifier}.{ t : /* */ identifier }',
    ]) {
      const answer = await api.query(sql, { values: { t: 'tables', d: 'system' } })
      assert.equal(answer.status, 400, answer.text)
    }
  })

  test('comments, trailing semicolons, quoted names and strings that look forbidden are fine', async () => {
    for (const sql of [
      'select 1 -- prewhere',
      'select 1;',
      'select 1 /* system.tables */ ;; ',
      'select \'system.tables; prewhere\', `event`, "event" from events limit 1',
      "select format('{}', 'x'), events.event as `system` from events limit 1",
      'from events select event limit 1',
      '(select 1)',
      'describe events',
      'show tables',
      'explain syntax select 1',
      'select $session_id from events limit 1',
    ])
      assert.equal((await api.query(sql)).status, 200, sql)
  })

  test('a mistake is answered with its position', async () => {
    const answer = await api.query('select\n  1 +')
    assert.equal(answer.status, 400)
    const body = answer.body as Record<string, unknown>
    assert.equal(body.code, 'invalid_query')
    assert.equal(body.clickhouse_name, 'SYNTAX_ERROR')
    assert.notEqual(body.position, null)
    const unknown = (await api.query('select nothing from events')).body as Record<string, unknown>
    assert.equal(unknown.clickhouse_name, 'UNKNOWN_IDENTIFIER')
    const refusedAt = (await api.query('select 1\nfrom system.one')).body as { position: object }
    assert.deepEqual(refusedAt.position, { offset: 14, line: 2, column: 6 })
  })

  test('an error after the first rows is the last field of an answer that is still JSON', async () => {
    const answer = await api.query(
      "select throwIf(number = 3000000, 'too far') from numbers(10000000) settings max_threads = 1",
    )
    // Settings are refused; the same without them fails in the middle.
    assert.equal(answer.status, 400)
    const late = await api.query("select number, throwIf(number = 3000000, 'too far') from numbers(10000000)")
    const body = late.body as { results?: unknown[]; error?: { detail: string }; detail?: string }
    assert.match(body.error?.detail ?? body.detail ?? '', /too far/)
  })

  test('a query that runs too long says which limit it met', async () => {
    await using slow = await openTestApi({ settings: { queryTimeMaxMs: 300 } })
    const answer = await slow.query('select count() from numbers(100000000000) where sipHash64(number) = 1')
    assert.equal(answer.status, 400, answer.text)
    assert.equal((answer.body as { code: string }).code, 'query_too_slow')
  })

  test('more queries than may run at once are answered 429, and a client that goes frees its place', async () => {
    const gone = new AbortController()
    // The question below may take a place just when a slow one comes: that one is asked again.
    const ask = async (): Promise<void> => {
      for (;;) {
        const answer = await fetch(`${api.url}/api/projects/1/query`, {
          method: 'POST',
          headers: { authorization: `Bearer ${keys.all}` },
          body: JSON.stringify({
            query: {
              kind: 'HogQLQuery',
              query: 'select count() from numbers(100000000000) where sipHash64(number) = 1',
            },
          }),
          signal: gone.signal,
        }).catch(() => undefined)
        if (answer?.status !== 429) return
        await answer.arrayBuffer()
      }
    }
    const slow = [ask(), ask()]
    const refusal = await waitFor(async () => {
      const answer = await api.query('select 1')
      return answer.status === 429 ? answer : undefined
    })
    assert.equal(refusal.headers.get('retry-after'), '1')
    gone.abort()
    await Promise.all(slow)
    await waitFor(async () => (await api.query('select 1')).status === 200)
  })

  test('the bodies of queries are checked', async () => {
    const path = '/api/projects/1/query'
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    for (const raw of [
      '',
      '[]',
      '{}',
      'null',
      '{"query":1}',
      '{"query":{"kind":"TrendsQuery","query":"select 1"}}',
      '{"query":{"kind":"HogQLQuery","query":{}}}',
      '{"query":{"kind":"HogQLQuery","query":"select 1\\u0000"}}',
      '{"query":{"kind":"HogQLQuery","query":"select 1","values":{"a b":1}}}',
      '{"query":{"kind":"HogQLQuery","query":"select {a:Array(Int8)}","values":{"a":[[[1]]]}}}',
      `{"query":{"kind":"HogQLQuery","query":"select 1","values":{"a":${deep}}}}`,
      '{"query":{"kind":"HogQLQuery","query":"select {a:UInt8}"}}',
      '{"query":{"kind":"HogQLQuery","query":"select {a:UInt8}","values":{"a":"x"}}}',
      '{"query":{"kind":"HogQLQuery","query":"select {a:UInt8}","values":{"a":1e400}}}',
      deep,
      '{"query"',
      '\ud800',
    ]) {
      const answer = await api.call('POST', path, { raw })
      assert.equal(answer.status, 400, `${raw.slice(0, 100)}: ${answer.text.slice(0, 300)}`)
    }
    assert.equal((await api.call('POST', path, { raw: ' '.repeat(2_000_000) })).status, 413)
    assert.equal((await api.query('select 1', { project: 1, key: keys.scoped })).status, 404)
  })
})
