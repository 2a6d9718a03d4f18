import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CapturedInput,
  capturedBatch,
  capturedNowMs,
  uuidOf,
} from '../../../test/support/captured-records.ts'
import { openFakeIngest, teamRow } from '../../../test/support/ingest-fakes.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { createSeededRandom } from '../../../test/support/seeded-random.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import { cookielessConfig } from '../config.ts'
import { createDecodeStep } from '../steps/decode.ts'
import { createFindTeamStep } from '../steps/find-team.ts'
import { createTeams, type Team } from '../teams.ts'
import { createWork, dropEnded } from '../work.ts'
import { createCookielessStep } from './cookieless.ts'

const modes = { disabled: 0, stateless: 1, stateful: 2 }
const minuteMs = 60_000

async function setup(mode: Team['cookieless'], change: (cache: Cache) => Cache = (cache) => cache) {
  const clock = createManualClock(capturedNowMs)
  const teams = [teamRow({ cookieless_server_hash_mode: modes[mode], timezone: 'Europe/Berlin' })]
  const ports = await openFakeIngest({ clock, random: createSeededRandom() }, { teams })
  const config = cookielessConfig.parse({})
  const before = [
    createDecodeStep(),
    createFindTeamStep(
      createTeams(ports, { refreshIntervalMs: 0, unknownTtlMs: 0, cacheMax: 10 }),
      clock.now,
    ),
  ]
  let step = createCookielessStep({ ...ports, cache: change(ports.cache) }, config)
  return {
    ports,
    clock,
    /** Another process with the same cache. */
    restart() {
      step = createCookielessStep(ports, config)
    },
    async run(inputs: readonly CapturedInput[]) {
      const work = createWork(capturedBatch(inputs))
      for (const one of [...before, step]) {
        await one.run(work)
        dropEnded(work)
      }
      return work
    },
    [Symbol.asyncDispose]: () => ports[Symbol.asyncDispose](),
  }
}

function visit(input: CapturedInput & { more?: Record<string, unknown> } = {}): CapturedInput {
  return {
    distinctId: '$posthog_cookieless',
    ...input,
    properties: {
      $cookieless_mode: true,
      $raw_user_agent: 'Testbrowser/1.0',
      $host: 'shop.rowmill.org',
      $timezone: 'Asia/Tokyo',
      $cookieless_extra: 'tenant',
      $set: { $raw_user_agent: 'Testbrowser/1.0', plan: 'free' },
      $set_once: { $initial_raw_user_agent: 'Testbrowser/1.0' },
      ...input.more,
    },
  }
}

test('a stateless visitor has one id and one session a day, and nothing of what was hashed is left', async () => {
  await using ingest = await setup('stateless')
  const { events } = await ingest.run([
    visit(),
    visit({ more: { $host: 'rowmill.org' } }),
    { properties: { $ip: '1.2.3.4' } },
  ])
  const [first, second, other] = events
  assert.match(first?.distinctId ?? '', /^cookieless_[A-Za-z0-9+/]{22}$/)
  assert.equal(second?.distinctId, first?.distinctId)
  assert.equal(first?.properties.$distinct_id, first?.distinctId)
  assert.match(String(first?.properties.$device_id), /^cookielessd_/)
  assert.equal(second?.properties.$session_id, first?.properties.$session_id)
  const startMs = Number.parseInt(String(first?.properties.$session_id).replaceAll('-', '').slice(0, 12), 16)
  assert.equal(startMs, Date.UTC(2026, 0, 14, 15), 'midnight in Tokyo')
  for (const key of ['$ip', '$raw_user_agent', '$cookieless_extra'])
    assert.equal(Object.hasOwn(first?.properties ?? {}, key), false, key)
  assert.deepEqual(first?.properties.$set, { plan: 'free' })
  assert.deepEqual(first?.properties.$set_once, {})
  assert.deepEqual(other?.properties, { $ip: '1.2.3.4' }, 'an ordinary event is left alone')
})

