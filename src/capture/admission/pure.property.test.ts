import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { capturedEvent, smallCache } from '../../../test/support/capture.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { topics } from '../../event/topics.ts'
import type { CapturedEvent } from '../captured-event.ts'
import { type AddressClaims, addressOf, eventKey } from './address.ts'
import { createOverflowLimiter } from './overflow-limiter.ts'
import { matchRestrictions, parseRestrictions } from './restrictions.ts'
import { createSlidingWindow, slidingCount } from './sliding-window.ts'

const kinds = fc.constantFrom<CapturedEvent['kind']>(
  'analytics',
  'ai',
  'exception',
  'heatmap',
  'client-warning',
  'replay',
)
const claims: fc.Arbitrary<AddressClaims> = fc.record({
  deadLetters: fc.boolean(),
  topic: fc.constantFrom(undefined, 'mine'),
  historical: fc.boolean(),
  overflow: fc.constantFrom('none', 'keep-key', 'spread'),
})

test('the address follows the order dlq, custom topic, historical, overflow, main for every event', () => {
  fc.assert(
    fc.property(
      kinds,
      claims,
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom('', 'ai_overflow'),
      (kind, claim, isPersonProcessingOff, isCookieless, aiOverflow) => {
        const event = capturedEvent({ kind, isPersonProcessingOff, isCookieless, sessionId: 'session' })
        const { topic, key } = addressOf(event, claim, aiOverflow)
        assert.equal(eventKey(event), isCookieless ? 'phc_a:10.0.0.1' : 'phc_a:user-1')
        if (claim.deadLetters) return assert.deepEqual([topic, key], [topics.deadLetters, eventKey(event)])
        if (claim.topic !== undefined) return assert.deepEqual([topic, key], ['mine', eventKey(event)])
        if (kind === 'analytics' && claim.historical)
          return assert.deepEqual([topic, key], [topics.historical, eventKey(event)])
        const overflows = claim.overflow !== 'none'
        const expected = {
          analytics: overflows ? topics.overflow : topics.captured,
          ai: overflows && aiOverflow !== '' ? aiOverflow : topics.ai,
          exception: topics.exceptions,
          heatmap: topics.heatmaps,
          'client-warning': topics.clientWarnings,
          replay: overflows ? topics.replayOverflow : topics.replay,
        }
        assert.equal(topic, expected[kind])
        if (kind === 'replay') assert.equal(key, 'session')
        else if (key === null)
          assert.ok(
            kind === 'analytics'
              ? isPersonProcessingOff || claim.overflow === 'spread'
              : topic === aiOverflow,
          )
      },
    ),
  )
})

test('restrictions match as their filters say: all fields, any value, empty matches everything', () => {
  const values = fc.subarray(['a', 'b', 'c'])
  const value = fc.constantFrom('a', 'b', 'c')
  const entries = fc.array(
    fc.record({
      version: fc.constantFrom(1, 2),
      token: fc.constantFrom('t1', 't2'),
      pipelines: fc.subarray(['analytics', 'ai']),
      distinct_ids: values,
      session_ids: values,
      event_names: values,
      event_uuids: values,
    }),
    { maxLength: 4 },
  )
  const events = fc.record({
    token: fc.constantFrom('t1', 't2'),
    distinctId: value,
    sessionId: fc.option(value),
    event: value,
    uuid: value,
  })
  fc.assert(
    fc.property(entries, events, (list, event) => {
      const rules = parseRestrictions({ drop_event_from_ingestion: JSON.stringify(list) }, () => true)
      const allows = (filter: string[], given: string | null) =>
        filter.length === 0 || (given !== null && filter.includes(given))
      const expected = list.some(
        (item) =>
          item.version === 2 &&
          item.token === event.token &&
          item.pipelines.includes('analytics') &&
          allows(item.distinct_ids, event.distinctId) &&
          allows(item.session_ids, event.sessionId) &&
          allows(item.event_names, event.event) &&
          allows(item.event_uuids, event.uuid),
      )
      assert.equal(matchRestrictions(rules, event, 'analytics')?.drops ?? false, expected)
    }),
  )
})

