/** An event that is sent twice is one row, also when its partition has moved to another process in between. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { capture, type Fleet, noFleet, openFleet } from '../../support/fleet-processes.ts'
import { waitFor } from '../../support/wait-for.ts'

const environment = { ROWMILL_LOG_CAPTURED_PARTITIONS: '3', ROWMILL_KAFKA_SESSION_TIMEOUT_MS: '6000' }

function eventsOf(uuids: readonly string[]) {
  return uuids.map((uuid, index) => ({
    uuid,
    event: 'twice',
    distinct_id: `user ${index}`,
    properties: { index },
  }))
}

async function rowsOf(fleet: Fleet): Promise<[rows: number, uuids: number]> {
  const { out } = await fleet.command(
    'query',
    '--json',
    "select count() as rows, uniqExact(uuid) as uuids from events where event = 'twice'",
  )
  const [row] = JSON.parse(out) as { rows: string; uuids: string }[]
  return [Number(row?.rows), Number(row?.uuids)]
}

async function audited(fleet: Fleet) {
  const { code, out, err } = await fleet.command('audit', '--json', '--wait', '90')
  assert.equal(code, 0, `${out}\n${err}`)
  return JSON.parse(out) as { drops: Record<string, number> }
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  test(`what one process has accepted another knows after ${signal}`, { skip: noFleet }, async () => {
    await using fleet = await openFleet({ environment })
    const [taking, first] = await Promise.all(
      ['capture', 'ingest', 'datasets'].map((roles) => fleet.start(roles)),
    )
    assert.ok(taking && first)
    const uuids = Array.from({ length: 60 }, () => randomUUID())
    assert.equal((await capture(taking.url, fleet.token, eventsOf(uuids))).status, 200)
    await waitFor(async () => (await rowsOf(fleet))[0] === 60, { withinMs: 60_000, what: 'the first rows' })
    await first.end(signal)
    await fleet.start('ingest', { isAwaited: false })
    assert.equal((await capture(taking.url, fleet.token, eventsOf(uuids))).status, 200)
    assert.deepEqual((await audited(fleet)).drops, { duplicate: 60 })
    assert.deepEqual(await rowsOf(fleet), [60, 60])
  })
