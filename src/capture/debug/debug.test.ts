import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { captureServer } from '../../../test/support/capture-server.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { createCapture } from '../capture.ts'
import { replayConfigSchema } from '../replay/config.ts'
import { createReplayRoutes } from '../replay/replay.ts'
import { v1ConfigSchema } from '../v1/config.ts'
import { createV1Routes } from '../v1/v1.ts'

async function setup() {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } })
  const server = await captureServer((ports, config) => [
    ...createCapture({ ...ports, logger }, config).routes,
    ...createReplayRoutes({ ...ports, logger }, { ...config, ...replayConfigSchema.parse({}) }),
    ...createV1Routes(
      { ...ports, logger },
      { ...config, ...v1ConfigSchema.parse({}), aiMessageBytesMax: 1_000_000 },
    ),
  ])
  const taken = () => lines.splice(0).map((line): Record<string, unknown> => JSON.parse(line))
  return { server, taken, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const secret = 'properties-are-private'
const event = { event: 'bought', distinct_id: 'anna', properties: { secret } }
const batch = { api_key: 'phc_0123456789', batch: [event, event] }
const asked = { 'x-capture-debug': '1' }

test('a request that asks for it has its way logged on one line, without properties, ids or the token', async () => {
  await using s = await setup()
  const packed = gzipSync(JSON.stringify(batch))
  assert.equal((await s.server.send('/batch', { body: packed, headers: asked })).status, 200)
  const [line, ...others] = s.taken()
  assert.deepEqual(others, [])
  const { level, time: _time, msg: _msg, ...facts } = line ?? {}
  assert.equal(level, 30)
  assert.deepEqual(facts, {
    route: '/batch',
    method: 'POST',
    bytes: packed.length,
    isBeacon: false,
    compression: 'gzip',
    received: 2,
    accepted: 2,
    dropped: 0,
    token: 'phc_0123…',
    status: 200,
  })
  assert.ok(!JSON.stringify(line).includes(secret))
})

test('a refusal is logged with its code, and what was known of the request until then', async () => {
  await using s = await setup()
  const body = JSON.stringify({ ...batch, batch: [{ event: 'nobody', properties: {} }] })
  assert.equal((await s.server.send('/e', { body, headers: asked })).status, 400)
  await s.server.send('/e', { body: '{', headers: asked })
  const [first, second] = s.taken()
  assert.deepEqual(
    [first?.status, first?.refused, first?.received, first?.token],
    [400, 'EVENT_INVALID', 1, 'phc_0123…'],
  )
  assert.deepEqual([second?.status, second?.refused, second?.token], [400, 'EVENT_INVALID', undefined])
})

test('replay and v1 log it too, and nobody who does not ask', async () => {
  await using s = await setup()
  const replay = JSON.stringify({
    ...event,
    event: '$snapshot',
    properties: { token: 'phc_a', $session_id: 's', $snapshot_data: [{ type: 2 }] },
  })
  for (const headers of [{}, asked]) {
    assert.equal((await s.server.send('/s', { body: replay, headers })).status, 200)
    await s.server.send('/i/v1/analytics/events', { body: '{}', headers })
    await s.server.send('/batch', { body: JSON.stringify(batch), headers })
  }
  assert.deepEqual(
    s.taken().map(({ route, status }) => [route, status]),
    [
      ['/s', 200],
      ['/i/v1/analytics/events', 401],
      ['/batch', 200],
    ],
  )
})
