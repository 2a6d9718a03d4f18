/** The commands that the pages show are run as they stand, against a running Rowmill, and their events are found. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { runnableSnippets } from '../support/pages.ts'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'

/** What a snippet sends, and how to see that it arrived. A query answers with rows instead. */
const wanted: Readonly<Record<string, { event: string } | { rowOf: string }>> = {
  'README.md: first event': { event: 'hello' },
  'README.md: first query': { rowOf: 'hello' },
  'docs/guides/send-events.md: send one': { event: 'paid' },
  'docs/guides/send-events.md: send a batch': { event: 'closed' },
  'docs/guides/send-events.md: send by v1': { event: 'paid by v1' },
}

const noCurl = spawnSync('curl', ['--version']).status === 0 ? false : 'no curl on this machine'

suite('the commands in the pages', { skip: noCurl }, () => {
  let rowmill: TestRowmill
  before(async () => {
    rowmill = await startRowmill()
  })
  after(async () => {
    await rowmill?.[Symbol.asyncDispose]()
  })

  async function run(script: string): Promise<string> {
    const here = script.replaceAll('http://127.0.0.1:8000', rowmill.url)
    const child = spawn('sh', ['-euc', here], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, TOKEN: rowmill.token, API_KEY: rowmill.apiKey },
    })
    const out: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => out.push(chunk))
    const [code] = (await once(child, 'close')) as [number | null]
    const text = Buffer.concat(out).toString()
    assert.equal(code, 0, `${script}\n${text}`)
    return text
  }

  test('every snippet that is marked is run here, and the other way round', () => {
    assert.deepEqual(
      runnableSnippets().map(({ page, name }) => `${page}: ${name}`),
      Object.keys(wanted),
    )
  })

  for (const { page, name, script } of runnableSnippets())
    test(`${page}: ${name}`, async () => {
      const expected = wanted[`${page}: ${name}`]
      const answer = await run(script)
      if (expected === undefined) return assert.fail('nothing says what it should do')
      if ('event' in expected) {
        assert.doesNotMatch(answer, /error|invalid/i)
        await rowmill.until(
          `select uuid from events where event = '${expected.event}'`,
          (rows) => rows.length > 0,
        )
        return
      }
      const { results } = JSON.parse(answer) as { results: unknown[][] }
      assert.ok(
        results.some((row) => row[0] === expected.rowOf),
        answer,
      )
    })
})
