import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase } from '../../test/support/database.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import type { Database } from '../ports/database.ts'
import { teamsConfig } from './config.ts'
import { createTeams } from './teams.ts'

async function setup() {
  const opened = await openTestDatabase()
  const statements: string[] = []
  const database: Database = Object.assign(Object.create(opened.database), {
    query: (text: string, values: readonly unknown[]) => {
      statements.push(text)
      return opened.database.query(text, values)
    },
  })
  const clock = createManualClock()
  const teams = createTeams(
    { database, clock },
    teamsConfig.parse({ refreshIntervalMs: 1000, unknownTtlMs: 100 }),
  )
  const addTeam = (token: string) =>
    opened.database.execute(
      "insert into posthog_team (project_id, name, api_token, timezone) values (7, 'Shop', $1, 'Asia/Tokyo')",
      [token],
    )
  return {
    database: opened.database,
    teams,
    clock,
    statements,
    addTeam,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

test('the teams of a batch are read with one statement and then remembered', async () => {
  await using its = await setup()
  await its.addTeam('phc_a')
  await its.addTeam('phc_b')
  const found = await its.teams.resolve(['phc_a', 'phc_b', 'phc_a', 'phc_none'])
  assert.deepEqual([...found.keys()].sort(), ['phc_a', 'phc_b'])
  assert.equal(found.get('phc_a')?.timezone, 'Asia/Tokyo')
  assert.equal(found.get('phc_a')?.projectId, 7)
  assert.equal(found.get('phc_a')?.cookieless, 'disabled')
  assert.equal(found.get('phc_a')?.isHeatmapOn, true)
  await its.teams.resolve(['phc_a', 'phc_none'])
  assert.equal(its.statements.length, 1)
})

test('a change takes effect after the refresh interval, a new team after a moment', async () => {
  await using its = await setup()
  await its.addTeam('phc_a')
  await its.teams.resolve(['phc_a', 'phc_late'])
  await its.addTeam('phc_late')
  await its.database.execute(
    "update posthog_team set anonymize_ips = true, cookieless_server_hash_mode = 2 where api_token = 'phc_a'",
  )
  await its.clock.advance(200)
  const soon = await its.teams.resolve(['phc_a', 'phc_late'])
  assert.equal(soon.has('phc_late'), true)
  assert.equal(soon.get('phc_a')?.isIpAnonymized, false)
  await its.clock.advance(1000)
  const later = await its.teams.resolve(['phc_a'])
  assert.equal(later.get('phc_a')?.isIpAnonymized, true)
  assert.equal(later.get('phc_a')?.cookieless, 'stateful')
})

test('a change that is told of takes effect at once, also when the settings were just being read', async () => {
  await using its = await setup()
  await its.addTeam('phc_a')
  const change = (isOn: boolean) =>
    its.database.execute("update posthog_team set anonymize_ips = $1 where api_token = 'phc_a'", [isOn])
  const isOn = async () => (await its.teams.resolve(['phc_a'])).get('phc_a')?.isIpAnonymized
  assert.equal(await isOn(), false)
  await change(true)
  assert.equal(await isOn(), false)
  its.teams.forget('phc_a')
  const reading = isOn()
  its.teams.forget('phc_a')
  await reading
  await change(false)
  assert.equal(await isOn(), false)
})

test("a project that is told of has its first event, although its token was nobody's before", async () => {
  await using its = await setup()
  assert.equal((await its.teams.resolve(['phc_new'])).size, 0)
  await its.addTeam('phc_new')
  its.teams.forget('phc_new')
  assert.equal((await its.teams.resolve(['phc_new'])).size, 1)
})

test('a token that no project can have is nobody without a question', async () => {
  await using its = await setup()
  const found = await its.teams.resolve(['', 'phc_\0', 'x'.repeat(65)])
  assert.deepEqual([found.size, its.statements.length], [0, 0])
})

test('the first event of a team is noted once', async () => {
  await using its = await setup()
  await its.addTeam('phc_a')
  const team = (await its.teams.resolve(['phc_a'])).get('phc_a')
  assert.equal(team?.hasIngested, false)
  await its.teams.markIngested(team === undefined ? [] : [team])
  assert.equal(team?.hasIngested, true)
  const rows = await its.database.query<{ ingested_event: boolean }>(
    'select ingested_event from posthog_team',
  )
  assert.deepEqual(rows, [{ ingested_event: true }])
})
