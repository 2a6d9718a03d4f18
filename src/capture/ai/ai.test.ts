import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { createAiRoutes } from './ai.ts'
import { aiConfigSchema } from './config.ts'

async function setup(options: Parameters<typeof captureServer>[1] = {}) {
  const stored = new Map<string, Buffer>()
  const blobs = {
    failure: undefined as Error | undefined,
    async put(key: string, bytes: Buffer) {
      if (blobs.failure !== undefined) throw blobs.failure
      stored.set(key, bytes)
    },
  }
  const server = await captureServer(
    (ports, capture) => createAiRoutes({ ...ports, blobs }, { ...aiConfigSchema.parse({}), capture }),
    options,
  )
  return { ...server, stored, blobs, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

function form(parts: readonly [string, string, string?, string?][]): Buffer {
  const chunks = parts.map(([name, content, type, encoding]) => {
    const headers = [`Content-Disposition: form-data; name="${name}"`]
    if (type !== undefined) headers.push(`Content-Type: ${type}`)
    if (encoding !== undefined) headers.push(`Content-Encoding: ${encoding}`)
    return `--x-x\r\n${headers.join('\r\n')}\r\n\r\n${content}\r\n`
  })
  return Buffer.from(`${chunks.join('')}--x-x--\r\n`)
}

const headers = { Authorization: 'Bearer phc_test', 'Content-Type': 'multipart/form-data; boundary=x-x' }
const event = JSON.stringify({
  event: '$ai_generation',
  uuid: '0198c0de-0000-7000-8000-000000000001',
  distinct_id: 'user-1',
  timestamp: new Date(serverNowMs - 5000).toISOString(),
})
const properties = JSON.stringify({ $ai_model: 'm', $session_id: 's' })

test('a form becomes one event whose blobs are kept apart', async () => {
  await using s = await setup()
  const body = form([
    ['event', event, 'application/json'],
    ['event.properties', properties, 'application/json'],
    ['event.properties.$ai_input', 'what is asked', 'text/plain', 'identity'],
    ['event.properties.$ai_output', '{"a":1}', 'application/json'],
  ])
  const answer = await s.send('/i/v0/ai', {
    headers: { ...headers, 'Content-Encoding': 'gzip' },
    body: gzipSync(body),
  })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(answer.json(), {
    accepted_parts: [
      { name: 'event', length: event.length, 'content-type': 'application/json', 'content-encoding': null },
      {
        name: 'event.properties',
        length: properties.length,
        'content-type': 'application/json',
        'content-encoding': null,
      },
      {
        name: 'event.properties.$ai_input',
        length: 13,
        'content-type': 'text/plain',
        'content-encoding': 'identity',
      },
      {
        name: 'event.properties.$ai_output',
        length: 7,
        'content-type': 'application/json',
        'content-encoding': null,
      },
    ],
  })
  const [key = ''] = s.stored.keys()
  assert.match(key, /^ai\/phc_test\/[0-9a-f]{32}$/)
  assert.equal(s.stored.get(key)?.toString(), 'what is asked{"a":1}')
  const [first] = s.messages()
  assert.ok(first !== undefined)
  assert.deepEqual(
    [first.record.topic, first.record.key, first.record.headers?.session_id],
    [topics.ai, 'phc_test:user-1', 's'],
  )
  const data: unknown = JSON.parse(first.message.data)
  assert.deepEqual(data, {
    ...JSON.parse(event),
    properties: {
      $ai_model: 'm',
      $session_id: 's',
      $ai_input: `blobs://${key}?range=0-12`,
      $ai_output: `blobs://${key}?range=13-19`,
    },
  })
  assert.equal(Date.parse(first.message.timestamp), serverNowMs - 5000)
})

const good: [string, string][] = [
  ['event', JSON.stringify({ ...JSON.parse(event), properties: { $ai_model: 'm' } })],
]
const refused: readonly [string, Record<string, string>, Buffer | string, number, RegExp][] = [
  ['no body', headers, '', 400, /missing data/],
  ['another content type', { ...headers, 'Content-Type': 'application/json' }, form(good), 400, /multipart/],
  ['no boundary', { ...headers, 'Content-Type': 'multipart/form-data' }, form(good), 400, /boundary/],
  ['no token', { 'Content-Type': headers['Content-Type'] }, form(good), 401, /without an api_key/],
  ['a personal key', { ...headers, Authorization: 'Bearer phx_a' }, form(good), 401, /personal_api_key/],
  ['no parts', headers, 'nothing', 400, /failed to decode/],
  ['an unknown encoding', { ...headers, 'Content-Encoding': 'br' }, form(good), 400, /content-encoding/],
  ['a broken gzip', { ...headers, 'Content-Encoding': 'gzip' }, form(good), 400, /GZIP/],
  [
    'a gzip bomb',
    { ...headers, 'Content-Encoding': 'gzip' },
    gzipSync(Buffer.alloc(30_000_000)),
    413,
    /maximum event size/,
  ],
  [
    'a uuid that is none',
    headers,
    form([
      [
        'event',
        JSON.stringify({ event: '$ai_span', distinct_id: 'd', uuid: 'x', properties: { $ai_model: 'm' } }),
      ],
    ]),
    400,
    /uuid/,
  ],
  [
    'deep nesting',
    headers,
    form([
      [
        'event',
        `{"event":"$ai_span","distinct_id":"d","properties":{"$ai_model":"m","x":${'['.repeat(5000)}${']'.repeat(5000)}}}`,
      ],
    ]),
    400,
    /nested/,
  ],
]
test('forms that are none are refused', async (t) => {
  await using s = await setup()
  for (const [name, given, body, status, message] of refused)
    await t.test(`${name}: ${status}`, async () => {
      const answer = await s.send('/i/v0/ai/', { headers: given, body })
      assert.equal(answer.status, status, answer.text)
      assert.match(answer.text, message)
      assert.deepEqual([s.records.length, s.stored.size], [0, 0])
    })
})

test('blobs that cannot be kept make it 503, and nothing is on the log', async () => {
  await using s = await setup()
  s.blobs.failure = new RowmillError('BLOBS_UNAVAILABLE', 'The blob store is away.')
  const answer = await s.send('/i/v0/ai', {
    headers,
    body: form([...good, ['event.properties.x', 'y', 'text/plain']]),
  })
  assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '1'])
  assert.equal(s.records.length, 0)
})

