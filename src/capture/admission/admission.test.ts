import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedEvent, smallCache } from '../../../test/support/capture.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { topics } from '../../event/topics.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { createMetrics } from '../../telemetry/metrics.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { openAdmission } from './admission.ts'
import { admissionConfigSchema } from './config.ts'
import { type RestrictionEntry, restrictionKey } from './restrictions.ts'
import type { AdmissionPipeline } from './types.ts'

type Settings = Parameters<typeof admissionConfigSchema.parse>[0]

async function setup(
  settings: Settings,
  prepare: (cache: ReturnType<typeof smallCache>) => Promise<unknown> = async () => {},
) {
  const clock = createManualClock(1_790_000_000_000)
  const cache = smallCache()
  await prepare(cache)
  const metrics = createMetrics()
  const random = { next: () => 0, bytes: (length: number) => Buffer.alloc(length) }
  const logger = createLogger({ level: 'silent' })
  const admission = await openAdmission(
    { cache, clock, metrics, logger, random },
    admissionConfigSchema.parse(settings),
    { signal: new AbortController().signal },
  )
  const one = (changes: Partial<CapturedEvent> = {}, pipeline: AdmissionPipeline = 'analytics') => {
    const { accepted, dropped } = admission.admit([capturedEvent(changes)], pipeline)
    return dropped[0]?.reason ?? accepted[0]
  }
  return {
    clock,
    cache,
    metrics,
    admission,
    one,
    [Symbol.asyncDispose]: () => admission[Symbol.asyncDispose](),
  }
}

const soon = 1_790_000_000 + 1000

async function quota(cache: ReturnType<typeof smallCache>, resource: string, prefix = '') {
  await cache.sortedAdd(`${prefix}@posthog/quota-limits/${resource}`, [{ member: 'phc_a', score: soon }])
}

function entry(changes: Partial<RestrictionEntry> = {}): RestrictionEntry {
  return { version: 2, token: 'phc_a', pipelines: ['analytics'], args: null, ...changes }
}

test('an event goes to its main topic with its key when nothing is against it', async () => {
  await using s = await setup({})
  const routed = s.one()
  assert.ok(typeof routed === 'object')
  assert.deepEqual(
    { topic: routed.topic, key: routed.key, headers: routed.headers },
    { topic: topics.captured, key: 'phc_a:user-1', headers: {} },
  )
})

test('a token over the quota for events loses them, but not its exceptions, surveys and AI events', async () => {
  await using s = await setup({}, (cache) => quota(cache, 'events'))
  const events = [
    capturedEvent(),
    capturedEvent({ event: '$exception', kind: 'exception' }),
    capturedEvent({ event: 'survey sent' }),
    capturedEvent({ event: 'survey sent', data: '{"properties":{"$product_tour_id":"t"}}' }),
    capturedEvent({ event: '$ai_generation', kind: 'ai' }),
    capturedEvent({ token: 'phc_b' }),
  ]
  const { accepted, dropped, quotaLimited } = s.admission.admit(events, 'analytics')
  assert.deepEqual(
    accepted.map(({ event }) => [event.token, event.event]),
    [
      ['phc_a', '$exception'],
      ['phc_a', 'survey sent'],
      ['phc_a', '$ai_generation'],
      ['phc_b', '$pageview'],
    ],
  )
  assert.deepEqual(
    dropped.map(({ reason, details }) => [reason, details]),
    [
      ['billing_limit_exceeded', { resource: 'events' }],
      ['billing_limit_exceeded', { resource: 'events' }],
    ],
  )
  assert.deepEqual(quotaLimited, ['events'])
})

test('a scoped quota takes only its own events away', async () => {
  await using s = await setup({ cacheKeyPrefix: 'x/' }, (cache) => quota(cache, 'llm_events', 'x/'))
  assert.equal(s.one({ event: '$ai_span', kind: 'ai' }), 'billing_limit_exceeded')
  assert.equal(typeof s.one(), 'object')
})

test('recordings have a quota of their own', async () => {
  await using s = await setup({}, (cache) => quota(cache, 'recordings'))
  assert.equal(s.one({ kind: 'replay', sessionId: 's' }, 'session_recordings'), 'billing_limit_exceeded')
  assert.equal(typeof s.one(), 'object')
})

