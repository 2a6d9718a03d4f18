import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { v1ConfigSchema } from './config.ts'
import { createV1Routes } from './v1.ts'

const path = '/i/v1/analytics/events'
const requestId = '0198c0de-0000-7000-8000-0000000000ff'
const goodHeaders: Record<string, string> = {
  Authorization: 'Bearer phc_test',
  'Content-Type': 'application/json',
  'User-Agent': 'posthog-rs/1.0.0',
  'PostHog-Sdk-Info': 'posthog-rs/1.2.3',
  'PostHog-Attempt': '1',
  'PostHog-Request-Id': requestId,
  'PostHog-Request-Timestamp': new Date(serverNowMs).toISOString(),
}

function uuid(n: number): string {
  return `0198c0de-0000-7000-8000-${String(n).padStart(12, '0')}`
}

function event(n: number, changes: Record<string, unknown> = {}) {
  return {
    event: '$pageview',
    uuid: uuid(n),
    distinct_id: 'user-1',
    timestamp: new Date(serverNowMs - 1000).toISOString(),
    ...changes,
  }
}

function batchOf(events: unknown, changes: Record<string, unknown> = {}): string {
  return JSON.stringify({ created_at: '2026-03-19T14:30:00.000Z', batch: events, ...changes })
}

function setup(
  options: Parameters<typeof captureServer>[1] = {},
  v1: Parameters<typeof v1ConfigSchema.parse>[0] = {},
) {
  return captureServer(
    (ports, config) =>
      createV1Routes(ports, { ...config, ...v1ConfigSchema.parse(v1), aiMessageBytesMax: 16_000_000 }),
    options,
  )
}

function without(...names: string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(goodHeaders).filter(([name]) => !names.includes(name)))
}

type Refused = readonly [
  string,
  { headers?: Record<string, string>; body?: string | Buffer },
  number,
  string,
  RegExp?,
]
const good = batchOf([event(1)])
const refused: readonly Refused[] = [
  ['no authorization', { headers: without('Authorization', 'User-Agent') }, 401, 'missing_authorization'],
  [
    'another scheme',
    { headers: { ...goodHeaders, Authorization: 'Basic abc' } },
    400,
    'invalid_header_value',
  ],
  [
    'a personal key',
    { headers: { ...goodHeaders, Authorization: 'Bearer phx_a' } },
    401,
    'invalid_api_token',
  ],
  ['an empty token', { headers: { ...goodHeaders, Authorization: 'Bearer  ' } }, 400, 'invalid_header_value'],
  [
    'several headers missing',
    { headers: without('User-Agent', 'PostHog-Attempt', 'PostHog-Request-Timestamp') },
    400,
    'missing_required_headers',
    /PostHog-Attempt, PostHog-Request-Timestamp, user-agent/,
  ],
  ['attempt 0', { headers: { ...goodHeaders, 'PostHog-Attempt': '0' } }, 400, 'invalid_header_value'],
  ['attempt abc', { headers: { ...goodHeaders, 'PostHog-Attempt': 'abc' } }, 400, 'invalid_header_value'],
  [
    'a request id that is no UUID',
    { headers: { ...goodHeaders, 'PostHog-Request-Id': 'x' } },
    400,
    'invalid_header_value',
  ],
  [
    'a request time that is no RFC 3339',
    { headers: { ...goodHeaders, 'PostHog-Request-Timestamp': '1700000000' } },
    400,
    'invalid_header_value',
  ],
  [
    'another content type',
    { headers: { ...goodHeaders, 'Content-Type': 'text/plain' } },
    415,
    'unsupported_content_type',
  ],
  [
    'an unknown encoding',
    { headers: { ...goodHeaders, 'Content-Encoding': 'lz4' } },
    415,
    'unsupported_encoding',
  ],
  [
    'a body that is not what it says',
    { headers: { ...goodHeaders, 'Content-Encoding': 'gzip' } },
    400,
    'request_decoding_error',
  ],
  [
    'a bomb',
    {
      headers: { ...goodHeaders, 'Content-Encoding': 'gzip' },
      body: gzipSync(Buffer.alloc(3_000_000, 0x20)),
    },
    413,
    'payload_too_large',
  ],
  ['a body over the wire limit', { body: 'x'.repeat(1_100_000) }, 413, 'payload_too_large'],
  ['no body', { body: '' }, 400, 'empty_body'],
  ['no JSON', { body: '{{{' }, 400, 'request_parsing_error'],
  ['no UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, 400, 'request_parsing_error'],
  ['an array', { body: '[]' }, 400, 'request_parsing_error'],
  ['no created_at', { body: '{"batch":[]}' }, 400, 'request_parsing_error'],
  ['no batch', { body: '{"created_at":"2026-03-19T14:30:00.000Z"}' }, 400, 'request_parsing_error'],
  ['an event that is no object', { body: batchOf([event(1), 'x']) }, 400, 'request_parsing_error'],
  [
    'a historical_migration that is text',
    { body: batchOf([event(1)], { historical_migration: 'yes' }) },
    400,
    'request_parsing_error',
  ],
  ['an empty batch', { body: batchOf([]) }, 400, 'empty_batch'],
  ['a bad created_at', { body: batchOf([event(1)], { created_at: 'yesterday' }) }, 400, 'invalid_batch'],
  [
    'an event without uuid',
    { body: batchOf([event(1), { ...event(2), uuid: undefined }]) },
    400,
    'missing_event_uuid',
  ],
  ['a bad uuid', { body: batchOf([event(1, { uuid: 'x' })]) }, 400, 'invalid_event_uuid'],
  [
    'the same uuid twice, written differently',
    { body: batchOf([event(1), event(2, { uuid: ` ${uuid(1).toUpperCase()} ` })]) },
    400,
    'duplicate_event_uuid',
  ],
]

test('requests that cannot be understood are refused as a whole', async (t) => {
  await using s = await setup({}, { bodyBytesMax: 1_000_000, payloadBytesMax: 2_000_000 })
  for (const [name, sent, status, tag, description] of refused)
    await t.test(`${name}: ${status} ${tag}`, async () => {
      const answer = await s.send(path, {
        headers: { ...goodHeaders, Origin: 'https://x.test' },
        body: good,
        ...sent,
      })
      assert.equal(answer.status, status, answer.text)
      const body = answer.json()
      assert.ok(
        body !== null &&
          typeof body === 'object' &&
          'error' in body &&
          'error_description' in body &&
          'error_uri' in body,
      )
      assert.equal(body.error, tag)
      assert.equal(body.error_uri, 'https://posthog.com/docs/api')
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.headers['retry-after'], undefined)
      assert.ok(answer.headers.date !== undefined)
      const headers: Record<string, string> = sent.headers ?? goodHeaders
      assert.equal(answer.headers['posthog-request-id'], headers['PostHog-Request-Id'])
      if (description !== undefined) assert.match(String(body.error_description), description)
      assert.deepEqual(s.records, [])
    })
})