test('an event that admission drops leaves no blob', async () => {
  await using s = await setup({ admission: { dropEvents: ['phc_test'] } })
  const answer = await s.send('/i/v0/ai', {
    headers,
    body: form([...good, ['event.properties.x', 'y', 'text/plain']]),
  })
  assert.equal(answer.status, 200)
  assert.deepEqual([s.stored.size, s.drops().map(({ reason }) => reason)], [0, ['token_dropper']])
})

test('the batch route takes AI events as v0 takes events, and nothing else', async () => {
  await using s = await setup()
  const ai = { event: '$ai_generation', distinct_id: 'd', properties: { x: 'x'.repeat(2_000_000) } }
  const batch = (events: unknown[]) => JSON.stringify({ api_key: 'phc_test', batch: events })
  const answer = await s.send('/i/v0/ai/batch/', { body: batch([ai, { ...ai, event: '$ai_trace' }]) })
  assert.deepEqual([answer.status, answer.text], [200, '{"status":1}'])
  assert.deepEqual(
    s.messages().map(({ record, message }) => [record.topic, message.event]),
    [
      [topics.ai, '$ai_generation'],
      [topics.ai, '$ai_trace'],
    ],
  )
  const mixed = await s.send('/i/v0/ai/batch', { body: batch([ai, { ...ai, event: '$pageview' }]) })
  assert.deepEqual([mixed.status, s.messages().length], [400, 2])
  assert.match(mixed.text, /AI events only, not '\$pageview'/)
})
