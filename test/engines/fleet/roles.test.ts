/** A fleet does what one process does: two processes of every role, and commands that only know the addresses. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { capture, noFleet, openFleet } from '../../support/fleet-processes.ts'

const event = (uuid: string, distinctId: string, more: Record<string, unknown> = {}) => ({
  uuid,
  event: 'visit',
  distinct_id: distinctId,
  properties: {},
  ...more,
})

test('two processes of each role share the work, and the audit is green', { skip: noFleet }, async () => {
  await using fleet = await openFleet({
    environment: { ROWMILL_LOG_CAPTURED_PARTITIONS: '4', ROWMILL_LOG_READY_PARTITIONS: '2' },
  })
  const members = await Promise.all(
    ['capture', 'capture', 'ingest', 'ingest', 'datasets', 'datasets', 'api'].map((roles) =>
      fleet.start(roles),
    ),
  )
  const [first, second, ingest, , datasets, , api] = members
  assert.ok(first && second && ingest && datasets && api)
  const engines = async (member: typeof first) => Object.keys((await member.readiness()).body.engines)
  assert.deepEqual(await engines(first), ['log', 'cache'])
  assert.deepEqual(await engines(ingest), ['log', 'cache', 'database'])
  assert.deepEqual(await engines(datasets), ['log', 'database', 'warehouse'])

  const uuids = Array.from({ length: 400 }, () => randomUUID())
  for (let at = 0; at < uuids.length; at += 40) {
    const batch = uuids.slice(at, at + 40).map((uuid, index) => event(uuid, `user ${index}`))
    // Each batch is sent to both: a client that tried again elsewhere.
    assert.equal((await capture(first.url, fleet.token, batch)).status, 200)
    assert.equal((await capture(second.url, fleet.token, batch)).status, 200)
  }
  const { code, out, err } = await fleet.command('audit', '--json', '--wait', '120')
  assert.equal(code, 0, `${out}\n${err}\n${members.map(({ printed }) => printed).join('\n')}`)
  const report: { captured: number; rows: number; drops: Record<string, number> } = JSON.parse(out)
  assert.deepEqual([report.captured, report.rows, report.drops], [800, 400, { duplicate: 400 }])
  const persons = await fleet.command('query', '--json', 'select count() as persons from person')
  assert.match(persons.out, /40/)
})