test('redirections to a missing or unknown topic are left out, and of several the last by index wins', () => {
  const redirect = (index: number, args: unknown) => ({
    version: 2,
    token: 't',
    pipelines: ['analytics'],
    index,
    args,
  })
  const texts = {
    redirect_to_topic: JSON.stringify([
      redirect(3, { topic: 'unknown' }),
      redirect(2, { topic: 'two' }),
      redirect(1, { topic: 'one' }),
      redirect(4, {}),
      redirect(5, null),
    ]),
  }
  const rules = parseRestrictions(texts, (topic) => topic !== 'unknown')
  const event = { token: 't', distinctId: 'd', sessionId: null, event: 'e', uuid: 'u' }
  assert.equal(matchRestrictions(rules, event, 'analytics')?.topic, 'two')
  assert.equal(matchRestrictions(rules, { ...event, token: 'other' }, 'analytics'), undefined)
})

test('a bucket never lets more pass than its burst and its rate over the time allow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 10 }),
      fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 40 }),
      async (burstMax, perSecondMax, waits) => {
        const clock = createManualClock()
        let nowMs = 0
        const limiter = createOverflowLimiter(
          { ...clock, monotonic: () => nowMs },
          { burstMax, perSecondMax, forcedKeys: [], keysMax: 10 },
        )
        let passed = 0
        for (const wait of waits) {
          nowMs += wait
          if (limiter.take('t:d', 't') === 'within') passed += 1
          assert.ok(passed <= burstMax + (nowMs / 1000) * perSecondMax + 1e-6)
          limiter.sweep()
        }
      },
    ),
  )
})

test('two processes that exchange their counts agree on what one would have counted', async () => {
  const amounts = fc.array(
    fc.record({
      process: fc.constantFrom(0, 1),
      amount: fc.integer({ min: 1, max: 5 }),
      waitMs: fc.integer({ min: 0, max: 8_000 }),
    }),
    { maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(amounts, async (steps) => {
      const cache = smallCache()
      let nowMs = 600_000
      const clock = { ...createManualClock(), now: () => nowMs }
      const counted = new Map<number, number>()
      const open = () =>
        createSlidingWindow(
          { cache, clock },
          { prefix: 'p', windowMs: 10_000, thresholdOf: () => 20, keysMax: 10, syncKeysMax: 10 },
        )
      const windows = [open(), open()]
      for (const { process, amount, waitMs } of steps) {
        nowMs += waitMs
        for (const window of windows) await window.sync()
        windows[process]?.charge('k', amount)
        const number = Math.floor(nowMs / 10_000)
        counted.set(number, (counted.get(number) ?? 0) + amount)
        for (const window of windows) await window.sync()
        const exact = slidingCount(
          counted.get(number) ?? 0,
          counted.get(number - 1) ?? 0,
          (nowMs % 10_000) / 10_000,
        )
        const isLimited = windows[process]?.charge('k', 0)
        assert.equal(isLimited, exact > 20, `count ${exact}`)
      }
    }),
    { numRuns: 60 },
  )
})

test('a cache that does not answer makes the sliding window forget what one process counted alone', async () => {
  const cache = smallCache()
  let nowMs = 600_000
  const window = createSlidingWindow(
    { cache, clock: { ...createManualClock(), now: () => nowMs } },
    { prefix: 'p', windowMs: 10_000, thresholdOf: () => 5, keysMax: 10, syncKeysMax: 10 },
  )
  cache.isDown = true
  assert.equal(window.charge('k', 6), true)
  await assert.rejects(window.sync(), { code: 'CACHE_UNAVAILABLE' })
  nowMs += 10_000
  assert.equal(window.charge('k', 6), false)
  cache.isDown = false
  await window.sync()
  assert.equal(window.charge('k', 0), true)
})