test('every event has its result in input order, and what is acceptable is on the log', async () => {
  await using s = await setup()
  const events = [
    event(9),
    event(1, { event: '' }),
    event(5, { distinct_id: ' ANONYMOUS ' }),
    event(3, { properties: [] }),
    event(2, { options: { cookieless_mode: 'what' } }),
    event(4, { event: '$performance_event' }),
    event(7, { timestamp: 'now' }),
    event(6, { distinct_id: 'x'.repeat(201) }),
    event(8, { event: '$exception' }),
  ]
  const answer = await s.send(path, { headers: goodHeaders, body: batchOf(events) })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['retry-after'], undefined)
  assert.equal(answer.headers['posthog-request-id'], requestId)
  const drop = (details: string) => ({ result: 'drop', details })
  const expected = {
    [uuid(9)]: { result: 'ok' },
    [uuid(1)]: drop('missing_event_name'),
    [uuid(5)]: { result: 'ok', details: 'person_processing_disabled' },
    [uuid(3)]: drop('malformed_event_properties'),
    [uuid(2)]: drop('invalid_options'),
    [uuid(4)]: drop('dropped_performance_event'),
    [uuid(7)]: drop('invalid_event_timestamp'),
    [uuid(6)]: drop('distinct_id_too_large'),
    [uuid(8)]: { result: 'ok' },
  }
  assert.equal(answer.text, JSON.stringify({ results: expected }))
  assert.deepEqual(
    s.messages().map(({ record, message }) => [message.uuid, record.topic, record.key]),
    [
      [uuid(9), topics.captured, 'phc_test:user-1'],
      [uuid(5), topics.captured, null],
      [uuid(8), topics.exceptions, 'phc_test:user-1'],
    ],
  )
  assert.deepEqual(s.drops().map(({ uuid: id, reason, details }) => [id, reason, details])[0], [
    uuid(1),
    'invalid_event',
    '{"details":"missing_event_name"}',
  ])
  assert.equal(s.drops().length, 6)
  assert.equal(await s.metrics.value('capture_v1_batch_outcomes', { outcome: 'partial_failure' }), 1)
})