test('what passes while a token over its quota is spared is counted, once and under its own resource first', async () => {
  const spared = [{ member: 'phc_a', score: soon }]
  await using s = await setup({ cacheKeyPrefix: 'x/' }, async (cache) => {
    await cache.sortedAdd('x/@posthog/quota-limiting-suspended/events', spared)
    await cache.sortedAdd('x/@posthog/quota-limiting-suspended/exceptions', spared)
  })
  for (const event of ['$pageview', '$exception', '$ai_generation'])
    assert.equal(typeof s.one({ event }), 'object')
  s.one({ token: 'phc_b' })
  const name = 'capture_events_admitted_during_billing_grace_period_total'
  assert.equal(await s.metrics.value(name, { resource: 'events' }), 2)
  assert.equal(await s.metrics.value(name, { resource: 'exceptions' }), 1)
  await s.clock.advance(1_001_000)
  s.one()
  assert.equal(await s.metrics.value(name, { resource: 'events' }), 2)
})

test('a quota is noticed within the refresh interval, ends at its time, and survives a cache that is down', async () => {
  await using s = await setup({})
  assert.equal(typeof s.one(), 'object')
  await quota(s.cache, 'events')
  await s.clock.advance(5_000)
  assert.equal(s.one(), 'billing_limit_exceeded')
  s.cache.isDown = true
  await s.clock.advance(60_000)
  assert.equal(s.one(), 'billing_limit_exceeded')
  assert.ok((await s.metrics.value('capture_admission_refresh_failures_total', { source: 'quotas' })) > 0)
  await s.clock.advance(1_000_000)
  assert.equal(typeof s.one(), 'object')
})

test('a cache that is down at the start lets everything pass', async () => {
  await using s = await setup({ restrictions: { isEnabled: true } }, async (cache) => {
    cache.isDown = true
  })
  assert.equal(typeof s.one(), 'object')
})

test('the token dropper drops whole tokens and single ids', async () => {
  await using s = await setup({ dropEvents: ['phc_a:user-1', 'phc_b', 'phc_c:*', 'phc_d:a:b'] })
  assert.equal(s.one(), 'token_dropper')
  assert.equal(typeof s.one({ distinctId: 'user-2' }), 'object')
  assert.equal(s.one({ token: 'phc_b' }), 'token_dropper')
  assert.equal(s.one({ token: 'phc_c' }), 'token_dropper')
  assert.equal(s.one({ token: 'phc_d', distinctId: 'a:b' }), 'token_dropper')
})

test('each restriction type does what it says, and the first of dlq, topic and overflow wins', async () => {
  const types = {
    drop_event_from_ingestion: entry({ event_names: ['drop me'] }),
    force_overflow_from_ingestion: entry(),
    redirect_to_dlq: entry({ distinct_ids: ['dead'] }),
    skip_person_processing: entry({ distinct_ids: ['no-person'] }),
    redirect_to_topic: entry({ distinct_ids: ['dead', 'elsewhere'], args: { topic: 'mine' } }),
  } as const
  await using s = await setup(
    { restrictions: { isEnabled: true }, customTopics: ['mine'] },
    async (cache) => {
      for (const [type, value] of Object.entries(types))
        cache.texts.set(`event_ingestion_restriction_dynamic_config:${type}`, JSON.stringify([value]))
    },
  )
  assert.equal(s.one({ event: 'drop me' }), 'event_restriction')
  const overflow = s.one()
  assert.ok(typeof overflow === 'object')
  assert.deepEqual([overflow.topic, overflow.key], [topics.overflow, 'phc_a:user-1'])
  const dead = s.one({ distinctId: 'dead' })
  assert.ok(typeof dead === 'object')
  assert.equal(dead.topic, topics.deadLetters)
  assert.deepEqual(dead.headers, {
    dlq_reason: 'event_restriction',
    dlq_step: 'capture',
    dlq_timestamp: new Date(s.clock.now()).toISOString(),
  })
  const elsewhere = s.one({ distinctId: 'elsewhere' })
  assert.ok(typeof elsewhere === 'object')
  assert.deepEqual([elsewhere.topic, elsewhere.key], ['mine', 'phc_a:elsewhere'])
  const spread = s.one({ distinctId: 'no-person' })
  assert.ok(typeof spread === 'object')
  assert.deepEqual(
    [spread.topic, spread.key, spread.event.isPersonProcessingOff],
    [topics.overflow, null, true],
  )
  const exception = s.one({ kind: 'exception', event: '$exception' })
  assert.ok(typeof exception === 'object')
  assert.equal(exception.topic, topics.exceptions, 'the entry is not for errortracking')
})

