/**
 * The disk fills up under load, the engines die on it, and then there is room again: capture answers 503 with
 * Retry-After meanwhile, nothing acknowledged is lost, and everything goes on without a restart.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { fill, openSmallDisk } from '../support/small-disk.ts'
import { countFates, startSteadyLoad } from '../support/steady-load.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const run = promisify(execFile)
const apiKey = 'phx_disk'
const token = 'phc_disk'

test('a full disk loses nothing that was acknowledged, and all goes on when there is room again', async (context) => {
  await using dir = await tempDir('rowmill-disk-')
  await using disk = await openSmallDisk(dir.path, 160)
  if (disk === undefined) {
    context.skip('a tmpfs cannot be mounted here: it takes root on Linux')
    return
  }
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: join(dir.path, 'data'), port, token, apiKey })
  await rowmill.start()
  await using load = startSteadyLoad(rowmill.url, { token, senders: 2, fillerBytes: 5_000 })
  await waitFor(() => load.acknowledged.size >= 200, { withinMs: 60_000, what: 'the first events' })

  const ballast = join(dir.path, 'ballast')
  await waitFor(
    async () => {
      await fill(ballast)
      return (load.answers.get(503) ?? 0) >= 20
    },
    { withinMs: 60_000, what: 'capture to refuse' },
  )
  const says = await waitFor(
    async () => {
      await fill(ballast)
      const answer = await fetch(`${rowmill.url}/_readiness`)
      return answer.status === 503 && (await answer.text())
    },
    { withinMs: 60_000, what: 'readiness to tell' },
  )
  assert.match(says, /"ready":false.*"log":"The disk that holds the log is (almost )?full/)
  assert.equal((await fetch(`${rowmill.url}/_liveness`)).status, 200)
  // It may have died of the full disk by itself, and be down just now.
  const { postgres } = await rowmill.engines()
  if (postgres !== undefined) process.kill(postgres, 'SIGKILL')
  await fill(ballast)
  await waitFor(async () => !(await rowmill.isReady()), { withinMs: 60_000, what: 'it to be unready' })

  await rm(ballast)
  await run('mount', ['-o', 'remount,size=1g', dir.path])
  const before = load.acknowledged.size
  await waitFor(() => load.acknowledged.size >= before + 100, {
    withinMs: 60_000,
    what: 'capture to accept again',
  })
  await waitFor(() => rowmill.isReady(), { withinMs: 60_000, what: 'it to be ready again' })
  await load.stop()
  assert.equal(load.withoutRetryAfter, 0)
  assert.deepEqual([...load.answers.keys()].sort(), [200, 503], rowmill.printed)

  const { code, out, err } = await rowmill.command('audit', '--json', '--wait', '60')
  assert.equal(code, 0, `${out}\n${err}\n${rowmill.printed}`)
  assert.deepEqual(await countFates(rowmill.url, apiKey, load), { lost: 0, twice: 0, unknown: 0 })
})
