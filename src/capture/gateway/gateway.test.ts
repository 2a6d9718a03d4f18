import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { capturedEvent } from '../../../test/support/capture.ts'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { Secret } from '../../std/secret.ts'
import { createMetrics } from '../../telemetry/metrics.ts'
import { createAiRoutes } from '../ai/ai.ts'
import { aiConfigSchema } from '../ai/config.ts'
import { createCapture } from '../capture.ts'
import { dataText } from '../captured-event.ts'
import { otelConfigSchema } from '../otel/config.ts'
import { createOtelRoutes } from '../otel/otel.ts'
import { v1ConfigSchema } from '../v1/config.ts'
import { createV1Routes } from '../v1/v1.ts'
import { createGateway } from './gateway.ts'
import { signFields } from './signature.ts'

const secret = 'test-signing-secret'
const token = 'phc_test'
const uuid = '0198c0de-0000-7000-8000-000000000001'

async function setup(given: { secret?: string | undefined; overQuota?: boolean } = {}) {
  const { overQuota = false } = given
  return await captureServer(
    (ports, capture) => {
      const key = 'secret' in given ? given.secret : secret
      const config = { ...capture, ...(key === undefined ? {} : { gatewaySigningSecret: new Secret(key) }) }
      return [
        ...createCapture(ports, config).routes,
        ...createV1Routes(ports, { ...config, ...v1ConfigSchema.parse({}), aiMessageBytesMax: 1_000_000 }),
        ...createAiRoutes(
          { ...ports, blobs: { put: async () => {} } },
          { ...aiConfigSchema.parse({}), capture: config },
        ),
        ...createOtelRoutes(ports, { ...config, ...otelConfigSchema.parse({}) }),
      ]
    },
    {
      prepare: async (cache) => {
        if (overQuota)
          await cache.sortedAdd('@posthog/quota-limits/llm_events', [
            { member: token, score: serverNowMs / 1000 + 1e6 },
          ])
      },
    },
  )
}

type Signing = { distinctId?: string; requestId?: string; signedAtMs?: number; key?: string }

function signed({
  distinctId = 'user-7',
  requestId = 'req-1',
  signedAtMs = serverNowMs,
  key = secret,
}: Signing = {}) {
  const signedAt = new Date(signedAtMs).toISOString()
  return {
    'PostHog-Ai-Gateway-Signature': signFields(key, [token, distinctId, requestId, signedAt]),
    'PostHog-Ai-Gateway-Signed-At': signedAt,
    'PostHog-Ai-Gateway-Request-Id': requestId,
  }
}

const now = new Date(serverNowMs).toISOString()
const v1Headers = {
  Authorization: `Bearer ${token}`,
  'Content-Type': 'application/json',
  'User-Agent': 'test',
  'PostHog-Sdk-Info': 'lib/1',
  'PostHog-Attempt': '1',
  'PostHog-Request-Id': uuid,
  'PostHog-Request-Timestamp': now,
}
const v1Body = (properties: string, event = '$ai_generation') =>
  `{"created_at":"${now}","batch":[{"event":"${event}","uuid":"${uuid}","distinct_id":"user-7","timestamp":"${now}","properties":${properties}}]}`
const claims =
  '{"$ai_model":"m","$ai_gateway_verified":true,"$ai_gateway_request_id":"forged","$ai_gateway_cost":1}'

type Server = Awaited<ReturnType<typeof setup>>

function propertiesOf(server: Server): Record<string, unknown> {
  const { properties } = JSON.parse(server.messages()[0]?.message.data ?? '{}')
  const { $lib: _lib, $lib_version: _version, ...rest } = properties
  return rest
}

function reasons(server: Server, reason: string): Promise<number> {
  return server.metrics.value('capture_v1_gateway_provenance', { reason })
}

async function sendV1(server: Server, headers: Record<string, string>, properties = claims) {
  const answer = await server.send('/i/v1/analytics/events', {
    headers: { ...v1Headers, ...headers },
    body: v1Body(properties),
  })
  assert.equal(answer.status, 200, answer.text)
}

