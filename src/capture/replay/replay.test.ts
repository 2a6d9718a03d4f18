import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { uncompressSync } from 'lz4-napi'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { replayConfigSchema } from './config.ts'
import { createReplayRoutes } from './replay.ts'
import { collectSnapshots, parseReplay } from './snapshots.ts'

function setup(
  options: Parameters<typeof captureServer>[1] = {},
  replay: Parameters<typeof replayConfigSchema.parse>[0] = {},
) {
  return captureServer(
    (ports, config) => createReplayRoutes(ports, { ...config, ...replayConfigSchema.parse(replay) }),
    options,
  )
}

function snapshot(changes: Record<string, unknown> = {}, properties: Record<string, unknown> = {}) {
  return {
    event: '$snapshot',
    properties: {
      token: 'phc_test',
      distinct_id: 'user-1',
      $session_id: 's-1',
      $snapshot_data: [{ type: 2 }],
      ...properties,
    },
    ...changes,
  }
}

test('the snapshots of a request become one message with the session as its key', async () => {
  await using s = await setup()
  const timestamp = new Date(serverNowMs - 1000).toISOString()
  const body = JSON.stringify([
    snapshot({ timestamp, uuid: '0198C0DE-0000-7000-8000-000000000001' }, { $window_id: 'w' }),
    snapshot({}, { $snapshot_data: { type: 3 } }),
  ])
  const sent = {
    headers: { 'Content-Type': 'text/plain', 'User-Agent': 'Mozilla/5.0', Origin: 'https://x.test' },
    body: gzipSync(body),
  }
  const answer = await s.send(`/s/?ip=1&_=${serverNowMs - 500}&ver=1`, sent)
  assert.deepEqual(
    [answer.status, answer.text, answer.headers['access-control-allow-origin']],
    [200, '{"status":1}', 'https://x.test'],
  )
  const [first, ...others] = s.messages()
  assert.ok(first !== undefined && others.length === 0)
  assert.deepEqual(
    [first.record.topic, first.record.key, first.record.headers?.session_id],
    [topics.replay, 's-1', 's-1'],
  )
  assert.equal(first.message.uuid, '0198c0de-0000-7000-8000-000000000001')
  assert.equal(first.message.event, '$snapshot_items')
  assert.equal(first.message.distinct_id, 'user-1')
  assert.equal(
    Date.parse(first.message.timestamp),
    serverNowMs - 500,
    'the skew of half a second is taken out',
  )
  assert.equal(
    first.message.data,
    '{"event":"$snapshot_items","properties":{"distinct_id":"user-1","$session_id":"s-1","$window_id":"w","$snapshot_source":"web","$snapshot_items":[{"type":2},{"type":3}],"$lib":"web"}}',
  )
})

test('a form with base64, which a page without compression leaves behind, is read', async () => {
  await using s = await setup()
  const data = encodeURIComponent(Buffer.from(JSON.stringify([snapshot()])).toString('base64'))
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const answer = await s.send('/s/?compression=base64', { headers, body: Buffer.from(`data=${data}`) })
  assert.equal(answer.status, 200)
  assert.equal(s.messages()[0]?.message.event, '$snapshot_items')
})

const refused: readonly [string, unknown, number, RegExp][] = [
  ['no event', [], 400, /no event/],
  ['no JSON', '{', 400, /failed to parse/],
  ['no token', [snapshot({}, { token: undefined })], 401, /api_key/],
  ['two tokens', [snapshot(), snapshot({}, { token: 'phc_other' })], 401, /inconsistent/],
  ['no distinct id', [snapshot({}, { distinct_id: undefined })], 400, /distinct_id/],
  ['no session id', [snapshot({}, { $session_id: undefined })], 400, /without session id/],
  ['a session id that is a number', [snapshot({}, { $session_id: 1 })], 400, /invalid session id/],
  ['a session id with other characters', [snapshot({}, { $session_id: 'a_b' })], 400, /invalid session id/],
  [
    'a session id of 71 characters',
    [snapshot({}, { $session_id: 'a'.repeat(71) })],
    400,
    /invalid session id/,
  ],
  ['no snapshot data', [snapshot(), snapshot({}, { $snapshot_data: undefined })], 400, /snapshot data/],
  ['snapshot data that is text', [snapshot({}, { $snapshot_data: 'x' })], 400, /snapshot data/],
  ['a cookieless mode that is text', [snapshot({}, { $cookieless_mode: 'x' })], 400, /cookieless/],
  ['a uuid that is none', [snapshot({ uuid: 'x' })], 400, /uuid/],
  ['an event that is no object', [1], 400, /failed to parse/],
  ['a request that is too large', [snapshot({}, { $snapshot_data: ['x'.repeat(3000)] })], 413, /.+/],
]
test('requests that hold no snapshots of one session are refused', async (t) => {
  await using s = await setup({}, { payloadBytesMax: 2000 })
  for (const [name, body, status, message] of refused)
    await t.test(`${name}: ${status}`, async () => {
      const answer = await s.send('/s', { body: typeof body === 'string' ? body : JSON.stringify(body) })
      assert.equal(answer.status, status, answer.text)
      assert.match(answer.text, message)
      assert.match(answer.headers['content-type'] ?? '', /^text\/plain/)
      assert.deepEqual(s.records, [])
    })
})

