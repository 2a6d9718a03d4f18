/** What capture tells projects about their events, as ingest reads it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCapture } from '../../src/capture/capture.ts'
import { v1ConfigSchema } from '../../src/capture/v1/config.ts'
import { createV1Routes } from '../../src/capture/v1/v1.ts'
import { captureWarningTypes } from '../../src/capture/warnings/warnings.ts'
import { RowmillError } from '../../src/errors/rowmill-error.ts'
import { topics } from '../../src/event/topics.ts'
import { readClientWarning } from '../../src/ingest/steps/client-warning.ts'
import { mayCaptureName } from '../../src/ingest/warnings/register.ts'
import { captureServer, serverNowMs } from '../support/capture-server.ts'

const token = 'phc_warned'
const on = { isEnabled: true, intervalMs: 60_000, keysMax: 100 }

async function setup(warnings = on) {
  const server = await captureServer((ports, config) => {
    const settings = { ...config, warnings, messageBytesMax: 5_000 }
    const v1 = { ...settings, ...v1ConfigSchema.parse({}), aiMessageBytesMax: 5_000 }
    return [...createCapture(ports, settings).routes, ...createV1Routes(ports, v1)]
  })
  return {
    server,
    post: async (path: string, body: unknown, headers: Record<string, string> = {}) =>
      (await server.send(path, { body: JSON.stringify(body), headers })).status,
    /** The warnings as ingest understands them, and the names of the other events. */
    taken() {
      const messages = server.messages()
      const warned = messages.filter(({ record }) => record.topic === topics.clientWarnings)
      const read = warned.map(({ record, message }) => {
        assert.equal(record.key, `${token}:${token}`)
        assert.equal(message.distinct_id, token)
        const { event, properties } = JSON.parse(message.data)
        return readClientWarning({ uuid: message.uuid, distinctId: message.distinct_id, event, properties })
      })
      const events = messages.filter((one) => !warned.includes(one)).map(({ message }) => message.event)
      server.records.length = 0
      return { warnings: read, events }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const event = (changes: object = {}) => ({ event: 'e', distinct_id: 'anna', properties: {}, ...changes })
const batchOf = (...batch: unknown[]) => ({ api_key: token, batch })

test('ingest believes capture every type that it names', () => {
  assert.deepEqual(
    captureWarningTypes.filter((type) => !mayCaptureName(type)),
    [],
  )
})

test('a distinct id that was cut is told with the length that it had, beside the event', async () => {
  await using s = await setup()
  const long = '鞋'.repeat(201)
  const uuid = '0198c0de-0000-7000-8000-000000000007'
  const sdk = { $lib: 'web', $lib_version: '1.2.3' }
  const cut = event({ distinct_id: long, uuid, properties: sdk })
  const inner = event({ distinct_id: undefined, properties: { distinct_id: 'x'.repeat(300) } })
  assert.equal(await s.post('/batch', batchOf(cut, inner, event({ distinct_id: 'y'.repeat(200) }))), 200)
  const { warnings, events } = s.taken()
  assert.deepEqual(events, ['e', 'e', 'e'])
  assert.deepEqual(warnings, [
    {
      type: 'distinct_id_truncated',
      details: {
        eventUuid: uuid,
        distinctId: '鞋'.repeat(200),
        distinct_id_truncated_from: 201,
        lib: 'web',
        libVersion: '1.2.3',
        path: '/batch',
        count: 2,
      },
      pipelineStep: 'capture_validation',
      source: 'capture',
    },
  ])
})

test('refused v0 requests are told where their project is known', async () => {
  await using s = await setup()
  const large = event({ properties: { text: 'x'.repeat(6_000) } })
  assert.equal(await s.post('/e', batchOf(event(), large)), 413)
  assert.equal(await s.post('/batch/', batchOf(event(), event({ distinct_id: ' ' }))), 400)
  assert.equal(await s.post('/e', batchOf(event({ event: '' }))), 400)
  assert.equal(await s.post('/e', { event: 'e', distinct_id: 'no token' }), 401)
  const { warnings, events } = s.taken()
  assert.deepEqual(events, [])
  assert.deepEqual(
    warnings.map(({ type, details }) => [type, details.count, details.path]),
    [
      ['message_size_too_large', 1, '/e'],
      ['missing_distinct_id', 2, '/batch'],
      ['missing_event_name', 1, '/e'],
    ],
  )
})

test('the same is told once in the interval, nothing while it is off, and a log that is down changes no answer', async () => {
  await using s = await setup()
  const wrong = batchOf(event({ distinct_id: '' }))
  for (const _ of [1, 2, 3]) assert.equal(await s.post('/e', wrong), 400)
  assert.equal(s.taken().warnings.length, 1)
  s.server.log.failure = new RowmillError('LOG_UNAVAILABLE', 'The log is away.')
  assert.equal(await s.post('/e', batchOf(event({ event: '' }))), 400)
  assert.equal(await s.server.metrics.value('capture_warnings_lost_total'), 1)
  await using off = await setup({ ...on, isEnabled: false })
  assert.equal(await off.post('/e', wrong), 400)
  assert.equal(await off.post('/e', batchOf(event({ distinct_id: 'x'.repeat(300) }))), 200)
  assert.deepEqual(off.taken().warnings, [])
})

test('what v1 drops is told by type, and what it refuses as a whole', async () => {
  await using s = await setup()
  const now = new Date(serverNowMs).toISOString()
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'user-agent': 'test',
    'posthog-sdk-info': 'posthog-rs/1.2.3',
    'posthog-attempt': '1',
    'posthog-request-id': '0198c0de-0000-7000-8000-0000000000ff',
    'posthog-request-timestamp': now,
  }
  let next = 0
  const one = (changes: object = {}) => ({
    ...event({ timestamp: now, uuid: `0198c0de-0000-7000-8000-${String(++next).padStart(12, '0')}` }),
    ...changes,
  })
  const wrong = [
    one({ event: '' }),
    one({ event: 'n'.repeat(201) }),
    one({ event: 'm'.repeat(300) }),
    one({ distinct_id: '' }),
    one({ distinct_id: 'x'.repeat(201) }),
    one({ timestamp: 'yesterday' }),
    one({ properties: [] }),
    one({ options: { cookieless_mode: 'perhaps' } }),
    one({ properties: { text: 'x'.repeat(6_000) } }),
  ]
  const send = (batch: unknown[]) => s.post('/i/v1/analytics/events', { created_at: now, batch }, headers)
  assert.equal(await send([one(), ...wrong]), 200)
  const { warnings, events } = s.taken()
  assert.deepEqual(events, ['e'])
  assert.deepEqual(
    warnings.map(({ type, details }) => [type, details.count, details.lib]),
    [
      ['missing_event_name', 1, 'posthog-rs'],
      ['event_name_too_long', 2, 'posthog-rs'],
      ['missing_distinct_id', 1, 'posthog-rs'],
      ['distinct_id_too_large', 1, 'posthog-rs'],
      ['invalid_event_timestamp', 1, 'posthog-rs'],
      ['malformed_event_properties', 1, 'posthog-rs'],
      ['invalid_options', 1, 'posthog-rs'],
      ['message_size_too_large', 1, 'posthog-rs'],
    ],
  )
  assert.equal(await send([]), 400)
  assert.equal(await send([one({ uuid: 'u' })]), 400)
  assert.deepEqual(
    s.taken().warnings.map(({ type }) => type),
    ['empty_batch', 'invalid_event_uuid'],
  )
})
