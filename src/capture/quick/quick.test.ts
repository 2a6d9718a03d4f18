import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { captureServer, type Sent, serverNowMs } from '../../../test/support/capture-server.ts'
import { createCapture } from '../capture.ts'

const event = {
  uuid: '0198c0de-0000-7000-8000-000000000001',
  event: '$pageview',
  distinct_id: 'd\u00e9',
  properties: { $lib: 'web', price: 12.5 },
  timestamp: new Date(serverNowMs - 60_000).toISOString(),
}
const bodies = {
  'one event': (more: object) => JSON.stringify({ token: 'phc_a', ...event, ...more }),
  'a batch': (more: object) => JSON.stringify({ api_key: 'phc_a', batch: [{ ...event, ...more }, event] }),
  'a batch that says when it was sent': (more: object) =>
    JSON.stringify({
      api_key: 'phc_a',
      batch: [{ ...event, ...more }],
      sent_at: new Date(serverNowMs - 5_000).toISOString(),
    }),
}
const query = `_=${serverNowMs - 30_000}&ip=0&ver=1.430.0`
const wraps: Record<string, (body: string) => { path: string } & Sent> = {
  'a query': (body) => ({ path: `/i/v0/e/?${query}`, body }),
  gzip: (body) => ({ path: '/e/', body: gzipSync(body) }),
  'gzip and a query': (body) => ({ path: `/e/?compression=gzip-js&${query}`, body: gzipSync(body) }),
  'gzip with its header': (body) => ({
    path: '/batch/',
    body: gzipSync(body),
    headers: { 'content-encoding': 'gzip' },
  }),
  'a query that holds all': (body) => ({ path: `/e/?data=${encodeURIComponent(body)}`, method: 'GET' }),
  'a form': (body) => ({
    path: `/e/?${query}`,
    body: `data=${encodeURIComponent(Buffer.from(body).toString('base64'))}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  }),
}

for (const [what, bodyOf] of Object.entries(bodies))
  for (const [how, wrap] of Object.entries(wraps))
    test(`${what} by ${how} is the same the quick way as the full way`, async () => {
      await using s = await captureServer((ports, config) => createCapture(ports, config).routes)
      // Nothing but this member makes the quick way give up.
      for (const more of [{}, { offset: null }]) {
        const { path, ...sent } = wrap(bodyOf(more))
        const answer = await s.send(path, sent)
        assert.equal(answer.status, 200, answer.text)
      }
      const messages = s
        .messages()
        .map(({ record: { value: _value, ...record }, message }) => ({ record, message }))
      const half = messages.length / 2
      assert.ok(half >= 1)
      assert.deepEqual(messages.slice(0, half), messages.slice(half))
    })

test('a beacon, a broken body and a body over the limit are answered as ever', async () => {
  await using s = await captureServer(
    (ports, config) => createCapture(ports, { ...config, payloadBytesMax: 2_000 }).routes,
  )
  const body = bodies['one event']({})
  assert.equal((await s.send('/e/?beacon=1', { body: gzipSync(body) })).status, 204)
  assert.equal((await s.send('/e/?_=1', { body: gzipSync(body.slice(0, -3)) })).status, 400)
  assert.equal((await s.send('/e/', { body: gzipSync(body).subarray(0, 40) })).status, 400)
  const large = bodies['one event']({ properties: { x: 'x'.repeat(3_000) } })
  assert.equal((await s.send('/e/', { body: gzipSync(large) })).status, 413)
  assert.equal(s.messages().length, 1)
})
