/**
 * Starts the README's start command on an empty folder, sends one event as a newcomer would, and waits until
 * SQL finds it. Prints how long each took.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const folder = await mkdtemp(join(tmpdir(), 'rowmill-smoke-'))
const port = 18_000 + (process.pid % 10_000)
const url = `http://127.0.0.1:${port}`
const startedAt = performance.now()
const program = spawn('npm', ['start'], {
  stdio: ['ignore', 'pipe', 'pipe'],
  detached: true,
  env: {
    ...process.env,
    PORT: String(port),
    ROWMILL_DATA_DIR: folder,
    ROWMILL_PROJECT_TOKEN: 'phc_smoke',
    ROWMILL_API_KEY: 'phx_smoke',
  },
})
let printed = ''
program.stdout.on('data', (chunk: Buffer) => {
  printed += chunk.toString()
})
program.stderr.on('data', (chunk: Buffer) => {
  printed += chunk.toString()
})

async function until<T>(what: string, withinMs: number, attempt: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    const found = await attempt().catch(() => undefined)
    if (found !== undefined) return found
    await sleep(20)
  }
  throw new Error(`${what} did not happen within ${withinMs} ms; the program printed:\n${printed}`)
}

try {
  await until('readiness', 60_000, async () => ((await fetch(`${url}/_readiness`)).ok ? true : undefined))
  const readyMs = Math.round(performance.now() - startedAt)
  const sentAt = performance.now()
  const sent = await fetch(`${url}/i/v0/e/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      api_key: 'phc_smoke',
      event: 'smoke',
      distinct_id: 'first-user',
      properties: { plan: 'free' },
    }),
  })
  assert.equal(sent.status, 200, await sent.text())
  const rows = await until('the row', 30_000, async () => {
    const answer = await fetch(`${url}/api/projects/1/query`, {
      method: 'POST',
      headers: { authorization: 'Bearer phx_smoke', 'content-type': 'application/json' },
      body: JSON.stringify({
        query: { kind: 'HogQLQuery', query: "select distinct_id from events where event = 'smoke'" },
      }),
    })
    const { results } = (await answer.json()) as { results?: unknown[][] }
    return results !== undefined && results.length > 0 ? results : undefined
  })
  assert.deepEqual(rows, [['first-user']])
  process.stdout.write(
    `ready after ${readyMs} ms, queryable ${Math.round(performance.now() - sentAt)} ms after it was sent\n`,
  )
} finally {
  if (program.pid !== undefined && program.exitCode === null) {
    process.kill(-program.pid, 'SIGTERM')
    await once(program, 'exit')
  }
  // npm may be gone a moment before the engines have let go of their files.
  await rm(folder, { recursive: true, force: true, maxRetries: 40, retryDelay: 100 })
}