test('the message is the one that PostHog writes, with raw properties and the injected ones last', async () => {
  await using s = await setup()
  const skewed = {
    ...goodHeaders,
    'PostHog-Request-Timestamp': new Date(serverNowMs + 60_000).toISOString(),
    'X-Forwarded-For': '203.0.113.9',
  }
  const raw = '{ "n": 12345678901234567890, "$lib":"mine" }'
  const options =
    '{"cookieless_mode":"1","disable_skew_correction":0,"process_person_profile":false,"product_tour_id":7}'
  const one = JSON.stringify(
    event(1, { session_id: 's', window_id: 'w', timestamp: new Date(serverNowMs).toISOString() }),
  )
  const body = batchOf([]).replace('[]', `[${one.slice(0, -1)},"options":${options},"properties":${raw}}]`)
  const answer = await s.send(path, { headers: skewed, body })
  assert.equal(answer.status, 200, answer.text)
  const [first] = s.messages()
  assert.ok(first !== undefined)
  const injected =
    '"$session_id":"s","$window_id":"w","$cookieless_mode":true,"$ignore_sent_at":false,"$product_tour_id":"7","$process_person_profile":false,"$lib":"posthog-rs","$lib_version":"1.2.3"'
  assert.equal(
    first.message.data,
    `{"event":"$pageview","distinct_id":"user-1","uuid":"${uuid(1)}","properties":{ "n": 12345678901234567890, "$lib":"mine" ,${injected}},"timestamp":"${new Date(serverNowMs).toISOString()}"}`,
  )
  assert.equal(Date.parse(first.message.timestamp), serverNowMs - 60_000)
  assert.equal(Date.parse(first.message.sent_at ?? ''), serverNowMs + 60_000)
  assert.deepEqual(
    [first.message.ip, first.message.token, first.message.is_cookieless_mode],
    ['203.0.113.9', 'phc_test', true],
  )
  assert.deepEqual([first.record.key, first.record.headers?.session_id], ['phc_test:203.0.113.9', 's'])
})

test('capture_internal hides the address, historical_migration goes to its own topic', async () => {
  await using s = await setup()
  const body = batchOf([event(1), event(2, { event: '$exception' })], {
    capture_internal: true,
    historical_migration: true,
  })
  await s.send(path, { headers: { ...goodHeaders, 'X-Forwarded-For': '203.0.113.9' }, body })
  assert.deepEqual(
    s.messages().map(({ record, message }) => [record.topic, message.ip, message.historical_migration]),
    [
      [topics.historical, '127.0.0.1', true],
      [topics.exceptions, '127.0.0.1', undefined],
    ],
  )
})

test('every encoding is taken, and a content type with parameters', async () => {
  await using s = await setup()
  const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }
  for (const [encoding, encode] of Object.entries(encoders)) {
    const headers = {
      ...goodHeaders,
      'Content-Encoding': encoding.toUpperCase(),
      'Content-Type': 'Application/JSON; charset=utf-8',
    }
    const answer = await s.send(`${path}/`, { headers, body: encode(Buffer.from(good)) })
    assert.equal(answer.status, 200, `${encoding}: ${answer.text}`)
  }
  assert.equal(s.messages().length, 4)
})

test('a project over its quota is told 402 without Retry-After; in a mixed batch only its events are dropped', async () => {
  const quota = {
    prepare: (
      cache: Parameters<NonNullable<NonNullable<Parameters<typeof captureServer>[1]>['prepare']>>[0],
    ) => cache.sortedAdd('@posthog/quota-limits/events', [{ member: 'phc_test', score: serverNowMs }]),
  }
  await using s = await setup(quota)
  const all = await s.send(path, { headers: goodHeaders, body: batchOf([event(1), event(2, { event: '' })]) })
  assert.equal(all.status, 402)
  assert.equal(all.headers['retry-after'], undefined)
  assert.match(
    all.text,
    /"error":"billing_limit_exceeded".*"error_uri":"https:\/\/posthog.com\/docs\/billing\/limits"/,
  )
  assert.deepEqual(
    s.drops().map(({ reason }) => reason),
    ['invalid_event', 'billing_limit_exceeded'],
  )
  const mixed = await s.send(path, {
    headers: goodHeaders,
    body: batchOf([event(3), event(4, { event: '$exception' })]),
  })
  assert.deepEqual(mixed.json(), {
    results: {
      [uuid(3)]: { result: 'drop', details: 'billing_limit_exceeded' },
      [uuid(4)]: { result: 'ok' },
    },
  })
})

