/**
 * Kills the whole program with -9 at random moments while it is under load, starts it again, and counts: every
 * acknowledged event has exactly one row, none has two, and the audit balances.
 *
 * ROWMILL_CRASH_ROUNDS sets the number of kills (default 5; `npm run test:crash` does 50), ROWMILL_CRASH_SEED
 * repeats a run's moments.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { createSeededRandom } from '../support/seeded-random.ts'
import { tempDir } from '../support/temp-dir.ts'

const rounds = Number(process.env.ROWMILL_CRASH_ROUNDS ?? 5)
const seed = Number(process.env.ROWMILL_CRASH_SEED ?? Math.floor(Date.now() % 1_000_000))
const token = 'phc_crash'

type Load = { acknowledged: Set<string>; sent: Set<string>; stop: () => Promise<void> }

/** Sends batches until it is stopped; a request without an answer is sent again, as SDKs do. */
function startLoad(url: string, senders: number): Load {
  const acknowledged = new Set<string>()
  const sent = new Set<string>()
  let isStopped = false
  let index = 0
  const sender = async (): Promise<void> => {
    while (!isStopped) {
      const batch = Array.from({ length: 10 }, () => {
        const number = index++
        const uuid = crypto.randomUUID()
        const isIdentify = number % 17 === 0
        return {
          uuid,
          event: isIdentify ? '$identify' : `crash ${number % 5}`,
          distinct_id: `user-${number % 40}`,
          properties: isIdentify
            ? { $anon_distinct_id: `anon-${number}`, $set: { last: number } }
            : { number, $set: { seen: number % 3 } },
        }
      })
      for (const { uuid } of batch) sent.add(uuid)
      while (!isStopped) {
        const isAccepted = await fetch(`${url}/batch/`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ api_key: token, batch }),
          signal: AbortSignal.timeout(5_000),
        }).then(
          async (answer) => (await answer.text()) !== '' && answer.status === 200,
          () => false,
        )
        if (isAccepted) {
          for (const { uuid } of batch) acknowledged.add(uuid)
          break
        }
        await sleep(20)
      }
    }
  }
  const running = Promise.all(Array.from({ length: senders }, sender))
  return {
    acknowledged,
    sent,
    async stop() {
      isStopped = true
      await running
    },
  }
}

test(`after ${rounds} kills under load every acknowledged event has exactly one row (seed ${seed})`, {
  timeout: 1_800_000,
}, async (context) => {
  const random = createSeededRandom(seed)
  await using dir = await tempDir('rowmill-crash-')
  // Below the range from which the system gives out ports, so that nobody takes it between two starts.
  const port = 20_000 + (process.pid % 12_000)
  await using rowmill = new RowmillProcess({
    dataDir: dir.path,
    port,
    token,
    apiKey: 'phx_crash',
    environment: { ROWMILL_LOG_RETENTION_CHECK_INTERVAL_MS: '1000' },
  })
  await rowmill.start()
  const load = startLoad(rowmill.url, 4)
  const restarts: number[] = []
  for (let round = 0; round < rounds; round++) {
    await sleep(100 + random.next() * 1500)
    await rowmill.end('SIGKILL')
    restarts.push(await rowmill.start())
  }
  await sleep(300)
  await load.stop()

  const { code, out, err } = await rowmill.command('audit', '--json', '--wait', '60')
  assert.equal(code, 0, `${out}\n${err}\n${rowmill.printed}`)

  const answer = await fetch(`${rowmill.url}/api/projects/1/query`, {
    method: 'POST',
    headers: { authorization: 'Bearer phx_crash', 'content-type': 'application/json' },
    body: JSON.stringify({
      query: { kind: 'HogQLQuery', query: 'select toString(uuid), count() from events group by uuid' },
    }),
  })
  const { results } = (await answer.json()) as { results: [string, number][] }
  const rows = new Map(results.map(([uuid, count]) => [uuid, Number(count)]))
  const twice = [...rows].filter(([, count]) => count > 1)
  const lost = [...load.acknowledged].filter((uuid) => !rows.has(uuid))
  const unknown = [...rows.keys()].filter((uuid) => !load.sent.has(uuid))
  restarts.sort((left, right) => left - right)
  context.diagnostic(
    `${load.acknowledged.size} acknowledged, ${rows.size} rows, restart to ready ${Math.round(restarts[restarts.length >> 1] ?? 0)} ms (median)`,
  )
  assert.deepEqual(
    { lost: lost.length, twice: twice.length, unknown: unknown.length },
    { lost: 0, twice: 0, unknown: 0 },
  )
  assert.ok(load.acknowledged.size > 0)
})
