/** `rowmill jobs` beside a running program, as an operator calls it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from '../../src/cli/cli.ts'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { tempDir } from '../support/temp-dir.ts'

const apiKey = 'phx_jobs'

/** As the program's own entry calls it, without the time of starting a process. */
async function run(words: readonly string[], { dataDir = '', isInteractive = false } = {}) {
  let out = ''
  let err = ''
  const code = await runCli({
    arguments: ['jobs', ...words],
    environment: dataDir === '' ? {} : { ROWMILL_DATA_DIR: dataDir },
    signal: new AbortController().signal,
    terminal: {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      isInteractive,
      hasColour: false,
      columns: 300,
    },
  })
  return { code, out, err }
}

test('what is wrong with a command is said before anything is opened', async () => {
  for (const words of [
    ['nonsense'],
    ['show'],
    ['show', 'no-id'],
    ['show', crypto.randomUUID(), crypto.randomUUID()],
    ['retry'],
    ['drain'],
    ['drain', 'q', '--all'],
    ['list', '--limit', '0'],
    ['list', '--status', 'odd'],
    ['list', '--project', 'x'],
  ])
    assert.equal((await run(words)).code, 2, words.join(' '))
  assert.match((await run(['--help'])).out, /jobs \[list \| counts \| show <id>/)
})

test('jobs are listed, shown, canceled, retried and drained from the command line', async () => {
  await using dir = await tempDir('rowmill-jobs-command-')
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token: 'phc_jobs', apiKey })
  await rowmill.start()
  const created = await fetch(`${rowmill.url}/api/projects/1/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      jobs: [
        { queue: 'hog', parameters: { n: 1 } },
        { queue: 'email', scheduled: '2030-01-01T00:00:00Z' },
      ],
    }),
  })
  assert.equal(created.status, 201)
  const { ids } = (await created.json()) as { ids: string[] }
  const [first = '', second = ''] = ids
  const read = async (...words: string[]) => {
    const { code, out, err } = await run(words, { dataDir: dir.path })
    assert.equal(code, 0, `${words.join(' ')}: ${err}`)
    return JSON.parse(out) as unknown
  }
  assert.deepEqual(
    ((await read('list')) as { id: string }[]).map(({ id }) => id).sort(),
    [first, second].sort(),
  )
  assert.equal(((await read('list', '--queue', 'email', '--json')) as unknown[]).length, 1)
  const job = (await read('show', first)) as { parameters: unknown; status: string }
  assert.deepEqual([job.parameters, job.status], [{ n: 1 }, 'available'])
  assert.equal((await run(['show', first, '--project', '2'], { dataDir: dir.path })).code, 3)
  assert.deepEqual(await read('cancel', first), { done: [{ id: first, status: 'canceled' }], left: [] })
  const again = await run(['cancel', first], { dataDir: dir.path })
  assert.equal(again.code, 3)
  assert.match(again.err, /is canceled: left as it is/)
  assert.deepEqual(await read('retry', first), { done: [{ id: first, status: 'available' }], left: [] })
  assert.deepEqual(await read('drain', '--all'), { drained: 0, discarded: false })
  assert.equal(((await read('counts')) as unknown[]).length, 2)
  const shown = await run(['list'], { dataDir: dir.path, isInteractive: true })
  assert.match(shown.out, new RegExp(`${second} +email +available`))
  const one = await run(['show', first], { dataDir: dir.path, isInteractive: true })
  assert.match(one.out, /parameters +{"n":1}/)
  const counts = await run(['counts'], { dataDir: dir.path, isInteractive: true })
  assert.match(counts.out, /email +available +1 +2030-01-01T00:00:00/)
})
