/** The v0 routes as their clients see them: encodings, shapes, statuses and texts, and the messages that come out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import lzString from 'lz-string'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import { dataOf, openCapture } from './capture-fixture.ts'

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const uuid = '0196a5c5-7b1c-7000-8000-000000000001'
const event = {
  event: 'bought',
  distinct_id: 'anna',
  uuid,
  properties: { price: 12.5, name: 'Übergröße 鞋' },
  timestamp: '2026-01-02T03:04:00.000Z',
}
const batch = { api_key: 'phc_token', batch: [event], sent_at: '2026-01-02T03:04:05.600Z' }
const single = { ...event, token: 'phc_token' }
const jsonType = { 'content-type': 'application/json' }
const formType = { 'content-type': 'application/x-www-form-urlencoded' }
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('every encoding gives the same event', async () => {
  await using capture = await openCapture({ nowMs: () => nowMs })
  const text = JSON.stringify(single)
  const gzip = gzipSync(text)
  const form = (data: string, more = '') => `data=${encodeURIComponent(data)}${more}`
  const requests: [string, string | Uint8Array<ArrayBuffer>, Record<string, string>][] = [
    ['/e/', text, jsonType],
    ['/e', text, {}],
    ['/capture/', text, { 'content-type': 'text/plain' }],
    ['/track', text, jsonType],
    ['/i/v0/e/', text, jsonType],
    ['/batch/', JSON.stringify([single]), jsonType],
    ['/batch', JSON.stringify({ ...batch, batch: [event] }), jsonType],
    ['/e/', gzip, { 'content-type': 'text/plain' }],
    ['/e/?compression=gzip-js&ip=1&_=1767323045600&ver=1.0', gzip, { 'content-type': 'text/plain' }],
    ['/batch/', gzip, { ...jsonType, 'content-encoding': 'gzip' }],
    ['/e/?compression=lz64', gzip, {}],
    ['/e/', base64(text), {}],
    ['/e/', gzip.toString('base64'), {}],
    ['/batch/', base64(text), {}],
    ['/e/', base64(base64(text)), {}],
    ['/e/?compression=base64', form(base64(text)), formType],
    ['/i/v0/e/?compression=base64', form(base64(text)), formType],
    ['/batch/', form(base64(text), '&compression=b64'), formType],
    ['/i/v0/e/?compression=base64', form(text), formType],
    ['/i/v0/e/?compression=base64', form(gzip.toString('base64')), formType],
    ['/e/', `data=${base64(text).replaceAll('+', ' ')}`, formType],
    ['/batch/', form(text), formType],
    ['/e/', form(text, '&compression=unheard-of'), formType],
    ['/e/', form(lzString.compressToBase64(text), '&compression=lz64'), formType],
    ['/e/?compression=LZ-String', form(lzString.compressToBase64(text)), formType],
    ['/e/?compression=lz64', lzString.compressToBase64(text), { 'content-type': 'text/plain' }],
  ]
  for (const [path, body, headers] of requests) {
    const answer = await capture.post(path, body, headers)
    assert.deepEqual(
      [answer.status, answer.text],
      [200, '{"status":1}'],
      `${path} ${JSON.stringify(headers)}`,
    )
    const written = capture.written.pop()
    assert.equal(capture.written.length, 0)
    assert.equal(written?.message.uuid, uuid)
    assert.equal(written?.message.token, 'phc_token')
    assert.deepEqual(dataOf(written).properties, event.properties)
  }
  const get = await fetch(`${capture.url}/e/?data=${encodeURIComponent(base64(text))}`)
  assert.equal(get.status, 200)
  assert.equal(capture.written.pop()?.message.distinct_id, 'anna')
})

test('the message is the one that PostHog writes, key for key', async () => {
  await using capture = await openCapture({ nowMs: () => nowMs })
  await capture.post('/batch/', JSON.stringify(batch), jsonType)
  const [written] = capture.written
  assert.deepEqual(Object.entries(written?.message ?? {}), [
    ['uuid', uuid],
    ['distinct_id', 'anna'],
    ['ip', '127.0.0.1'],
    [
      'data',
      `{"distinct_id":"anna","uuid":"${uuid}","event":"bought","properties":{"price":12.5,"name":"Übergröße 鞋"},"timestamp":"2026-01-02T03:04:00.000Z"}`,
    ],
    ['now', '2026-01-02T03:04:05.678Z'],
    ['sent_at', '2026-01-02T03:04:05.6Z'],
    ['token', 'phc_token'],
    ['event', 'bought'],
    ['timestamp', '2026-01-02T03:04:00.078Z'],
  ])
  assert.equal(written?.topic, 'events_plugin_ingestion')
  assert.equal(written?.key, 'phc_token:anna')
  assert.deepEqual(Object.entries(written?.headers ?? {}), [
    ['token', 'phc_token'],
    ['distinct_id', 'anna'],
    ['session_id', null],
    ['timestamp', String(Date.UTC(2026, 0, 2, 3, 4, 0, 78))],
    ['event', 'bought'],
    ['uuid', uuid],
    ['now', '2026-01-02T03:04:05.678Z'],
    ['force_disable_person_processing', null],
    ['historical_migration', null],
  ])
})

test('a historical batch says so in the message and the headers', async () => {
  await using capture = await openCapture()
  await capture.post('/batch/', JSON.stringify({ ...batch, historical_migration: true }))
  const [written] = capture.written
  assert.equal(written?.topic, 'events_plugin_ingestion_historical')
  assert.equal(written?.message.historical_migration, true)
  assert.equal(written?.headers.historical_migration, 'true')
})

test('every refusal has its status and its sentence', async () => {
  await using capture = await openCapture()
  const cases: [string, unknown, number, RegExp][] = [
    ['/e/', [], 400, /^request holds no event$/],
    ['/batch/', { api_key: 'x', batch: [] }, 400, /^request holds no event$/],
    ['/e/', { ...single, event: '' }, 400, /^event submitted with an empty event name$/],
    ['/e/', { token: 't', event: 'e' }, 400, /^event submitted without a distinct_id$/],
    [
      '/e/',
      { token: 't', event: 'e', distinct_id: null, properties: { distinct_id: ' ' } },
      400,
      /without a distinct_id$/,
    ],
    ['/e/', event, 401, /^event submitted without an api_key$/],
    [
      '/e/',
      [single, { ...single, token: 'other' }],
      401,
      /^batch submitted with inconsistent api_key values$/,
    ],
    ['/e/', { ...event, token: '' }, 401, /^API key is not valid: empty$/],
    ['/e/', { ...event, token: 'x'.repeat(65) }, 401, /^API key is not valid: too_long$/],
    ['/e/', { ...event, token: 'clé' }, 401, /^API key is not valid: not_ascii$/],
    ['/e/', { ...event, api_key: 'phx_key' }, 401, /^API key is not valid: personal_api_key$/],
    ['/e/', { ...single, uuid: 'no-uuid' }, 400, /^failed to parse request: /],
    ['/e/', { ...single, properties: 'text' }, 400, /^failed to parse request: /],
    ['/e/', { ...single, properties: { $cookieless_mode: 'yes' } }, 400, /cookieless_mode/],
    ['/e/', { batch: [event] }, 400, /^failed to hydrate events/],
    ['/e/', { token: 't', distinct_id: 'd' }, 400, /^failed to hydrate events/],
    [
      '/e/',
      [{ ...single, event: '$performance_event' }],
      400,
      /^payload empty after filtering invalid event types$/,
    ],
    ['/e/', 5, 400, /^failed to parse request: /],
  ]
  for (const [path, body, status, text] of cases) {
    const answer = await capture.post(path, JSON.stringify(body), jsonType)
    assert.equal(answer.status, status, `${JSON.stringify(body)}: ${answer.text}`)
    assert.match(answer.text, text)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
  }
  const empty = await fetch(`${capture.url}/e/`, { method: 'POST' })
  assert.deepEqual([empty.status, await empty.text()], [400, 'request missing data payload'])
  const broken = await capture.post('/e/', '{"event":', jsonType)
  assert.equal(broken.status, 400)
  assert.match(broken.text, /^failed to parse request: invalid JSON/)
  const form = await capture.post('/e/', 'hello=world', formType)
  assert.match(form.text, /^failed to decode request: expected form data/)
  const gzip = await capture.post('/e/', gzipSync(JSON.stringify(single)).subarray(0, 30), {})
  assert.deepEqual([gzip.status, gzip.text], [400, 'failed to decode request: invalid gzip data'])
  assert.equal(capture.written.length, 0)
})

test('a batch token wins, and events without a token belong to the one that the others have', async () => {
  await using capture = await openCapture()
  await capture.post('/batch/', JSON.stringify({ api_key: 'winner', batch: [{ ...event, token: 'loser' }] }))
  assert.equal(capture.written.pop()?.message.token, 'winner')
  const inProperties = { ...event, properties: { token: 'inside' } }
  await capture.post('/e/', JSON.stringify([event, inProperties]))
  assert.deepEqual(
    capture.written.map(({ message }) => message.token),
    ['inside', 'inside'],
  )
})

test('an engage request becomes $identify on its own route only', async () => {
  await using capture = await openCapture()
  const engage = { token: 't', $distinct_id: 'anna', $set: { age: 5 }, $set_once: { born: 1 } }
  assert.equal((await capture.post('/engage/', JSON.stringify(engage))).status, 200)
  const [written] = capture.written
  assert.equal(written?.message.event, '$identify')
  const { uuid: _uuid, ...data } = dataOf(written)
  assert.deepEqual(data, {
    token: 't',
    distinct_id: 'anna',
    event: '$identify',
    properties: {},
    $set: { age: 5 },
    $set_once: { born: 1 },
  })
})

test('a beacon gets 204, others 200, and OPTIONS the headers that a page needs', async () => {
  await using capture = await openCapture()
  const beacon = await capture.post('/e/?beacon=1', JSON.stringify(single))
  assert.deepEqual([beacon.status, beacon.text], [204, ''])
  const origin = 'https://shop.example'
  const preflight = await fetch(`${capture.url}/e/`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-headers': 'content-type,x-own' },
  })
  assert.equal(preflight.status, 200)
  assert.equal(await preflight.text(), '{"status":1}')
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin)
  assert.equal(preflight.headers.get('access-control-allow-credentials'), 'true')
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type,x-own')
  assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST, OPTIONS')
  const refused = await capture.post('/e/', '{}', { origin })
  assert.equal(refused.headers.get('access-control-allow-origin'), origin)
})

test('heatmap data is split off into an event of its own', async () => {
  await using capture = await openCapture()
  const properties = {
    $heatmap_data: { a: 1 },
    $current_url: 'u',
    $session_id: 's',
    own: 1,
    $viewport_width: 5,
  }
  await capture.post('/e/', JSON.stringify({ ...single, properties }))
  const [original, heatmap] = capture.written
  assert.deepEqual(dataOf(original).properties, {
    $current_url: 'u',
    $session_id: 's',
    own: 1,
    $viewport_width: 5,
  })
  assert.equal(original?.headers.skip_heatmap_processing, 'true')
  assert.equal(heatmap?.topic, 'heatmaps_ingestion')
  assert.equal(heatmap?.message.event, '$$heatmap')
  assert.notEqual(heatmap?.message.uuid, uuid)
  assert.deepEqual(dataOf(heatmap).properties, {
    $heatmap_data: { a: 1 },
    $viewport_width: 5,
    $session_id: 's',
    $current_url: 'u',
  })
})

test('an event without a uuid gets one that begins with its time', async () => {
  await using capture = await openCapture({ nowMs: () => nowMs })
  const { uuid: _uuid, ...rest } = single
  await capture.post('/e/', JSON.stringify(rest))
  const made = String(capture.written[0]?.message.uuid)
  assert.equal(Number.parseInt(made.replaceAll('-', '').slice(0, 12), 16), Date.UTC(2026, 0, 2, 3, 4))
  assert.equal(dataOf(capture.written[0]).uuid, made)
})

test('the address is that of X-Forwarded-For only where the peer is trusted, and hidden for internal events', async () => {
  const forwarded = { 'x-forwarded-for': '203.0.113.7, 10.0.0.1' }
  await using capture = await openCapture()
  await capture.post('/e/', JSON.stringify(single), forwarded)
  assert.equal(capture.written.pop()?.message.ip, '203.0.113.7')
  await capture.post('/e/', JSON.stringify({ ...single, properties: { capture_internal: false } }), forwarded)
  assert.equal(capture.written.pop()?.message.ip, '127.0.0.1')
  await using wary = await openCapture({ config: { trustProxy: 'never' } })
  await wary.post('/e/', JSON.stringify(single), forwarded)
  assert.equal(wary.written.pop()?.message.ip, '127.0.0.1')
})

test('numbers keep their digits and unknown top-level fields are left out', async () => {
  await using capture = await openCapture()
  const text = `{"token":"t","distinct_id":12345678901234567890123,"event":"e","library":"x","properties":{"big":12345678901234567890,"f":1.0}}`
  await capture.post('/e/', text)
  const data = capture.written[0]?.message.data ?? ''
  assert.match(data, /"properties":\{"big":12345678901234567890,"f":1\.0\}/)
  assert.doesNotMatch(data, /library/)
  await capture.post('/e/', text.replace('12345678901234567890123', '9007199254740993'))
  assert.equal(capture.written[1]?.message.distinct_id, '9007199254740993')
})

test('half characters are repaired, escaped backslashes are not', async () => {
  await using capture = await openCapture()
  const text = String.raw`{"token":"t","distinct_id":"a\ud800","event":"e","properties":{"pair":"\ud83d\ude00","low":"\udc00x","text":"\\ud800"}}`
  assert.equal((await capture.post('/e/', text)).status, 200)
  const [written] = capture.written
  assert.equal(written?.message.distinct_id, 'a\ufffd')
  assert.deepEqual(dataOf(written).properties, { pair: '\u{1f600}', low: '\ufffdx', text: '\\ud800' })
})

test('a log that cannot take events is 503 with Retry-After, and an event that is too large 413', async () => {
  for (const code of ['LOG_FULL', 'LOG_UNAVAILABLE'] as const) {
    await using capture = await openCapture({ append: () => Promise.reject(new RowmillError(code, 'no')) })
    const answer = await capture.post('/e/', JSON.stringify(single))
    assert.deepEqual([answer.status, answer.text], [503, 'transient error, please retry'])
    assert.equal(answer.headers.get('retry-after'), '1')
  }
  await using capture = await openCapture()
  const large = { ...single, properties: { text: 'x'.repeat(1_000_000) } }
  const answer = await capture.post('/batch/', JSON.stringify([single, large]))
  assert.equal(answer.status, 413)
  assert.match(answer.text, /^maximum event size exceeded: /)
  assert.equal(capture.written.length, 0)
})

test('what admission drops is accepted, with its reason on the log', async () => {
  await using capture = await openCapture({
    admission: {
      admit: (events) => ({
        accepted: [],
        dropped: events.map((one) => ({ event: one, reason: 'token_dropper' as const })),
        limited: new Set(),
        quotaLimited: ['events'],
      }),
    },
  })
  const answer = await capture.post('/e/', JSON.stringify(single))
  assert.deepEqual([answer.status, answer.text], [200, '{"status":1}'])
  const [drop] = capture.written
  assert.equal(drop?.topic, 'rowmill_drops')
  const { time: _time, ...row } = drop?.message ?? {}
  assert.deepEqual(row, {
    uuid,
    distinct_id: 'anna',
    token: 'phc_token',
    event: 'bought',
    stage: 'capture',
    ended: 'drop',
    reason: 'token_dropper',
    details: '{}',
    topic: '',
    partition: 0,
    offset: -1,
  })
})

test('the black hole takes everything and keeps nothing', async () => {
  await using capture = await openCapture()
  assert.equal((await capture.post('/test/black_hole', 'anything')).status, 200)
  assert.equal(capture.written.length, 0)
})
