import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { type JsonSpan, protobufExport, tracesJson } from '../../../test/support/otlp-export.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { otelConfigSchema } from './config.ts'
import { createOtelRoutes } from './otel.ts'

function setup(
  options: Parameters<typeof captureServer>[1] = {},
  otel: Parameters<typeof otelConfigSchema.parse>[0] = {},
) {
  return captureServer(
    (ports, config) => createOtelRoutes(ports, { ...config, ...otelConfigSchema.parse(otel) }),
    options,
  )
}

const path = '/i/v0/ai/otel'
const json = { Authorization: 'Bearer phc_test', 'Content-Type': 'application/json' }
const protobuf = { ...json, 'Content-Type': 'application/x-protobuf' }

function span(
  n: number,
  attributes: Record<string, string> = { 'gen_ai.operation.name': 'chat', 'user.id': 'user-1' },
): JsonSpan {
  return {
    traceId: '0102030405060708090a0b0c0d0e0f10',
    spanId: n.toString(16).padStart(16, '0'),
    parentSpanId: '',
    name: 'chat',
    startTimeUnixNano: String(BigInt(serverNowMs - 2000) * 1_000_000n),
    endTimeUnixNano: String(BigInt(serverNowMs - 1000) * 1_000_000n),
    attributes: Object.entries(attributes).map(([key, stringValue]) => ({ key, value: { stringValue } })),
    events: [],
    status: { code: 0, message: '' },
  }
}

const http = { 'http.request.method': 'GET' }

test('AI spans become events on the AI lane, the same from protobuf and from JSON, and the same again', async () => {
  await using s = await setup()
  const traces = tracesJson([], '1.0', [span(1), span(2, http), span(3)])
  const asProtobuf = await s.send(path, {
    headers: { ...protobuf, 'Content-Encoding': 'gzip' },
    body: gzipSync(protobufExport(traces)),
  })
  assert.deepEqual(
    [asProtobuf.status, asProtobuf.headers['content-type'], asProtobuf.body.length],
    [200, 'application/x-protobuf', 0],
  )
  const asJson = await s.send(`${path}/v1/traces`, { headers: json, body: JSON.stringify(traces) })
  assert.deepEqual(
    [asJson.status, asJson.headers['content-type'], asJson.text],
    [200, 'application/json', '{}'],
  )
  const messages = s.messages()
  assert.deepEqual(
    messages.map(({ record, message }) => [record.topic, record.key, message.event]),
    Array(4).fill([topics.ai, 'phc_test:user-1', '$ai_generation']),
  )
  assert.deepEqual(
    messages.slice(0, 2).map(({ message }) => message),
    messages.slice(2).map(({ message }) => message),
    'uuids included',
  )
  assert.notEqual(messages[0]?.message.uuid, messages[1]?.message.uuid)
  assert.equal(Date.parse(messages[0]?.message.timestamp ?? ''), serverNowMs - 2000)
  const data: unknown = JSON.parse(messages[0]?.message.data ?? '')
  assert.ok(data !== null && typeof data === 'object' && 'properties' in data)
})

test('what is shed or dropped is told as rejected, and the export succeeds', async () => {
  const quota = {
    prepare: (cache: {
      sortedAdd(key: string, members: { member: string; score: number }[]): Promise<number>
    }) => cache.sortedAdd('@posthog/quota-limits/llm_events', [{ member: 'phc_over', score: serverNowMs }]),
  }
  await using s = await setup(quota, { aiSpansMax: 2 })
  const body = JSON.stringify(tracesJson([], '', [span(1), span(2), span(3)]))
  const shed = await s.send(path, { headers: json, body })
  assert.deepEqual(
    [shed.status, shed.json()],
    [200, { partialSuccess: { rejectedSpans: '1', errorMessage: '1 over the limit of spans in a request' } }],
  )
  const over = await s.send(path, { headers: { ...json, Authorization: 'Bearer phc_over' }, body })
  assert.deepEqual(over.json(), {
    partialSuccess: {
      rejectedSpans: '3',
      errorMessage: '1 over the limit of spans in a request, billing_limit_exceeded',
    },
  })
  assert.equal(s.messages().length, 2)
  const large = span(9, { 'gen_ai.operation.name': 'chat', x: 'x'.repeat(1_000_000) })
  const tooLarge = await s.send(path, {
    headers: json,
    body: JSON.stringify(tracesJson([], '', [large, span(8)])),
  })
  assert.deepEqual(tooLarge.json(), { partialSuccess: { rejectedSpans: '1', errorMessage: 'event_too_big' } })
  assert.equal(s.messages().length, 3)
})

const body = JSON.stringify(tracesJson([], '', [span(1)]))
const refused: readonly [string, Record<string, string>, string | Buffer, number][] = [
  ['no body', json, '', 400],
  ['no token', { 'Content-Type': 'application/json' }, body, 401],
  ['another content type', { ...json, 'Content-Type': 'text/plain' }, body, 400],
  ['no JSON', json, '{', 400],
  ['no protobuf', protobuf, body, 400],
  ['an unknown encoding', { ...json, 'Content-Encoding': 'br' }, body, 400],
  ['a gzip bomb', { ...json, 'Content-Encoding': 'gzip' }, gzipSync(Buffer.alloc(5_000_000)), 413],
  ['too many bytes', json, `${body}${' '.repeat(4_200_000)}`, 413],
]
test('requests that are no export are refused', async (t) => {
  await using s = await setup()
  for (const [name, headers, sent, status] of refused)
    await t.test(`${name}: ${status}, in the format of the request`, async () => {
      const answer = await s.send(path, { headers, body: sent })
      assert.equal(answer.status, status, answer.text)
      assert.equal(
        answer.headers['content-type'],
        headers === protobuf ? 'application/x-protobuf' : 'application/json',
      )
      assert.equal(s.records.length, 0)
    })
})

test('a log that cannot take events is 503 with Retry-After, so that the exporter repeats', async () => {
  await using s = await setup()
  s.log.failure = new RowmillError('LOG_UNAVAILABLE', 'The log is away.')
  const answer = await s.send(path, { headers: json, body })
  assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '1'])
})
