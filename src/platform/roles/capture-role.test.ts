/** What the settings put in the log's place or behind it, in the running program. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { startRowmill } from '../../../test/support/rowmill.ts'
import { tempDir } from '../../../test/support/temp-dir.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { openEmbeddedBlobs } from '../../adapters/embedded/blobs.ts'
import { createSystemRandom } from '../../adapters/embedded/random.ts'
import { encodeRecords, joinObject } from '../../capture/fallback/object-format.ts'
import { topics } from '../../event/topics.ts'
import type { Blobs } from '../../ports/blobs.ts'

const uuid = '0198c0de-0000-7000-8000-00000000000f'
const event = { event: 'paid', distinct_id: 'd', uuid, properties: {} }

async function post(url: string): Promise<number> {
  const body = JSON.stringify({ api_key: 'phc_test', ...event })
  const { status } = await fetch(`${url}/i/v0/e`, { method: 'POST', body })
  return status
}

/** Twice the object of an event as capture writes it to the fallback. */
async function leaveObjects(dataDir: string): Promise<void> {
  const now = new Date().toISOString()
  const message = {
    uuid,
    distinct_id: 'd',
    ip: '127.0.0.1',
    data: JSON.stringify(event),
    now,
    token: 'phc_test',
    event: 'paid',
    timestamp: now,
  }
  const headers = {
    token: 'phc_test',
    distinct_id: 'd',
    session_id: null,
    timestamp: String(Date.now()),
    event: 'paid',
    uuid,
    now,
    force_disable_person_processing: null,
    historical_migration: null,
  }
  const value = Buffer.from(JSON.stringify(message))
  const records = [{ topic: topics.captured, key: 'phc_test:d', value, headers }]
  await using blobs = await openBlobs(dataDir)
  for (const number of ['00000000', '00000001'])
    await blobs.put(
      `capture-fallback/2026/01/01/1767225600000-${number}-aaaaaaaa.ndjson`,
      joinObject([encodeRecords(records)]),
    )
}

function openBlobs(dataDir: string): Promise<Blobs> {
  return openEmbeddedBlobs({ directory: join(dataDir, 'blobs'), random: createSystemRandom() })
}

async function countLeft(dataDir: string): Promise<number> {
  await using blobs = await openBlobs(dataDir)
  let count = 0
  for await (const _object of blobs.list('capture-fallback')) count++
  return count
}

suite('the capture role', () => {
  test('an object that is brought twice, as after a crash, makes one row and one written reason', async () => {
    await using dir = await tempDir('rowmill-fallback-')
    await leaveObjects(dir.path)
    const settings = { 'capture.fallback.isEnabled': 'true', 'capture.fallback.probeIntervalMs': '20' }
    await using rowmill = await startRowmill({ dataDir: dir.path, settings })
    await rowmill.until(
      `SELECT reason FROM drops WHERE uuid = '${uuid}'`,
      (rows) => rows.length === 1 && rows[0]?.[0] === 'duplicate',
    )
    await rowmill.until('SELECT count() FROM events', (rows) => rows[0]?.[0] === 1)
    await waitFor(async () => (await countLeft(dir.path)) === 0)
  })

  test('a full log is told by readiness and refuses nobody while the fallback stands in', async () => {
    await using dir = await tempDir('rowmill-fallback-')
    const small = { 'log.bytesMax': '2000000', 'log.segmentBytes': '65536', 'stream.batchBytesMax': '65536' }
    const settings = {
      ...small,
      // Nothing settles what is captured, so the log stays full.
      roles: 'capture,api',
      isPartialAllowed: 'true',
      'capture.fallback.isEnabled': 'true',
      'capture.fallback.probeIntervalMs': '50',
      logLevel: 'silent',
    }
    const events = 40
    {
      await using rowmill = await startRowmill({ dataDir: dir.path, settings })
      for (let count = 0; count < events; count++) {
        const properties = { filler: 'x'.repeat(100_000) }
        const body = JSON.stringify({ api_key: 'phc_test', event: 'large', distinct_id: 'd', properties })
        assert.equal((await fetch(`${rowmill.url}/i/v0/e`, { method: 'POST', body })).status, 200)
      }
      const ready = await fetch(`${rowmill.url}/_readiness`)
      const { engines } = (await ready.json()) as { engines: { log: string } }
      assert.deepEqual([ready.status, engines.log === 'ok'], [200, false])
    }
    assert.ok((await countLeft(dir.path)) > 0)
    await using rowmill = await startRowmill({
      dataDir: dir.path,
      settings: { ...settings, roles: 'capture,ingest,datasets,api' },
    })
    await rowmill.until('SELECT count() FROM events', (rows) => rows[0]?.[0] === events, 60_000)
    assert.equal(await countLeft(dir.path), 0)
  })

  test('with the sink print the program says that it keeps nothing, and is neither ready nor alive', async () => {
    const settings = { 'capture.sink': 'print', logLevel: 'silent' }
    await using rowmill = await startRowmill({ settings })
    const ready = await fetch(`${rowmill.url}/_readiness`)
    const told = (await ready.json()) as { ready: boolean; sink: string }
    assert.deepEqual([ready.status, told.ready], [503, false])
    assert.match(told.sink, /lost: the sink is print/)
    assert.equal((await fetch(`${rowmill.url}/_liveness`)).status, 500)
    assert.equal(await post(rowmill.url), 200)
  })
})
