/** Engines that are away for a while: capture says so and loses nothing, consumers wait and go on by themselves. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { capture, noFleet, openFleet } from '../../support/fleet-processes.ts'
import { waitFor } from '../../support/wait-for.ts'

const quick = {
  ROWMILL_KAFKA_APPEND_TIMEOUT_MS: '2000',
  ROWMILL_KAFKA_OPERATION_TIMEOUT_MS: '3000',
  ROWMILL_KAFKA_CONNECT_TIMEOUT_MS: '1000',
  ROWMILL_KAFKA_SESSION_TIMEOUT_MS: '10000',
}
const event = () => ({ uuid: randomUUID(), event: 'away', distinct_id: 'ann', properties: {} })
const slow = { withinMs: 120_000 }

test('while Kafka is away capture answers 503 and all go on when it is back', { skip: noFleet }, async () => {
  await using fleet = await openFleet({ isOwn: true, environment: quick })
  const [taking, ingest, datasets] = await Promise.all(
    ['capture', 'ingest', 'datasets'].map((roles) => fleet.start(roles)),
  )
  assert.ok(taking && ingest && datasets)
  const send = () => capture(taking.url, fleet.token, [event()])
  assert.equal((await send()).status, 200)
  await fleet.kafka.stop('SIGKILL')
  const refused = await send()
  assert.equal(refused.status, 503)
  assert.match(refused.retryAfter ?? '', /^\d+$/)
  const { status, body } = await ingest.readiness()
  assert.equal(status, 503)
  assert.notEqual(body.engines.log, 'ok')
  assert.equal(body.engines.database, 'ok')
  // It is no fault of the processes: nobody has to start them again.
  assert.equal((await fetch(`${ingest.url}/_liveness`)).status, 200)
  await fleet.kafka.start()
  const [accepted] = await waitFor(async () => {
    const answer = await send()
    return answer.status === 200 && [answer]
  }, slow)
  assert.equal(accepted?.status, 200)
  for (const member of [taking, ingest, datasets])
    await waitFor(async () => (await member.readiness()).status === 200, slow)
  const audit = await fleet.command('audit', '--json', '--wait', '120')
  assert.equal(audit.code, 0, audit.out + audit.err)
  assert.ok(!ingest.hasEnded && !datasets.hasEnded)
})

test('with the fallback events are taken while Kafka is away, and brought to it later', {
  skip: noFleet,
}, async () => {
  await using fleet = await openFleet({
    isOwn: true,
    environment: { ...quick, S3_FALLBACK_ENABLED: '1', ROWMILL_CAPTURE_FALLBACK_PROBE_INTERVAL_MS: '200' },
  })
  const taking = await fleet.start('capture')
  assert.equal((await capture(taking.url, fleet.token, [event()])).status, 200)
  await fleet.kafka.stop('SIGKILL')
  const events = Array.from({ length: 20 }, event)
  for (const one of events) assert.equal((await capture(taking.url, fleet.token, [one])).status, 200)
  assert.equal((await taking.readiness()).status, 200)
  await fleet.kafka.start()
  await Promise.all(['ingest', 'datasets'].map((roles) => fleet.start(roles)))
  await waitFor(async () => {
    const { out } = await fleet.command(
      'query',
      '--json',
      "select count() as rows, uniqExact(uuid) as uuids from events where event = 'away'",
    )
    const [row] = JSON.parse(out) as { rows: string; uuids: string }[]
    return row?.rows === '21' && row.uuids === '21'
  }, slow)
})

test('without Redis capture and ingest go on', { skip: noFleet }, async () => {
  await using fleet = await openFleet({ isOwn: true })
  const [taking, ingest] = await Promise.all(
    ['capture', 'ingest', 'datasets'].map((roles) => fleet.start(roles)),
  )
  assert.ok(taking && ingest)
  await fleet.redis.kill()
  for (let at = 0; at < 5; at++) assert.equal((await capture(taking.url, fleet.token, [event()])).status, 200)
  const { status, body } = await taking.readiness()
  assert.equal(status, 200)
  assert.notEqual(body.engines.cache, 'ok')
  const audit = await fleet.command('audit', '--json', '--wait', '120')
  assert.equal(audit.code, 0, audit.out + audit.err)
  await fleet.redis.start()
  await waitFor(async () => (await ingest.readiness()).body.engines.cache === 'ok', slow)
})

test('a start waits for engines that come up after it', { skip: noFleet }, async () => {
  await using fleet = await openFleet({
    isOwn: true,
    environment: { ...quick, ROWMILL_START_WAIT_MS: '180000' },
  })
  await fleet.kafka.stop()
  const taking = await fleet.start('capture', { isAwaited: false })
  const starting = await waitFor(() => taking.readiness(), slow)
  assert.equal(starting.status, 503)
  assert.equal((await capture(taking.url, fleet.token, [event()])).status, 503)
  await fleet.kafka.start()
  await taking.ready()
  assert.equal((await capture(taking.url, fleet.token, [event()])).status, 200)
})
