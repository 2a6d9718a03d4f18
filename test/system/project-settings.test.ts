/** Settings of a project that change while events come: from the API's answer on they hold. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'
import { waitFor } from '../support/wait-for.ts'

const program = fileURLToPath(new URL('../../bin/rowmill.mjs', import.meta.url))

suite('settings of a project', () => {
  let rowmill: TestRowmill
  before(async () => {
    // Nothing of what follows may be owed to reading the settings again after a while.
    rowmill = await startRowmill({
      settings: { 'ingest.teams.refreshIntervalMs': '3600000', 'ingest.teams.unknownTtlMs': '3600000' },
    })
  })
  after(async () => {
    await rowmill[Symbol.asyncDispose]()
  })

  const post = async (token: string, event: Record<string, unknown>): Promise<string> => {
    const uuid = crypto.randomUUID()
    const answer = await fetch(`${rowmill.url}/i/v0/e/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'a browser' },
      body: JSON.stringify({ api_key: token, uuid, ...event }),
    })
    assert.equal(answer.status, 200, await answer.text())
    return uuid
  }
  const postCookieless = () =>
    post(rowmill.token, {
      event: 'visited',
      distinct_id: '$posthog_cookieless',
      properties: {
        $cookieless_mode: true,
        $host: 'example.com',
        $raw_user_agent: 'a browser',
        $ip: '203.0.113.9',
      },
    })
  /** `row`, or the reason why there is none. */
  const fateOf = async (uuid: string): Promise<string> => {
    const [fate] = await rowmill.until<[string]>(
      `select 'row' from events where uuid = '${uuid}' union all select reason from drops where uuid = '${uuid}'`,
      (rows) => rows.length === 1,
    )
    return fate?.[0] ?? ''
  }

  test('an event that is sent after the answer to a PATCH is processed under the new settings', async () => {
    assert.equal(await fateOf(await postCookieless()), 'cookieless_disabled')
    for (let round = 0; round < 5; round++)
      for (const [mode, fate] of [
        ['stateless', 'row'],
        ['disabled', 'cookieless_disabled'],
      ] as const) {
        const { status, body } = await rowmill.api('PATCH', '/api/projects/1', { cookieless_mode: mode })
        assert.deepEqual([status, (body as { cookieless_mode: string }).cookieless_mode], [200, mode])
        assert.equal(await fateOf(await postCookieless()), fate)
      }
  })

  test('a project that was just made takes its first event, although its token was unknown before', async () => {
    const token = 'phc_brand_new'
    const dropped = async () => {
      const text = await (await fetch(`${rowmill.url}/metrics`)).text()
      return [...text.matchAll(/^stream_records_total\{.*outcome="drop".*\} (\d+)/gm)].reduce(
        (sum, found) => sum + Number(found[1]),
        0,
      )
    }
    const before = await dropped()
    await post(token, { event: 'too early', distinct_id: 'a' })
    await waitFor(async () => (await dropped()) > before)
    const { body } = await rowmill.api('POST', '/api/projects', { name: 'new', api_token: token })
    const { id } = body as { id: number }
    await post(token, { event: 'first', distinct_id: 'a' })
    await waitFor(async () => {
      const { body: list } = await rowmill.api('GET', `/api/projects/${id}/events?event=first`)
      return (list as { results: unknown[] }).results.length === 1
    })
  })

  test('what the command line changes reaches a running program in a moment', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [program, 'project', 'update', '1', '--cookieless', 'stateless', '--json'],
      { env: { PATH: process.env.PATH, ROWMILL_DATA_DIR: rowmill.dataDir } },
    )
    assert.equal((JSON.parse(stdout) as { cookieless_mode: string }).cookieless_mode, 'stateless')
    await waitFor(async () => (await fateOf(await postCookieless())) === 'row')
  })
})
