/** What a newcomer does in the first minute, with nothing but HTTP. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'

suite('the first minute', () => {
  let rowmill: TestRowmill
  before(async () => {
    rowmill = await startRowmill()
  })
  after(async () => {
    await rowmill[Symbol.asyncDispose]()
  })

  const capture = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${rowmill.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })

  test('status routes answer without a key, management routes ask for one', async () => {
    for (const path of ['/_readiness', '/_liveness', '/metrics'])
      assert.equal((await fetch(`${rowmill.url}${path}`)).status, 200, path)
    for (const path of ['/api/projects', '/api/projects/1/events', '/api/personal_api_keys'])
      assert.equal((await fetch(`${rowmill.url}${path}`)).status, 401, path)
  })

  test('an event sent with curl is found by SQL, by its uuid and in the list', async () => {
    const uuid = '0195b0a0-0000-7000-8000-000000000001'
    const answer = await capture('/i/v0/e/', {
      api_key: rowmill.token,
      event: 'hello',
      distinct_id: 'me',
      uuid,
      properties: { answer: 42 },
    })
    assert.deepEqual([answer.status, await answer.json()], [200, { status: 1 }])
    await rowmill.until(`select uuid from events where uuid = '${uuid}'`, (rows) => rows.length === 1)
    const one = await rowmill.api('GET', `/api/projects/1/events/${uuid}`)
    assert.equal((one.body as { properties: Record<string, unknown> }).properties.answer, 42)
    const list = await rowmill.api('GET', '/api/projects/@current/events?event=hello&limit=1')
    assert.equal((list.body as { results: { id: string }[] }).results[0]?.id, uuid)
  })

  test('an event of an unknown project is accepted and has a written reason', async () => {
    const uuid = '0195b0a0-0000-7000-8000-000000000002'
    assert.equal(
      (await capture('/e/', { api_key: 'phc_nobody', event: 'lost', distinct_id: 'me', uuid })).status,
      200,
    )
    await using other = await startOther(rowmill)
    const rows = await other.until<{ reason: string }>(`select reason from drops where uuid = '${uuid}'`)
    assert.deepEqual(rows, [{ reason: 'unknown_token' }])
  })

  test('the same event sent twice becomes one row and one written reason', async () => {
    const event = {
      api_key: rowmill.token,
      event: 'twice',
      distinct_id: 'me',
      uuid: '0195b0a0-0000-7000-8000-000000000003',
      timestamp: '2026-01-02T03:04:05Z',
    }
    await capture('/e/', event)
    await capture('/batch/', { api_key: rowmill.token, batch: [event] })
    await rowmill.until<[string]>(
      "select reason from drops where event = 'twice'",
      (rows) => rows.length === 1 && rows[0]?.[0] === 'duplicate',
    )
    assert.deepEqual(await rowmill.query("select count() from events where event = 'twice'"), [[1]])
  })

  test('a query that is wrong is answered with the position of the mistake', async () => {
    const { status, body } = await rowmill.api('POST', '/api/projects/1/query', {
      query: { kind: 'HogQLQuery', query: 'select\n  event\nform events' },
    })
    assert.equal(status, 400)
    const problem = body as { code: string; position: { line: number } | null }
    assert.equal(problem.code, 'invalid_query')
    assert.equal(problem.position?.line, 3)
  })

  test('queries cannot write, leave the warehouse or see another project', async () => {
    const { body } = await rowmill.api('POST', '/api/projects', { name: 'second' })
    const second = body as { id: number; api_token: string }
    assert.equal(
      (await capture('/e/', { api_key: second.api_token, event: 'secret of two', distinct_id: 'x' })).status,
      200,
    )
    const { body: made } = await rowmill.api('POST', '/api/personal_api_keys', {
      label: 'two',
      scoped_projects: [second.id],
    })
    const { value } = made as { value: string }
    const ask = async (project: number, sql: string) => {
      const answer = await fetch(`${rowmill.url}/api/projects/${project}/query`, {
        method: 'POST',
        headers: { authorization: `Bearer ${value}`, 'content-type': 'application/json' },
        body: JSON.stringify({ query: { kind: 'HogQLQuery', query: sql } }),
      })
      return { status: answer.status, text: await answer.text() }
    }
    for (;;) {
      const { text } = await ask(second.id, "select count() from events where event = 'secret of two'")
      if (text.includes('[[1]]')) break
    }
    assert.equal((await ask(1, 'select 1')).status, 404)
    for (const sql of [
      'select event from events where team_id = 1',
      'select event from events_with_person where team_id = 1',
      "select event from merge(currentDatabase(), '^events$') where team_id = 1",
      'select event from (select * from events union all select * from events) where team_id = 1',
      `with all_events as (select * from events) select event from all_events where team_id != ${second.id}`,
    ]) {
      const { status, text } = await ask(second.id, sql)
      assert.ok(status === 400 || /"results":\[\s*\]/.test(text), `${sql}: ${status} ${text}`)
    }
    for (const sql of [
      'insert into events (event) values (1)',
      'drop table events',
      "select * from file('/etc/passwd', 'LineAsString')",
      "select * from url('http://127.0.0.1:1/', 'LineAsString')",
      "select 1 into outfile '/tmp/rowmill-test-outfile'",
      'select 1; drop table events',
      'select event from events settings additional_table_filters = {}',
      'select event from events settings readonly = 0',
      'set max_memory_usage = 0',
    ]) {
      const { status, text } = await ask(second.id, sql)
      assert.equal(status, 400, `${sql}: ${text}`)
    }
  })

  test('deleting a person with their events removes both, and says when it is done', async () => {
    for (const event of ['one', 'two', 'three'])
      await capture('/e/', { api_key: rowmill.token, event: `del ${event}`, distinct_id: 'forget-me' })
    await capture('/e/', { api_key: rowmill.token, event: 'del kept', distinct_id: 'keep-me' })
    await rowmill.until<[string]>(
      "select count() from events where startsWith(event, 'del ')",
      ([row]) => Number(row?.[0]) === 4,
    )
    const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=forget-me')
    const [person] = (body as { results: { uuid: string }[] }).results
    const asked = await rowmill.api('DELETE', `/api/projects/1/persons/${person?.uuid}?delete_events=true`)
    assert.equal(asked.status, 202)
    const { id } = asked.body as { id: string }
    for (let tries = 0; ; tries++) {
      const { body: state } = await rowmill.api('GET', `/api/projects/1/deletions/${id}`)
      const deletion = state as { stage: string; events_deleted: number; error: string | null }
      if (deletion.stage === 'finished') {
        assert.equal(deletion.events_deleted, 3)
        break
      }
      assert.equal(deletion.error, null)
      assert.ok(tries < 400, JSON.stringify(state))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.deepEqual(await rowmill.query("select event from events where startsWith(event, 'del ')"), [
      ['del kept'],
    ])
    assert.equal((await rowmill.api('GET', `/api/projects/1/persons/${person?.uuid}`)).status, 404)
  })

  test('a compressed body without any hint is understood', async () => {
    const body = gzipSync(JSON.stringify({ api_key: rowmill.token, event: 'zipped', distinct_id: 'me' }))
    const answer = await fetch(`${rowmill.url}/e/`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body,
    })
    assert.equal(answer.status, 200)
    await rowmill.until("select uuid from events where event = 'zipped'", (rows) => rows.length === 1)
  })
})

/** Drops of unknown tokens belong to no project, so they are looked up beside the API. */
async function startOther(rowmill: TestRowmill) {
  const { configSchema } = await import('../../src/platform/config/config.ts')
  const { loadConfig } = await import('../../src/platform/config/load.ts')
  const { joinEngines } = await import('../../src/platform/join.ts')
  const { waitFor } = await import('../support/wait-for.ts')
  const engines = await joinEngines(
    loadConfig(configSchema, { environment: {}, flags: { dataDir: rowmill.dataDir, logLevel: 'error' } })
      .config,
  )
  return {
    async until<Row extends object>(sql: string): Promise<Row[]> {
      let rows: Row[] = []
      await waitFor(
        async () => {
          rows = await engines.warehouse.query<Row>(sql)
          return rows.length > 0
        },
        { withinMs: 20_000 },
      )
      return rows
    },
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
  }
}