test('heatmaps and warnings are never restricted', async () => {
  await using s = await setup({ restrictions: { isEnabled: true } }, async (cache) => {
    cache.texts.set(restrictionKey('drop_event_from_ingestion'), JSON.stringify([entry()]))
  })
  assert.equal(s.one(), 'event_restriction')
  assert.equal(typeof s.one({ kind: 'heatmap', event: '$$heatmap' }), 'object')
  assert.equal(typeof s.one({ kind: 'client-warning' }), 'object')
})

test('restrictions are let go when they could not be read for too long, and kept until then', async () => {
  await using s = await setup(
    { restrictions: { isEnabled: true, failOpenAfterSeconds: 300 } },
    async (cache) => {
      cache.texts.set(restrictionKey('drop_event_from_ingestion'), JSON.stringify([entry()]))
    },
  )
  s.cache.texts.set(restrictionKey('redirect_to_dlq'), 'no json')
  await s.clock.advance(299_000)
  assert.equal(s.one(), 'event_restriction')
  await s.clock.advance(2_000)
  assert.equal(typeof s.one(), 'object')
  s.cache.texts.delete(restrictionKey('redirect_to_dlq'))
  await s.clock.advance(30_000)
  assert.equal(s.one(), 'event_restriction')
})

test('old events are rerouted when asked for, and marked', async () => {
  await using s = await setup({ historicalRerouting: true })
  const old = s.one({ timestampMs: 1_790_000_000_000 - 86_400_000 })
  assert.ok(typeof old === 'object')
  assert.deepEqual([old.topic, old.key, old.event.isHistorical], [topics.historical, 'phc_a:user-1', true])
  const young = s.one({ timestampMs: 1_790_000_000_000 - 86_399_999 })
  assert.ok(typeof young === 'object' && young.topic === topics.captured)
  const exception = s.one({ kind: 'exception', timestampMs: 0 })
  assert.ok(typeof exception === 'object' && exception.topic === topics.exceptions)
})

test('a hot key overflows and comes back when its bucket has filled; forced keys always overflow', async () => {
  await using s = await setup({
    overflow: { isEnabled: true, burstMax: 2, perSecondMax: 1, forcedKeys: ['phc_f', 'phc_a:forced'] },
  })
  const topicsOf = (count: number) =>
    Array.from({ length: count }, () => s.one()).map(
      (routed) => typeof routed === 'object' && [routed.topic, routed.key],
    )
  assert.deepEqual(topicsOf(3), [
    [topics.captured, 'phc_a:user-1'],
    [topics.captured, 'phc_a:user-1'],
    [topics.overflow, null],
  ])
  await s.clock.advance(1_000)
  assert.deepEqual(topicsOf(2), [
    [topics.captured, 'phc_a:user-1'],
    [topics.overflow, null],
  ])
  for (const forced of [s.one({ token: 'phc_f' }), s.one({ distinctId: 'forced' })]) {
    assert.ok(typeof forced === 'object')
    assert.deepEqual(
      [forced.topic, forced.key, forced.event.isPersonProcessingOff],
      [topics.overflow, null, true],
    )
  }
})

test('locality keeps the key in overflow', async () => {
  await using s = await setup({ overflow: { isEnabled: true, burstMax: 1, keepsLocality: true } })
  s.one()
  const routed = s.one()
  assert.ok(typeof routed === 'object')
  assert.deepEqual([routed.topic, routed.key], [topics.overflow, 'phc_a:user-1'])
})

