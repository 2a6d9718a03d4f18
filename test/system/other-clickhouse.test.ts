/**
 * Rowmill on a ClickHouse that it does not run (CLICKHOUSE_HOST): events become rows there, and a project's queries
 * stay inside the project, whatever that server itself would allow.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import {
  insertTwoProjects,
  isolatedSql,
  oracleSql,
  refusedSql,
  secrets,
  secretsInErrors,
} from '../support/hostile-sql.ts'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'
import { openTestWarehouse, type TestWarehouse } from '../support/warehouse.ts'

type Answer = { results: unknown[][]; error: unknown; code: unknown }

suite('a ClickHouse that the settings name', () => {
  let server: TestWarehouse
  let rowmill: TestRowmill
  const stack = new AsyncDisposableStack()
  before(async () => {
    server = stack.use(await openTestWarehouse())
    rowmill = stack.use(
      await startRowmill({
        settings: {
          'warehouse.url': server.url,
          'warehouse.user': server.user,
          'warehouse.password': server.password,
          'warehouse.database': server.database,
        },
      }),
    )
    const { status } = await rowmill.api('POST', '/api/projects', { name: 'second', api_token: 'phc_second' })
    assert.equal(status, 201)
    await insertTwoProjects(server.warehouse, { first: rowmill.token, second: 'phc_second' })
  })
  after(() => stack.disposeAsync())

  const ask = async (sql: string): Promise<Answer & { status: number; text: string }> => {
    const { status, body } = await rowmill.api('POST', '/api/projects/1/query', {
      query: { kind: 'HogQLQuery', query: sql },
    })
    const { results = [], error, code } = body as Partial<Answer>
    return { status, text: JSON.stringify(body), results, error, code }
  }

  test('a query shows one project', async () => {
    for (const sql of isolatedSql) {
      const { status, text, results } = await ask(sql)
      assert.equal(status, 200, `${sql}: ${text}`)
      assert.equal(secrets.test(JSON.stringify(results)), false, `${sql}: ${text}`)
    }
  })

  test('no error tells of another project', async () => {
    for (const sql of oracleSql) {
      const { status, text, results, error } = await ask(sql)
      assert.deepEqual([status, error], [200, undefined], `${sql}: ${text}`)
      assert.equal(secretsInErrors.test(JSON.stringify(results)), false, `${sql}: ${text}`)
    }
  })

  test('what is not allowed is refused by Rowmill itself', async () => {
    for (const sql of refusedSql) {
      const { status, text, code } = await ask(sql)
      assert.equal(status, 400, `${sql}: ${text}`)
      // The code that stands for what the server itself has refused.
      assert.notEqual(code, 'invalid_query', `${sql}: ${text}`)
      assert.equal(secretsInErrors.test(text), false, `${sql}: ${text}`)
    }
    const [left] = await server.warehouse.query('select count() as n from events')
    assert.ok(Number(left?.n) >= 400)
  })

  test('events become rows on it, and no other ClickHouse is started', async () => {
    const answer = await fetch(`${rowmill.url}/i/v0/e/`, {
      method: 'POST',
      body: JSON.stringify({ api_key: rowmill.token, event: 'elsewhere', distinct_id: 'ada' }),
    })
    assert.equal(answer.status, 200)
    await rowmill.until("select event from events where event = 'elsewhere'", (rows) => rows.length === 1)
    const [row] = await server.warehouse.query("select count() as n from events where event = 'elsewhere'")
    assert.equal(Number(row?.n), 1)
    assert.equal((await readdir(rowmill.dataDir)).includes('clickhouse'), false)
  })
})
