/** How a process of a fleet ends: gently at the first signal, quickly at the second, at once at the third. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noFleet, openFleet } from '../../support/fleet-processes.ts'
import { startSteadyLoad } from '../../support/steady-load.ts'
import { waitFor } from '../../support/wait-for.ts'

test('stops under load lose nothing, and each ends with 0', { skip: noFleet }, async () => {
  await using fleet = await openFleet({ environment: { ROWMILL_LOG_CAPTURED_PARTITIONS: '4' } })
  const [taking, other, ingest, datasets] = await Promise.all(
    ['capture', 'capture', 'ingest', 'datasets'].map((roles) => fleet.start(roles)),
  )
  assert.ok(taking && other && ingest && datasets)
  await using load = startSteadyLoad([taking.url, other.url], { token: fleet.token, senders: 2, pauseMs: 20 })
  await waitFor(() => load.acknowledged.size > 100, { withinMs: 60_000 })
  for (const member of [taking, ingest, datasets]) {
    assert.equal(await member.end('SIGTERM'), 0, member.printed)
    member.start()
    await member.ready()
  }
  await load.stop()
  assert.equal(load.withoutRetryAfter, 0)
  const audit = await fleet.command('audit', '--json', '--wait', '120')
  assert.equal(audit.code, 0, audit.out + audit.err)
  const { out } = await fleet.command(
    'query',
    '--json',
    'select uuid, count() as rows from events group by uuid',
  )
  const rows = new Map(
    (JSON.parse(out) as { uuid: string; rows: string }[]).map((row) => [row.uuid, row.rows]),
  )
  assert.deepEqual(
    [...load.acknowledged].filter((uuid) => rows.get(uuid) !== '1'),
    [],
  )
})

test('a second signal abandons what is in hand, and a third ends the process at once', {
  skip: noFleet,
}, async () => {
  await using fleet = await openFleet({
    isOwn: true,
    environment: { ROWMILL_SHUTDOWN_MS: '600000', ROWMILL_STREAM_DRAIN_MS: '600000' },
  })
  const [taking, ingest] = await Promise.all(['capture', 'ingest'].map((roles) => fleet.start(roles)))
  assert.ok(taking && ingest)
  await using load = startSteadyLoad(taking.url, { token: fleet.token, senders: 1, pauseMs: 5 })
  await waitFor(() => load.acknowledged.size > 50, { withinMs: 60_000 })
  // What is in hand cannot be finished, so that a gentle stop would take its ten minutes.
  fleet.postgres.pause()
  await waitFor(async () => (await ingest.readiness()).status === 503, { withinMs: 60_000 })
  ingest.signal('SIGTERM')
  await waitFor(async () => !(await isOpen(ingest.url)), { withinMs: 30_000 })
  assert.equal(ingest.hasEnded, false)
  await waitFor(
    () => {
      if (!ingest.hasEnded) ingest.signal('SIGINT')
      return ingest.hasEnded
    },
    { withinMs: 60_000 },
  )
  fleet.postgres.resume()
  await load.stop()
  ingest.start()
  await fleet.start('datasets')
  const audit = await fleet.command('audit', '--json', '--wait', '120')
  assert.equal(audit.code, 0, audit.out + audit.err)
})

async function isOpen(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/_readiness`, { signal: AbortSignal.timeout(5000) })
    return !('stopping' in ((await answer.json()) as object))
  } catch {
    return false
  }
}