test('a signature that holds marks the event with what was signed, and keeps what it says', async () => {
  await using s = await setup()
  await sendV1(s, signed())
  assert.deepEqual(propertiesOf(s), {
    $ai_model: 'm',
    $ai_gateway_cost: 1,
    $ai_gateway_verified: true,
    $ai_gateway_request_id: 'req-1',
  })
  assert.equal(await reasons(s, 'verified'), 1)
})

const untrusted: readonly [string, Record<string, string>, string][] = [
  ['no signature', {}, 'forged'],
  ['the signature of another distinct id', signed({ distinctId: 'user-8' }), 'forged'],
  ['the signature of another secret', signed({ key: 'another' }), 'forged'],
  ['a signature without a request id', signed({ requestId: '' }), 'forged'],
  ['a signature that is none', { ...signed(), 'PostHog-Ai-Gateway-Signature': 'zz' }, 'forged'],
  ['an old signature', signed({ signedAtMs: serverNowMs - 301_000 }), 'forged'],
  ['a signature of the future', signed({ signedAtMs: serverNowMs + 301_000 }), 'forged'],
]
for (const [name, headers, reason] of untrusted)
  test(`${name} leaves nothing of the gateway's properties`, async () => {
    await using s = await setup()
    await sendV1(s, headers)
    assert.deepEqual(propertiesOf(s), { $ai_model: 'm' })
    assert.equal(await reasons(s, reason), 1)
  })

test('without a secret no signature holds', async () => {
  await using s = await setup({ secret: undefined })
  await sendV1(s, signed({ key: '' }))
  assert.deepEqual(propertiesOf(s), { $ai_model: 'm' })
})

test('a stale signature and left-over properties are told apart from forgery', async () => {
  await using s = await setup()
  await sendV1(s, signed({ signedAtMs: serverNowMs - 301_000 }), '{"$ai_gateway_cost":1}')
  await sendV1(s, {}, '{"$ai_gateway_cost":1}')
  await sendV1(s, {}, '{"$ai_model":"\\u00e9 $ai_gateway"}')
  assert.deepEqual(
    [await reasons(s, 'stale'), await reasons(s, 'stripped'), await reasons(s, 'forged')],
    [1, 1, 0],
  )
})

test('a name hidden behind an escape is found', async () => {
  await using s = await setup()
  await sendV1(s, {}, '{"\\u0024ai_gateway_verified":true,"$ai_model":"m"}')
  assert.deepEqual(propertiesOf(s), { $ai_model: 'm' })
})

test('a verified event passes the quota of AI events, others do not', async () => {
  await using s = await setup({ overQuota: true })
  await sendV1(s, signed())
  assert.equal(s.messages().length, 1)
  const answer = await s.send('/i/v1/analytics/events', { headers: v1Headers, body: v1Body(claims) })
  assert.equal(answer.status, 402)
})

test('only events of AI are judged', async () => {
  await using s = await setup()
  await s.send('/i/v1/analytics/events', { headers: v1Headers, body: v1Body(claims, 'paid') })
  assert.equal(propertiesOf(s).$ai_gateway_request_id, 'forged')
})

for (const [name, wrap] of [
  ['plain', (text: string) => text],
  ['packed', (text: string) => gzipSync(text)],
] as const)
  test(`v0 strips and believes alike, ${name}`, async () => {
    await using s = await setup()
    const body = `{"api_key":"${token}","event":"$ai_generation","distinct_id":"user-7","properties":${claims}}`
    assert.equal((await s.send('/i/v0/e', { body: wrap(body) })).status, 200)
    assert.deepEqual(propertiesOf(s), { $ai_model: 'm' })
    assert.equal((await s.send('/i/v0/e', { body: wrap(body), headers: signed() })).status, 200)
    const { properties } = JSON.parse(s.messages()[1]?.message.data ?? '{}')
    assert.equal(properties.$ai_gateway_request_id, 'req-1')
  })

