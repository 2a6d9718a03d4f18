/** The commands as a user calls them, beside a running program and without one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { tempDir } from '../support/temp-dir.ts'

const apiKey = 'phx_commands'
const token = 'phc_commands'

test('every command works beside a running program, and those that need none without it', async () => {
  await using dir = await tempDir('rowmill-commands-')
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey })
  const run = async (...parameters: string[]): Promise<string> => {
    const { code, out, err } = await rowmill.command(...parameters)
    assert.equal(code, 0, `${parameters.join(' ')}: ${code}\n${out}\n${err}`)
    return out
  }
  const read = async (...parameters: string[]): Promise<unknown> => JSON.parse(await run(...parameters))

  for (const line of ['Usage', 'serve', 'audit']) assert.ok((await run('help')).includes(line))
  assert.match(await run('version'), /^rowmill \d+\.\d+\.\d+ on node v24/)
  assert.match(await run('serve', '--list'), /^capture +An SDK/)
  assert.match(await run('config', 'dataDir'), /"origin": "environment ROWMILL_DATA_DIR"/)
  const alone = await rowmill.command('load', '--events', '1')
  assert.equal(alone.code, 2)
  assert.match(alone.err, /Nothing is running in .* Start "rowmill serve" there first/)
  for (const name of ['audit', 'keys', 'tail']) {
    const { code, err } = await rowmill.command(name)
    assert.equal(code, 1)
    assert.match(err, /DATA_DIR_UNUSABLE: There is no data of Rowmill in /)
  }

  await rowmill.start()
  const load = (await read('load', '--events', '200', '--batch', '20', '--bytes', '100')) as {
    acknowledged: number
    rows: number
  }
  assert.deepEqual([load.acknowledged, load.rows], [200, 200])
  const report = (await read('audit')) as { isBalanced: boolean; isSettled: boolean; rows: number }
  assert.deepEqual([report.isBalanced, report.isSettled, report.rows], [true, true, 200])

  const project = (await read('project', 'create', 'shop')) as { id: number }
  assert.equal(((await read('project', 'list')) as unknown[]).length, 2)
  await run('project', 'update', String(project.id), '--timezone', 'Europe/Berlin')
  const key = (await read('keys', 'create', 'laptop')) as { id: string; value: string }
  assert.match(key.value, /^phx_/)
  await run('keys', 'revoke', key.id)
  assert.equal((await rowmill.command('keys', 'revoke', key.id)).code, 3)

  const findings = (await read('doctor')) as { subject: string; state: string }[]
  assert.deepEqual(
    findings.filter(({ state }) => state === 'bad'),
    [],
  )
  await run('migrate')
  const unknown = await rowmill.command('trace', 'nobody at all')
  assert.equal(unknown.code, 3)
  assert.match(unknown.err, /Nothing is known of nobody at all/)
})

test('a wrong call is answered by a sentence and 2', async () => {
  const rowmill = new RowmillProcess({ dataDir: '/nonexistent', port: 0, token, apiKey })
  const calls: [parameters: string[], says: RegExp][] = [
    [['serv'], /There is no command serv/],
    [['serve', '--nonsense'], /--nonsense/],
    [['keys', 'destroy'], /keys does not know destroy/],
    [['project', 'create'], /needs a name/],
    [['trace'], /Give one uuid or distinct id/],
    [['load', '--events', 'many'], /--events takes a whole number/],
    [['audit', '--wait', 'long'], /--wait takes seconds/],
    [['serve', '--set', 'port'], /--set takes path=value/],
  ]
  const answers = await Promise.all(calls.map(([parameters]) => rowmill.command(...parameters)))
  for (const [index, [parameters, says]] of calls.entries()) {
    const answer = answers[index]
    assert.equal(answer?.code, 2, `${parameters.join(' ')}: ${answer?.err}`)
    assert.match(answer?.err ?? '', says)
    assert.doesNotMatch(answer?.err ?? '', /^ {4}at /m)
  }
})
