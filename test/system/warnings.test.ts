/** Warnings from capture and from SDKs, on their whole way to rows of ingestion_warnings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRowmill } from '../support/rowmill.ts'

test('what capture and an SDK warn of becomes rows that say what was wrong', async () => {
  await using rowmill = await startRowmill({ settings: { 'capture.warnings.isEnabled': 'true' } })
  const post = (path: string, body: unknown) =>
    fetch(`${rowmill.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const api_key = rowmill.token
  const cutId = 'x'.repeat(250)
  const sent = await post('/batch/', {
    api_key,
    batch: [{ event: 'cut', distinct_id: cutId, properties: { $lib: 'web', $lib_version: '1.2.3' } }],
  })
  assert.equal(sent.status, 200)
  assert.equal((await post('/e/', { api_key, event: '', distinct_id: 'a' })).status, 400)
  assert.equal((await post('/e/', { api_key, event: 'e', distinct_id: ' ' })).status, 400)
  const warned = await post('/e/', {
    api_key,
    event: '$$client_ingestion_warning',
    distinct_id: 'ada',
    properties: { $$client_ingestion_warning_message: 'the queue was full' },
  })
  assert.equal(warned.status, 200)

  const rows = await rowmill.until<[string, string, string]>(
    'select type, source, details from ingestion_warnings order by type',
    (found) => found.length >= 4,
  )
  const details = new Map(rows.map(([type, , text]) => [type, JSON.parse(text) as Record<string, unknown>]))
  assert.deepEqual(
    [...details.keys()],
    ['client_ingestion_warning', 'distinct_id_truncated', 'missing_distinct_id', 'missing_event_name'],
  )
  assert.deepEqual(
    new Map(rows.map(([type, source]) => [type, source])).get('distinct_id_truncated'),
    'capture',
  )
  assert.equal(details.get('client_ingestion_warning')?.message, 'the queue was full')
  assert.equal(details.get('client_ingestion_warning')?.distinctId, 'ada')
  const truncated = details.get('distinct_id_truncated')
  assert.equal(truncated?.distinct_id_truncated_from, 250)
  assert.deepEqual([truncated?.lib, truncated?.libVersion, truncated?.path], ['web', '1.2.3', '/batch'])
  assert.equal(details.get('missing_event_name')?.path, '/e')

  // A warning is no event, and the ledger knows why.
  assert.deepEqual(await rowmill.query("select count() from events where event like '$$%'"), [[0]])
  const reasons = await rowmill.until<[string]>(
    "select reason from drops where event = '$$client_ingestion_warning'",
    (found) => found.length === 4,
  )
  assert.deepEqual([...new Set(reasons.flat())], ['client_warning'])
  assert.deepEqual(await rowmill.query("select length(distinct_id) from events where event = 'cut'"), [[200]])
})

test('capture keeps its warnings to itself unless they are switched on, those of SDKs come through', async () => {
  await using rowmill = await startRowmill()
  const post = (body: unknown) =>
    fetch(`${rowmill.url}/e/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const api_key = rowmill.token
  assert.equal((await post({ api_key, event: '', distinct_id: 'a' })).status, 400)
  await post({
    api_key,
    event: '$$client_ingestion_warning',
    distinct_id: 'ada',
    properties: { $$client_ingestion_warning_message: 'hello' },
  })
  const rows = await rowmill.until<[string]>(
    'select type from ingestion_warnings',
    (found) => found.length > 0,
  )
  assert.deepEqual(rows, [['client_ingestion_warning']])
})