test('an AI form is stripped too', async () => {
  await using s = await setup()
  const event = `{"event":"$ai_generation","distinct_id":"user-7","properties":${claims}}`
  const body = `--x\r\nContent-Disposition: form-data; name="event"\r\nContent-Type: application/json\r\n\r\n${event}\r\n--x--\r\n`
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'multipart/form-data; boundary=x' }
  assert.equal((await s.send('/i/v0/ai', { headers, body })).status, 200)
  assert.deepEqual(propertiesOf(s), { $ai_model: 'm' })
})

test('the signature of an export is the one that PostHog computes', async () => {
  // The known answer of PostHog's own test of its capture.
  const headers = {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'gzip',
    'posthog-ai-gateway-signature': '158b5ca0acb887eafbcfce9c871bfb6c11b0ccd58837f9f3346b88dd952ead89',
    'posthog-ai-gateway-signed-at': '2026-07-16T12:34:56.12Z',
    'posthog-ai-gateway-request-id': 'req-123',
  }
  const metrics = createMetrics()
  const gateway = createGateway(metrics, { gatewaySigningSecret: new Secret(secret) })
  const nowMs = Date.parse('2026-07-16T12:34:56.120Z')
  const judge = (body: readonly number[], atMs = nowMs) =>
    gateway.judgeExport([capturedEvent({ event: '$ai_span', data: `{"properties":${claims}}` })], {
      headers,
      nowMs: atMs,
      token,
      body: Buffer.from(body),
    })[0]
  const verified = judge([0x0a, 0x02, 0x01, 0x02])
  assert.equal(verified?.isGatewayVerified, true)
  assert.deepEqual(JSON.parse(dataText(verified.data)).properties, {
    $ai_model: 'm',
    $ai_gateway_verified: true,
    $ai_gateway_request_id: 'req-123',
    $ai_gateway_relay: true,
  })
  for (const other of [judge([0x0a]), judge([0x0a, 0x02, 0x01, 0x02], nowMs + 301_000)]) {
    assert.equal(other?.isGatewayVerified, undefined)
    assert.deepEqual(JSON.parse(dataText(other?.data ?? '')).properties, { $ai_model: 'm' })
  }
  for (const reason of ['verified', 'invalid', 'stale'])
    assert.equal(await metrics.value('capture_ai_otel_gateway_provenance', { reason }), 1, reason)
})

test('an export by HTTP is verified over the body as it was sent', async () => {
  await using s = await setup()
  const attribute = (key: string, value: string) => ({ key, value: { stringValue: value } })
  const span = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    name: 'chat',
    startTimeUnixNano: String(serverNowMs * 1e6),
    endTimeUnixNano: String((serverNowMs + 5) * 1e6),
    attributes: [attribute('gen_ai.operation.name', 'chat'), attribute('$ai_gateway_verified', 'yes')],
  }
  const body = gzipSync(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))
  const base = {
    Authorization: `Bearer ${token}`,
    'Content-Type': 'application/json',
    'Content-Encoding': 'gzip',
  }
  assert.equal((await s.send('/i/v0/ai/otel', { headers: base, body })).status, 200)
  assert.equal(propertiesOf(s).$ai_gateway_verified, undefined)
  const digest = createHash('sha256').update(body).digest('hex')
  const fields = [token, 'otel-v1', 'application/json', 'gzip', digest, 'req-9', now]
  const headers = {
    ...base,
    'PostHog-Ai-Gateway-Signature': signFields(secret, fields),
    'PostHog-Ai-Gateway-Signed-At': now,
    'PostHog-Ai-Gateway-Request-Id': 'req-9',
  }
  assert.equal((await s.send('/i/v0/ai/otel', { headers, body })).status, 200)
  const { properties } = JSON.parse(s.messages()[1]?.message.data ?? '{}')
  assert.deepEqual([properties.$ai_gateway_verified, properties.$ai_gateway_request_id], [true, 'req-9'])
})