test('an id over the rate limit is accepted with a warning', async () => {
  await using s = await setup({ admission: { rateLimit: { isEnabled: true, eventsMax: 1 } } })
  const answer = await s.send(path, { headers: goodHeaders, body: batchOf([event(1), event(2)]) })
  assert.deepEqual(answer.json(), {
    results: {
      [uuid(1)]: { result: 'ok' },
      [uuid(2)]: { result: 'warning', details: 'person_processing_disabled' },
    },
  })
  assert.equal(s.messages().length, 2)
  assert.equal(await s.metrics.value('capture_v1_batch_outcomes', { outcome: 'all_ok' }), 1)
})

test('a restriction drops with its name', async () => {
  const restriction = [
    { version: 2, token: 'phc_test', pipelines: ['analytics'], event_names: ['$pageview'] },
  ]
  await using s = await setup({
    admission: { restrictions: { isEnabled: true } },
    prepare: async (cache) =>
      cache.texts.set(
        'event_ingestion_restriction_dynamic_config:drop_event_from_ingestion',
        JSON.stringify(restriction),
      ),
  })
  const answer = await s.send(path, {
    headers: goodHeaders,
    body: batchOf([event(1), event(2, { event: 'other' })]),
  })
  assert.deepEqual(answer.json(), {
    results: {
      [uuid(1)]: { result: 'drop', details: 'event_restriction_drop' },
      [uuid(2)]: { result: 'ok' },
    },
  })
})

test('a log that cannot take events makes them retries, beside drops that stay drops', async () => {
  await using s = await setup()
  s.log.failure = new RowmillError('LOG_FULL', 'The log is full.')
  const answer = await s.send(path, {
    headers: goodHeaders,
    body: batchOf([event(1), event(2, { event: '' })]),
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['retry-after'], '1')
  assert.deepEqual(answer.json(), {
    results: {
      [uuid(1)]: { result: 'retry', details: 'not_persisted' },
      [uuid(2)]: { result: 'drop', details: 'missing_event_name' },
    },
  })
})

test('an event too large for a record is dropped alone, with a written reason', async () => {
  await using s = await setup()
  const large = { properties: { x: 'x'.repeat(1_000_000) } }
  const answer = await s.send(path, {
    headers: goodHeaders,
    body: batchOf([event(1), event(2, large), event(3), event(4, { ...large, event: '$ai_generation' })]),
  })
  assert.deepEqual(answer.json(), {
    results: {
      [uuid(1)]: { result: 'ok' },
      [uuid(2)]: { result: 'drop', details: 'event_too_big' },
      [uuid(3)]: { result: 'ok' },
      [uuid(4)]: { result: 'ok' },
    },
  })
  assert.deepEqual(
    s
      .messages()
      .map(({ message }) => message.uuid)
      .sort(),
    [uuid(1), uuid(3), uuid(4)],
  )
  assert.deepEqual(
    s.drops().map(({ uuid: id, details }) => [id, details]),
    [[uuid(2), '{"details":"event_too_big"}']],
  )
})

test('the AI route takes AI events only, event by event', async () => {
  await using s = await setup()
  const answer = await s.send('/i/v1/ai/events', {
    headers: goodHeaders,
    body: batchOf([event(1), event(2, { event: '$ai_span' })]),
  })
  assert.deepEqual(answer.json(), {
    results: { [uuid(1)]: { result: 'drop', details: 'misrouted_event' }, [uuid(2)]: { result: 'ok' } },
  })
  assert.deepEqual(
    s.messages().map(({ record }) => record.topic),
    [topics.ai],
  )
})

test('browsers may send from anywhere, other methods may not', async () => {
  await using s = await setup()
  const asked = {
    Origin: 'https://x.test',
    'Access-Control-Request-Headers': 'posthog-attempt',
    'Access-Control-Request-Method': 'POST',
  }
  const preflight = await s.send(path, { method: 'OPTIONS', headers: asked })
  assert.equal(preflight.status, 200)
  assert.deepEqual(
    [
      preflight.headers['access-control-allow-origin'],
      preflight.headers['access-control-allow-headers'],
      preflight.headers['access-control-allow-methods'],
    ],
    ['https://x.test', 'posthog-attempt', 'POST, OPTIONS'],
  )
  const answer = await s.send(path, { headers: { ...goodHeaders, Origin: 'https://x.test' }, body: 'no' })
  assert.equal(answer.headers['access-control-allow-origin'], 'https://x.test')
  assert.equal((await s.send(path, { method: 'GET' })).status, 405)
})
