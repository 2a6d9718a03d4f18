/** Ten processes that start at once on empty engines make everything once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capture, noFleet, openFleet } from '../../support/fleet-processes.ts'

test('ten processes at once make the tables, the project and the key once', { skip: noFleet }, async () => {
  await using fleet = await openFleet({ environment: { ROWMILL_STREAM_JOIN_WAIT_MS: '5000' } })
  const roles = ['capture', ...Array.from({ length: 3 }, () => ['ingest', 'datasets', 'api']).flat()]
  const members = await Promise.all(roles.map((role) => fleet.start(role)))
  const [taking] = members
  assert.ok(taking)
  const { out } = await fleet.command('keys', '--json')
  const { projects, keys } = JSON.parse(out) as { projects: { token: string }[]; keys: { label: string }[] }
  assert.deepEqual(
    projects.map(({ token }) => token),
    [fleet.token],
  )
  assert.deepEqual(
    keys.map(({ label }) => label),
    ['from ROWMILL_API_KEY'],
  )
  const again = await fleet.command('migrate', '--json')
  assert.deepEqual(JSON.parse(again.out), { database: [], warehouse: [] })
  const events = [{ event: 'first', distinct_id: 'ann', properties: {} }]
  assert.equal((await capture(taking.url, fleet.token, events)).status, 200)
  const audit = await fleet.command('audit', '--json', '--wait', '90')
  assert.equal(audit.code, 0, audit.out + audit.err)
  for (const { printed } of members) assert.doesNotMatch(printed, /"level":(50|60)/)
})