test('the next day, another address and another process tell visitors apart as they should', async () => {
  await using ingest = await setup('stateless')
  const idOf = async (input: CapturedInput) => (await ingest.run([input])).events[0]?.distinctId
  const today = await idOf(visit())
  ingest.restart()
  assert.equal(await idOf(visit()), today, 'the salt is shared')
  assert.notEqual(await idOf(visit({ ip: '203.0.113.8' })), today)
  assert.notEqual(await idOf(visit({ timestampMs: capturedNowMs - 24 * 60 * minuteMs })), today)
  assert.notEqual(await idOf(visit({ more: { $cookieless_extra: 'other' } })), today)
})

test('each reason to have no visitor is named, with a warning where the sender can do something', async () => {
  await using ingest = await setup('stateless')
  const work = await ingest.run([
    visit({ event: '$create_alias' }),
    visit({ event: '$identify' }),
    visit({ more: { $raw_user_agent: undefined } }),
    visit({ message: { ip: '' } }),
    visit({ more: { $host: 7 } }),
    visit({ timestampMs: capturedNowMs - 10 * 24 * 60 * minuteMs }),
  ])
  const reasons = work.outcomes.map((outcome) => (outcome?.kind === 'drop' ? outcome.reason : outcome?.kind))
  assert.deepEqual(reasons, [
    'cookieless_unsupported_event',
    'cookieless_unsupported_event',
    'cookieless_missing_property',
    'cookieless_missing_property',
    'cookieless_missing_property',
    'cookieless_timestamp_out_of_range',
  ])
  assert.deepEqual(
    work.warnings.map((warning) => warning.type),
    [
      'cookieless_missing_user_agent',
      'cookieless_missing_ip',
      'cookieless_missing_host',
      'cookieless_timestamp_out_of_range',
    ],
  )
  await using disabled = await setup('disabled')
  const [outcome] = (await disabled.run([visit()])).outcomes
  assert.deepEqual(outcome, { kind: 'drop', reason: 'cookieless_disabled' })
})

test('a stateful visitor is somebody else after each identification on the device', async () => {
  await using ingest = await setup('stateful')
  const one = await ingest.run([
    visit(),
    visit({ event: '$identify', distinctId: 'ann', uuid: uuidOf(100) }),
    visit({ distinctId: 'ann' }),
    visit(),
  ])
  const [anonymous, identify, ann, next] = one.events
  assert.equal(
    identify?.properties.$anon_distinct_id,
    anonymous?.distinctId,
    'the id before is merged into ann',
  )
  assert.equal(identify?.distinctId, 'ann')
  assert.equal(ann?.distinctId, 'ann')
  assert.equal(ann?.properties.$session_id, anonymous?.properties.$session_id)
  assert.notEqual(next?.distinctId, anonymous?.distinctId)
  assert.equal(Object.hasOwn(anonymous?.properties ?? {}, '$distinct_id'), false)
  ingest.restart()
  const again = await ingest.run([
    visit({ event: '$identify', distinctId: 'ann', uuid: uuidOf(100) }),
    visit(),
  ])
  assert.equal(again.events[0]?.properties.$anon_distinct_id, anonymous?.distinctId, 'counted once')
  assert.equal(again.events[1]?.distinctId, next?.distinctId)
})

test('a stateful session ends with a pause of half an hour', async () => {
  await using ingest = await setup('stateful')
  const at = async (minutes: number) => {
    const { events } = await ingest.run([visit({ timestampMs: capturedNowMs + minutes * minuteMs })])
    return events[0]?.properties.$session_id
  }
  const first = await at(-90)
  assert.equal(await at(-61), first)
  const second = await at(-30)
  assert.notEqual(second, first)
  assert.equal(await at(0), second)
})

test('without the cache every cookieless event is set aside and no other', async () => {
  const lost = () => Promise.reject(new RowmillError('CACHE_UNAVAILABLE', 'The cache is away.'))
  await using ingest = await setup('stateful', (cache) => Object.assign(Object.create(cache), { get: lost }))
  const { outcomes, events } = await ingest.run([visit(), {}, visit({ event: '$create_alias' })])
  assert.equal(outcomes[0]?.kind === 'dead-letter' && outcomes[0].reason, 'cookieless_unavailable')
  assert.equal(outcomes[2]?.kind === 'dead-letter' || outcomes[2]?.kind === 'drop', true)
  assert.equal(events.length, 1)
})
