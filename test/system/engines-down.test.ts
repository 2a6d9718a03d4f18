/** The engines die under load: capture goes on, nothing acknowledged is lost, everything comes back by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { countFates, startSteadyLoad } from '../support/steady-load.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const apiKey = 'phx_engines'
const token = 'phc_engines'

test('killed engines are started again, capture answers meanwhile, and every event has one row', async () => {
  await using dir = await tempDir('rowmill-engines-')
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey })
  await rowmill.start()
  await using load = startSteadyLoad(rowmill.url, { token, senders: 2, pauseMs: 10 })
  const more = async (count: number): Promise<void> => {
    const from = load.acknowledged.size
    await waitFor(() => load.acknowledged.size >= from + count, { what: `${count} more events` })
  }
  await more(100)
  for (const names of [['clickhouse'], ['postgres'], ['clickhouse', 'postgres']] as const) {
    const before = await rowmill.engines()
    for (const name of names) {
      const pid = before[name]
      assert.ok(pid !== undefined, `${name} runs`)
      process.kill(pid, 'SIGKILL')
    }
    await more(100)
    await waitFor(
      async () => {
        const now = await rowmill.engines()
        const areNew = names.every((name) => now[name] !== undefined && now[name] !== before[name])
        return areNew && (await rowmill.isReady())
      },
      { withinMs: 30_000, what: `${names.join(' and ')} to be back` },
    )
  }
  await load.stop()
  assert.deepEqual([...load.answers.keys()], [200])

  const { code, out, err } = await rowmill.command('audit', '--json', '--wait', '60')
  assert.equal(code, 0, `${out}\n${err}\n${rowmill.printed}`)
  assert.deepEqual(await countFates(rowmill.url, apiKey, load), { lost: 0, twice: 0, unknown: 0 })
})

test('an engine that hangs makes Rowmill unready, but neither capture nor the readiness hangs with it', async () => {
  await using dir = await tempDir('rowmill-engines-')
  const port = 20_000 + ((process.pid + 1) % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey })
  await rowmill.start()
  const { clickhouse } = await rowmill.engines()
  assert.ok(clickhouse !== undefined)
  process.kill(clickhouse, 'SIGSTOP')
  try {
    const answer = await fetch(`${rowmill.url}/_readiness`, { signal: AbortSignal.timeout(30_000) })
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /"database":"ok","warehouse":"did not answer/)
    await using load = startSteadyLoad(rowmill.url, { token, senders: 1 })
    await waitFor(() => load.acknowledged.size >= 50)
    await load.stop()
    assert.deepEqual([...load.answers.keys()], [200])
  } finally {
    process.kill(clickhouse, 'SIGCONT')
  }
  await waitFor(() => rowmill.isReady(), { what: 'it to be ready again' })
})
