/** What a supervisor and a client hear while Rowmill starts, and while its log is full. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRowmill } from '../support/rowmill.ts'
import { RowmillProcess } from '../support/rowmill-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { waitFor } from '../support/wait-for.ts'

const token = 'phc_ready'

function post(url: string, fillerBytes = 0): Promise<Response> {
  return fetch(`${url}/i/v0/e/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      api_key: token,
      event: 'e',
      distinct_id: 'd',
      properties: { filler: 'x'.repeat(fillerBytes) },
    }),
  })
}

test('while the engines start it is alive and not ready, and events are asked to come again', async () => {
  await using dir = await tempDir('rowmill-ready-')
  const port = 20_000 + (process.pid % 20_000)
  await using rowmill = new RowmillProcess({ dataDir: dir.path, port, token, apiKey: 'phx_ready' })
  const starting = rowmill.start()
  const readiness = await waitFor(() => fetch(`${rowmill.url}/_readiness`))
  assert.equal(readiness.status, 503)
  assert.deepEqual(await readiness.json(), { ready: false, starting: true, engines: {} })
  const [alive, refused, root] = await Promise.all([
    fetch(`${rowmill.url}/_liveness`),
    post(rowmill.url, 100_000),
    fetch(rowmill.url),
  ])
  assert.equal(alive.status, 200)
  assert.equal(refused.status, 503)
  assert.notEqual(refused.headers.get('retry-after'), null)
  assert.equal(root.status, 503)
  await starting
  assert.equal((await post(rowmill.url)).status, 200)
})

test('while the log is full it is alive and not ready, until what fills it is settled', async () => {
  await using dir = await tempDir('rowmill-ready-')
  const small = {
    projectToken: token,
    'log.bytesMax': '8000000',
    'log.segmentBytes': '1000000',
    'log.recordBytesMax': '1000000',
    'log.reserveShare': '0.5',
    'stream.batchBytesMax': '1000000',
    'capture.messageBytesMax': '900000',
  }
  const readinessOf = async (url: string) => {
    const answer = await fetch(`${url}/_readiness`)
    return { status: answer.status, body: (await answer.json()) as { engines: Record<string, string> } }
  }
  {
    // Nobody reads what is captured here, so that it stays.
    await using rowmill = await startRowmill({
      dataDir: dir.path,
      settings: { ...small, roles: 'capture', isPartialAllowed: 'true', 'log.retentionMs': '600000' },
    })
    assert.equal((await readinessOf(rowmill.url)).status, 200)
    await waitFor(async () => (await post(rowmill.url, 200_000)).status === 503)
    const { status, body } = await readinessOf(rowmill.url)
    assert.equal(status, 503)
    assert.match(body.engines.log ?? '', /^The log holds \d+ of 8000000 bytes/)
    // What its role does not need it has not started.
    assert.deepEqual(Object.keys(body.engines), ['log', 'cache'])
    assert.equal((await fetch(`${rowmill.url}/_liveness`)).status, 200)
  }
  await using rowmill = await startRowmill({ dataDir: dir.path, settings: small })
  await waitFor(async () => (await post(rowmill.url, 200_000)).status === 200, { withinMs: 30_000 })
  await waitFor(async () => (await readinessOf(rowmill.url)).status === 200)
})
