/** What operators and other programs do with storages, through the whole program: errors, and changes of them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startRowmill } from '../support/rowmill.ts'
import { rowmill, untilRow } from '../support/visits.ts'
import { waitFor } from '../support/wait-for.ts'

const payload = (path: string) =>
  readFileSync(new URL(`../processors/payloads/${path}`, import.meta.url), 'utf8')

const error = (groupId: number, eventId: string) => {
  const message = JSON.parse(payload('errors/everyday-message.json')) as [
    number,
    string,
    Record<string, unknown>,
  ]
  const now = `${new Date().toISOString().slice(0, 19)}.000000Z`
  message[2] = { ...message[2], group_id: groupId, event_id: eventId, datetime: now }
  return message
}
const eventId = (number: number) => number.toString(16).padStart(32, '0')

test('errors become rows, replacements change them, dead letters are replayed, options take effect, tests write', async () => {
  await using program = await startRowmill({
    settings: {
      'consumer.storages': '["errors","metrics_raw"]',
      'consumer.replacer.memoryBytesMax': '500000000',
      'consumer.testing.isEnabled': 'true',
      'consumer.deadLetters.pollIntervalMs': '200',
    },
  })
  const run = async (...words: string[]) => {
    const { code, out, err } = await rowmill(program.dataDir, words)
    assert.equal(code, 0, `${words.join(' ')}: ${out}${err}`)
    return JSON.parse(out)
  }
  const post = async (topic: string, values: unknown[]) => {
    const records = values.map((value) => ({ value }))
    assert.equal((await program.api('POST', `/api/topics/${topic}/records`, { records })).status, 201)
  }
  const left = 'select count() from errors_local final where not deleted'
  const asked = (sql: string, row: unknown[]) => untilRow(program.dataDir, sql, row)

  await post('events', [error(1, eventId(1)), error(1, eventId(2)), error(2, eventId(3))])
  await asked(left, [3])
  const later = { project_id: 1701, datetime: '2100-01-01T00:00:00.000000Z' }
  await post('events', [
    [2, 'start_delete_groups', { ...later, group_ids: [1] }],
    [2, 'end_delete_groups', { ...later, group_ids: [1] }],
    [2, 'end_merge', { ...later, previous_group_ids: [2], new_group_id: 7 }],
  ])
  await asked(left, [1])
  await asked('select group_id from errors_local final where not deleted', [7])

  await post('events', [{ broken: true }])
  const letters = await waitFor(
    async () => {
      const found = await run('dlq', 'list', '--storage', 'errors')
      return found.length === 1 && found
    },
    { withinMs: 30_000, what: 'the dead letter' },
  )
  const [letter] = letters
  assert.deepEqual([letter.reason, letter.source], ['invalid_message', 'events/0/6'])
  const shown = await run('dlq', 'show', letter.place)
  assert.equal(shown.value, '{"broken":true}')
  assert.notEqual(shown.stack, '')
  assert.deepEqual(await run('dlq', 'replay', letter.place), {
    action: 'replay',
    asked: 1,
    handled: 1,
    open: 0,
    errors: [],
  })
  const again = await waitFor(
    async () => {
      const [next] = await run('dlq', 'list', '--storage', 'errors')
      return next?.place !== letter.place && next
    },
    { withinMs: 30_000, what: 'the replayed message to fail again' },
  )
  assert.equal(again.source, 'events/0/7')
  assert.equal((await run('dlq', 'drop', '--storage', 'errors')).handled, 1)
  assert.deepEqual(await run('dlq', 'list', '--storage', 'errors'), [])

  await run('option', 'set', 'replacements_bypass_projects', '[1701]')
  await waitFor(
    async () => {
      await post('events', [[2, 'end_merge', { ...later, previous_group_ids: [7], new_group_id: 9 }]])
      const [skipped] = await run(
        'query',
        "select count() as n from ledger where stage = 'replacer-errors' and toString(reasons) like '%bypassed%'",
      )
      return skipped.n !== '0'
    },
    { withinMs: 30_000, what: 'the replacement to be bypassed' },
  )

  const counter = payload('metrics_raw/everyday-counter.json')
  const answer = await fetch(`${program.url}/tests/storages/metrics_raw/insert`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'rowmill-namespace': 'here' },
    body: `[${counter}]`,
  })
  const told = (await answer.json()) as { rows: number; database: string }
  assert.deepEqual([told.rows, told.database], [1, 'rowmill_tests_here'])
  const rows = await run('query', 'select count() as n from `rowmill_tests_here`.metrics_raw_v2_local')
  assert.deepEqual(rows, [{ n: '1' }])
  await asked('select count() from metrics_raw_v2_local', [0])
})