test('the rate limit switches person processing off for the id that sends too much, in all processes', async () => {
  const settings = { rateLimit: { isEnabled: true, eventsMax: 3, overrides: ['phc_a:busy=5'] } }
  await using s = await setup(settings)
  const events = Array.from({ length: 4 }, () => capturedEvent())
  const { accepted, limited } = s.admission.admit(events, 'analytics')
  assert.deepEqual(
    accepted.map(({ topic, key, event }) => [topic, key, event.isPersonProcessingOff]).slice(2),
    [
      [topics.captured, 'phc_a:user-1', false],
      [topics.overflow, null, true],
    ],
  )
  assert.deepEqual([...limited], [events[3]])
  assert.equal(
    s.admission.admit(
      Array.from({ length: 5 }, () => capturedEvent({ distinctId: 'busy' })),
      'analytics',
    ).limited.size,
    0,
  )
  // Another process has counted as well: the exchange makes both known to each other.
  const windowNumber = Math.floor(s.clock.now() / 60_000)
  await s.cache.increment(`@rowmill/rate-limit/events:phc_a:other:${windowNumber}`, 10)
  assert.equal(s.admission.admit([capturedEvent({ distinctId: 'other' })], 'analytics').limited.size, 0)
  await s.clock.advance(15_000)
  assert.equal(s.admission.admit([capturedEvent({ distinctId: 'other' })], 'analytics').limited.size, 1)
})

test('AI events beyond the byte budget are dropped, and too large ones before they spend any', async () => {
  await using s = await setup({ aiBytesPerSecondMax: 20, aiEventBytesMax: 1000 })
  const ai = (bytes: number) => s.one({ kind: 'ai', event: '$ai_generation', data: 'x'.repeat(bytes) })
  assert.equal(ai(1001), 'ai_event_too_big')
  assert.equal(typeof ai(600), 'object')
  assert.equal(ai(600), 'ai_byte_limit')
})

test('a token has its own budget of AI bytes beside the common one, and 0 is no limit', async () => {
  await using s = await setup({
    aiBytesPerSecondMax: 20,
    aiBytesPerSecondOverrides: ['phc_more=40', 'phc_less=5', 'phc_free=0'],
  })
  const sent = (token: string, events: number) =>
    Array.from({ length: events }, () =>
      s.one({ token, kind: 'ai', event: '$ai_generation', data: 'x'.repeat(488) }),
    ).map((verdict) => verdict === 'ai_byte_limit')
  // An event weighs 1000 bytes; a budget holds for a minute.
  assert.deepEqual(sent('phc_a', 2), [false, true])
  assert.deepEqual(sent('phc_more', 3), [false, false, true])
  assert.deepEqual(sent('phc_less', 1), [true])
  assert.deepEqual(sent('phc_free', 5), [false, false, false, false, false])
})

test('a budget of one token holds without a common one, and is shared through the cache', async () => {
  await using s = await setup({ aiBytesPerSecondOverrides: ['phc_a=20'], rateLimit: { syncSeconds: 0.01 } })
  const ai = (token: string) => s.one({ token, kind: 'ai', event: '$ai_span', data: 'x'.repeat(488) })
  assert.equal(typeof ai('phc_a'), 'object')
  assert.equal(ai('phc_a'), 'ai_byte_limit')
  for (let count = 0; count < 5; count++) assert.equal(typeof ai('phc_b'), 'object')
  await s.clock.advance(10)
  assert.deepEqual(
    [...s.cache.texts]
      .filter(([key]) => key.includes('ai-bytes'))
      .map(([key, value]) => [key.split(':')[1], value]),
    [['phc_a', '2000']],
  )
})

test('a budget that is no number is refused at start', async () => {
  for (const override of ['phc_a', 'phc_a=', 'phc_a=-1', '=5'])
    await assert.rejects(setup({ aiBytesPerSecondOverrides: [override] }), { code: 'CONFIG_INVALID' })
})

test('a replay session on the overflow list goes to its own overflow topic with its session as key', async () => {
  await using s = await setup({}, (cache) =>
    cache.sortedAdd('@posthog/capture-overflow/replay', [{ member: 'hot', score: soon }]),
  )
  const hot = s.one({ kind: 'replay', sessionId: 'hot' }, 'session_recordings')
  const cold = s.one({ kind: 'replay', sessionId: 'cold' }, 'session_recordings')
  assert.ok(typeof hot === 'object' && typeof cold === 'object')
  assert.deepEqual(
    [hot.topic, hot.key, cold.topic, cold.key],
    [topics.replayOverflow, 'hot', topics.replay, 'cold'],
  )
})

test('closing twice is allowed', async () => {
  const s = await setup({})
  await s.admission[Symbol.asyncDispose]()
  await s.admission[Symbol.asyncDispose]()
})
