import assert from 'node:assert/strict'
import { test } from 'node:test'
import { captureServer, serverNowMs } from '../../../test/support/capture-server.ts'
import { topics } from '../../event/topics.ts'
import { admissionConfigSchema } from '../admission/config.ts'
import { aiConfigSchema } from '../ai/config.ts'
import { otelConfigSchema } from '../otel/config.ts'
import { replayConfigSchema } from '../replay/config.ts'
import { v1ConfigSchema } from '../v1/config.ts'
import type { CaptureMode } from './config.ts'
import { admissionOfMode, createRoutes } from './mode.ts'

const token = 'phc_test'
const admission = admissionConfigSchema.parse({})

async function setup(mode: CaptureMode) {
  return await captureServer((ports, { aiLanePredicate: _predicate, ...capture }) =>
    createRoutes(
      { ...ports, blobs: { put: async () => {} } },
      {
        ...capture,
        mode,
        admission,
        v1: v1ConfigSchema.parse({}),
        replay: replayConfigSchema.parse({}),
        ai: aiConfigSchema.parse({}),
        otel: otelConfigSchema.parse({}),
      },
    ),
  )
}

const v0Paths = ['/e', '/i/v0/e', '/capture', '/track', '/engage', '/batch', '/test/black_hole']
const served: Record<CaptureMode, readonly string[]> = {
  all: [
    ...v0Paths,
    '/s',
    '/i/v0/ai',
    '/i/v0/ai/batch',
    '/i/v0/ai/otel',
    '/i/v0/ai/otel/v1/traces',
    '/i/v1/analytics/events',
    '/i/v1/ai/events',
  ],
  events: [
    ...v0Paths,
    '/i/v0/ai',
    '/i/v0/ai/batch',
    '/i/v0/ai/otel',
    '/i/v0/ai/otel/v1/traces',
    '/i/v1/analytics/events',
  ],
  recordings: ['/s'],
  ai: [
    ...v0Paths,
    '/i/v0/ai',
    '/i/v0/ai/batch',
    '/i/v0/ai/otel',
    '/i/v0/ai/otel/v1/traces',
    '/i/v1/analytics/events',
    '/i/v1/ai/events',
  ],
  import: [...v0Paths, '/i/v0/ai/batch', '/i/v1/analytics/events'],
}

for (const mode of ['all', 'events', 'recordings', 'ai', 'import'] as const)
  test(`the mode ${mode} has its routes and no others`, async () => {
    await using s = await setup(mode)
    for (const path of served.all) {
      const { status } = await s.send(`${path}/`, { method: 'OPTIONS' })
      assert.equal(status, served[mode].includes(path) ? 200 : 404, path)
    }
  })

const event = (name: string) => ({ event: name, distinct_id: 'd', properties: {} })
const batch = (names: readonly string[], more: Record<string, unknown> = {}) =>
  JSON.stringify({ api_key: token, batch: names.map(event), ...more })

function v1(names: readonly string[], more: Record<string, unknown> = {}) {
  const now = new Date(serverNowMs).toISOString()
  const events = names.map((name, index) => ({
    ...event(name),
    uuid: `0198c0de-0000-7000-8000-00000000000${index}`,
    timestamp: now,
  }))
  return {
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      'User-Agent': 'test',
      'PostHog-Sdk-Info': 'lib/1',
      'PostHog-Attempt': '1',
      'PostHog-Request-Id': '0198c0de-0000-7000-8000-000000000001',
      'PostHog-Request-Timestamp': now,
    },
    body: JSON.stringify({ created_at: now, batch: events, ...more }),
  }
}

function resultsOf(answer: { json: () => unknown }): string[] {
  const { results } = answer.json() as { results: Record<string, { result: string; details?: string }> }
  return Object.values(results).map(({ result, details }) => (details === undefined ? result : details))
}

test('the mode ai refuses v0 requests with another event, and drops it alone in v1', async () => {
  await using s = await setup('ai')
  const refused = await s.send('/batch', { body: batch(['$ai_span', 'paid']) })
  assert.equal(refused.status, 400)
  assert.match(refused.text, /AI events only, not 'paid'/)
  assert.equal((await s.send('/e', { body: batch(['$ai_span']) })).status, 200)
  const answer = await s.send('/i/v1/analytics/events', v1(['$ai_span', 'paid']))
  assert.deepEqual(resultsOf(answer), ['ok', 'misrouted_event'])
  assert.deepEqual(
    s.messages().map(({ record }) => record.topic),
    [topics.ai, topics.ai],
  )
})

test('the mode import keeps historical batches, and drops others with a written reason', async () => {
  await using s = await setup('import')
  assert.equal((await s.send('/batch', { body: batch(['old'], { historical_migration: true }) })).status, 200)
  assert.equal((await s.send('/batch', { body: batch(['new']) })).status, 200)
  assert.deepEqual(
    resultsOf(await s.send('/i/v1/analytics/events', v1(['older'], { historical_migration: true }))),
    ['ok'],
  )
  assert.deepEqual(resultsOf(await s.send('/i/v1/analytics/events', v1(['newer', 'newest']))), [
    'non_historical_import_drop',
    'non_historical_import_drop',
  ])
  assert.deepEqual(
    s.messages().map(({ record, message }) => [record.topic, message.event]),
    [
      [topics.historical, 'old'],
      [topics.historical, 'older'],
    ],
  )
  assert.deepEqual(
    s.drops().map(({ event: name, reason }) => [name, reason]),
    ['new', 'newer', 'newest'].map((name) => [name, 'non_historical_import']),
  )
})

test('the mode import has neither the rate limit nor the AI byte budget', () => {
  const config = admissionConfigSchema.parse({
    rateLimit: { isEnabled: true },
    aiBytesPerSecondMax: 1,
    aiBytesPerSecondOverrides: ['phc_a=1'],
  })
  assert.equal(admissionOfMode('events', config), config)
  const { rateLimit, aiBytesPerSecondMax, aiBytesPerSecondOverrides } = admissionOfMode('import', config)
  assert.deepEqual([rateLimit.isEnabled, aiBytesPerSecondMax, aiBytesPerSecondOverrides], [false, 0, []])
})