test('snapshots go on exactly as the client wrote them', () => {
  const item = fc.jsonValue()
  const data = fc.oneof(fc.array(item), fc.dictionary(fc.string(), item))
  const blank = fc.constantFrom('', ' ', '\n')
  fc.assert(
    fc.property(
      fc.array(data, { minLength: 1, maxLength: 4 }),
      blank,
      fc.constantFrom('array', 'batch', 'one'),
      (list, space, shape) => {
        const used = shape === 'one' ? list.slice(0, 1) : list
        const events = used.map(
          (value) =>
            `{"properties":{"$session_id":"s","distinct_id":"d",${space}"$snapshot_data":${space}${JSON.stringify(value)}${space}}}`,
        )
        const array = `[${space}${events.join(`${space},`)}]`
        const text =
          shape === 'one' ? (events[0] ?? '') : shape === 'array' ? array : `{"api_key":"t","batch":${array}}`
        const parsed: unknown = JSON.parse(collectSnapshots(parseReplay(text).events, undefined).data)
        assert.deepEqual(parsed, {
          event: '$snapshot_items',
          properties: {
            distinct_id: 'd',
            $session_id: 's',
            $window_id: 's',
            $snapshot_source: 'web',
            $snapshot_items: JSON.parse(JSON.stringify(used.flat(1))),
            $lib: 'unknown',
          },
        })
      },
    ),
  )
})

test("garbage is the client's fault, and deep nesting no crash", () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((text) => `[{"properties":${text}}]`),
    fc.constantFrom(deep, `[{"distinct_id":${deep}}]`),
  )
  fc.assert(
    fc.property(texts, (text) => {
      try {
        collectSnapshots(parseReplay(text).events, undefined)
      } catch (error) {
        assert.ok(error instanceof RowmillError && error.code === 'EVENT_INVALID', String(error))
      }
    }),
  )
})

test('a project over its quota for recordings is told so, and not to retry', async () => {
  await using s = await setup({
    prepare: (cache) =>
      cache.sortedAdd('@posthog/quota-limits/recordings', [{ member: 'phc_test', score: serverNowMs }]),
  })
  const answer = await s.send('/s', { body: JSON.stringify([snapshot()]) })
  assert.deepEqual([answer.status, answer.text], [200, '{"status":1,"quota_limited":["recordings"]}'])
  assert.deepEqual(
    s.drops().map(({ reason }) => reason),
    ['billing_limit_exceeded'],
  )
})

test('beacons get 204, a full log 503 with Retry-After, OPTIONS 200', async () => {
  await using s = await setup()
  const body = JSON.stringify([snapshot()])
  assert.deepEqual(await s.send('/s?beacon=1', { body }).then(({ status, text }) => [status, text]), [
    204,
    '',
  ])
  assert.deepEqual(await s.send('/s', { method: 'OPTIONS' }).then(({ status, text }) => [status, text]), [
    200,
    '{"status":1}',
  ])
  s.log.failure = new RowmillError('LOG_FULL', 'The log is full.')
  const answer = await s.send('/s', { body })
  assert.deepEqual(
    [answer.status, answer.text, answer.headers['retry-after']],
    [503, 'transient error, please retry', '1'],
  )
})

test('replay messages are packed with LZ4 where that is asked for, the reasons of drops are not', async () => {
  const admission = { dropEvents: ['phc_dropped'] }
  await using plain = await setup({ admission })
  await using packed = await setup({ admission }, { envelopeCompression: 'lz4' })
  const body = JSON.stringify([snapshot({ uuid: '0198c0de-0000-7000-8000-000000000001' })])
  for (const s of [plain, packed]) {
    assert.equal((await s.send('/s/', { body })).status, 200)
    const dropped = JSON.stringify([snapshot({}, { token: 'phc_dropped' })])
    assert.equal((await s.send('/s/', { body: dropped })).status, 200)
    assert.equal(s.drops().length, 1)
  }
  const [expected] = plain.records
  const [record] = packed.records
  assert.ok(expected !== undefined && record !== undefined)
  assert.equal(expected.headers?.['content-encoding'], undefined)
  assert.equal(record.headers?.['content-encoding'], 'lz4')
  assert.equal(record.value.readUInt32LE(0), expected.value.length)
  assert.deepEqual(uncompressSync(record.value), expected.value)
  assert.equal(record.key, expected.key)
})
