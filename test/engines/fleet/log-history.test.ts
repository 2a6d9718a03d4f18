/** From one process to a fleet by settings: the same tables, another log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capture, noFleet, openFleet } from '../../support/fleet-processes.ts'

const all = 'capture,ingest,datasets,api'
const onOwnLog = { KAFKA_HOSTS: '', REDIS_URL: '' }

function event(name: string, distinctId = 'ann') {
  return { event: name, distinct_id: distinctId, properties: { $set: { name } } }
}

test('events of the embedded log and of Kafka, at the same offsets, are rows of the same tables', {
  skip: noFleet,
}, async () => {
  await using fleet = await openFleet({ environment: { ROWMILL_LOG_CAPTURED_PARTITIONS: '1' } })
  const alone = await fleet.start(all, { environment: onOwnLog })
  assert.equal((await capture(alone.url, fleet.token, [event('before')])).status, 200)
  const first = await fleet.command('query', '--json', 'select 1')
  assert.equal(first.code, 0, first.err)
  await untilRows(fleet, 1)
  assert.equal(await alone.end('SIGTERM'), 0, alone.printed)

  const [taking] = await Promise.all(
    ['capture', 'ingest', 'datasets', 'api'].map((roles) => fleet.start(roles)),
  )
  assert.ok(taking)
  assert.equal((await capture(taking.url, fleet.token, [event('after')])).status, 200)
  const { code, out, err } = await fleet.command('audit', '--json', '--wait', '90')
  assert.equal(code, 0, `${out}\n${err}`)
  assert.deepEqual([JSON.parse(out).captured, JSON.parse(out).rows], [1, 1])
  await untilRows(fleet, 2)
})

test('a second PostgreSQL on the same Kafka is refused, and accepted when it is said', {
  skip: noFleet,
}, async () => {
  await using fleet = await openFleet()
  await fleet.start('ingest')
  const elsewhere = { DATABASE_URL: await fleet.postgres.createDatabase() }
  const stranger = await fleet.start('ingest', { environment: elsewhere, isAwaited: false })
  assert.equal(await stranger.ended(), 1)
  assert.match(stranger.printed, /LOG_FOREIGN: .* set DATABASE_URL to the one that the other processes use/)
  const heir = { ...elsewhere, ROWMILL_IS_LOG_ADOPTED: '1', ROWMILL_STREAM_JOIN_WAIT_MS: '1000' }
  await fleet.start('ingest', { environment: heir })
  await fleet.start('ingest', { environment: { ...elsewhere, ROWMILL_STREAM_JOIN_WAIT_MS: '1000' } })
})

async function untilRows(fleet: Awaited<ReturnType<typeof openFleet>>, rows: number): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt++) {
    const { out } = await fleet.command('query', '--json', 'select count() as rows from events')
    if (Number((JSON.parse(out) as { rows: string }[])[0]?.rows) === rows) return
  }
  assert.fail(`there were never ${rows} rows`)
}
