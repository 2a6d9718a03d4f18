/** Ends of the program: by a signal under load, twice, and before it could begin. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { countFates, startSteadyLoad } from '../support/steady-load.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const apiKey = 'phx_stop'
const token = 'phc_stop'

function isGone(pid: number | undefined): boolean {
  try {
    return pid !== undefined && !process.kill(pid, 0)
  } catch {
    return true
  }
}

test('a stop under load ends well, loses nothing and leaves no engine behind', async () => {
  await using dir = await tempDir('rowmill-stop-')
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey })
  await rowmill.start()
  await using load = startSteadyLoad(rowmill.url, { token, senders: 4 })
  for (const least of [300, 900]) {
    await waitFor(() => load.acknowledged.size >= least)
    const engines = await rowmill.engines()
    assert.equal(await rowmill.end('SIGTERM'), 0, rowmill.printed)
    await waitFor(() => isGone(engines.postgres) && isGone(engines.clickhouse))
    await rowmill.start()
  }
  await load.stop()
  const statuses = [...load.answers.keys()].filter((status) => ![200, 503, 0].includes(status))
  assert.deepEqual(statuses, [])

  const { code, out, err } = await rowmill.command('audit', '--json', '--wait', '60')
  assert.equal(code, 0, `${out}\n${err}\n${rowmill.printed}`)
  assert.deepEqual(await countFates(rowmill.url, apiKey, load), { lost: 0, twice: 0, unknown: 0 })
})

test('a second start on the folder says who has it, and a second signal ends the program at once', async () => {
  await using dir = await tempDir('rowmill-stop-')
  const port = 20_000 + ((process.pid + 1) % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey })
  await rowmill.start()
  const { code, err } = await rowmill.command('serve', '--port', '0')
  assert.equal(code, 1)
  assert.match(err, new RegExp(`LOG_LOCKED: .* is open in process ${rowmill.pid};`))
  assert.ok(await rowmill.isReady())

  // Without its engine's answer the stop takes its time, so that the second signal finds it stopping.
  const { clickhouse } = await rowmill.engines()
  const { pid } = rowmill
  assert.ok(clickhouse !== undefined && pid !== undefined)
  process.kill(clickhouse, 'SIGSTOP')
  const ended = rowmill.end('SIGTERM')
  await waitFor(async () => !(await rowmill.isReady().catch(() => false)))
  let exitCode: number | null | undefined
  const watched = ended.then((code) => {
    exitCode = code
  })
  await waitFor(() => {
    if (exitCode === undefined) process.kill(pid, 'SIGINT')
    return exitCode !== undefined
  })
  await watched
  assert.equal(exitCode, 130)
  process.kill(clickhouse, 'SIGKILL')
  await rowmill.start()
})

test('a start that cannot be says why in a sentence and ends with 1', async () => {
  await using dir = await tempDir('rowmill-stop-')
  const file = join(dir.path, 'file')
  await writeFile(file, '')
  await using taken = createServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  assert.ok(address !== null && typeof address === 'object')
  const port = String(address.port)
  const rowmill = new RowmillProcess({ dataDir: dir.path, port: 0, token, apiKey })
  const starts: [parameters: string[], says: RegExp][] = [
    [['--port', port], new RegExp(`PORT_UNUSABLE: Listening on 127.0.0.1:${port} failed: another program`)],
    [['--data-dir', join(file, 'data')], /DATA_DIR_UNUSABLE: The data folder .* cannot be made or written/],
    [
      ['--roles', 'captain'],
      /CONFIG_INVALID: There is no role captain; set roles to some of capture, ingest/,
    ],
    [['--set', 'port=many'], /CONFIG_INVALID: port \(flag .*\) must be a number, but it is "many"\./],
  ]
  for (const [parameters, says] of starts) {
    const { code, err } = await rowmill.command('serve', ...parameters)
    assert.equal(code, 1, err)
    assert.match(err, says)
    assert.doesNotMatch(err, /^ {4}at /m)
  }
  // The taken port was noticed before any engine was made.
  assert.deepEqual((await readdir(dir.path)).sort(), ['file', 'log'])
})
