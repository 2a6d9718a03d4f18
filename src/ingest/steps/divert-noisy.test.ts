import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedBatch, capturedNowMs } from '../../../test/support/captured-records.ts'
import { openFakeIngest } from '../../../test/support/ingest-fakes.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { createSeededRandom } from '../../../test/support/seeded-random.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { topics } from '../../event/topics.ts'
import { overflowConfig } from '../config.ts'
import { createWork } from '../work.ts'
import { createDecodeStep } from './decode.ts'
import { createDivertNoisyStep } from './divert-noisy.ts'

const flag = '@posthog/stateful-overflow/events:phc_test:noisy'

async function setup(settings: Record<string, unknown> = {}) {
  const clock = createManualClock(capturedNowMs)
  const ports = await openFakeIngest({ clock, random: createSeededRandom() })
  const config = overflowConfig.parse({
    isEnabled: true,
    burstMax: 5,
    perSecond: 1,
    localTtlMs: 60_000,
    ...settings,
  })
  const decode = createDecodeStep()
  const open = (cache = ports.cache) => createDivertNoisyStep({ ...ports, cache }, config)
  return {
    ports,
    clock,
    open,
    /** How many of each person's events are diverted. */
    async run(
      step: ReturnType<typeof open>,
      people: Record<string, number>,
      options: { topic?: string; nowMs?: number } = {},
    ) {
      const { topic = topics.captured, nowMs = capturedNowMs } = options
      const inputs = Object.entries(people).flatMap(([distinctId, count]) =>
        Array.from({ length: count }, () => ({ distinctId, nowMs })),
      )
      const work = createWork(capturedBatch(inputs, { topic }))
      await decode.run(work)
      await step.run(work)
      return Object.fromEntries(
        Object.keys(people).map((id) => [
          id,
          work.decoded.filter(
            (event) => event.distinctId === id && work.outcomes[event.index]?.kind === 'divert',
          ).length,
        ]),
      )
    },
    [Symbol.asyncDispose]: () => ports[Symbol.asyncDispose](),
  }
}

test('a person over the limit is diverted whole, the others are not', async () => {
  await using its = await setup()
  const step = its.open()
  assert.deepEqual(await its.run(step, { noisy: 6, quiet: 5 }), { noisy: 6, quiet: 0 })
  assert.deepEqual(await its.run(step, { noisy: 1, quiet: 1 }), { noisy: 1, quiet: 1 })
})

test('tokens come back with the time of the records', async () => {
  await using its = await setup()
  const step = its.open()
  assert.deepEqual(await its.run(step, { some: 5 }), { some: 0 })
  assert.deepEqual(await its.run(step, { some: 3 }, { nowMs: capturedNowMs + 3000 }), { some: 0 })
})

test('another process diverts the same person, until his lane has been quiet for a while', async () => {
  await using its = await setup({ stickyMs: 10_000, localTtlMs: 0 })
  await its.run(its.open(), { noisy: 6 })
  const other = its.open()
  assert.deepEqual(await its.run(other, { noisy: 1 }), { noisy: 1 })
  await its.clock.advance(8000)
  await its.run(other, { noisy: 1 }, { topic: topics.overflow })
  await its.clock.advance(8000)
  assert.equal(await its.ports.cache.get(flag), '1', 'the overflow lane prolongs it')
  await its.clock.advance(3000)
  assert.deepEqual(await its.run(other, { noisy: 1 }), { noisy: 0 })
})

test('nothing is diverted from other lanes, nor when it is off', async () => {
  await using its = await setup()
  assert.deepEqual(await its.run(its.open(), { noisy: 60 }, { topic: topics.historical }), { noisy: 0 })
  assert.deepEqual(await its.run(its.open(), { noisy: 60 }, { topic: topics.overflow }), { noisy: 0 })
  await using off = await setup({ isEnabled: false })
  assert.deepEqual(await off.run(off.open(), { noisy: 60 }), { noisy: 0 })
})

test('without the cache the limit of this process still holds', async () => {
  await using its = await setup()
  const lost = () => Promise.reject(new RowmillError('CACHE_UNAVAILABLE', 'The cache is away.'))
  const step = its.open(Object.assign(Object.create(its.ports.cache), { getMany: lost, set: lost }))
  assert.deepEqual(await its.run(step, { noisy: 6, quiet: 1 }), { noisy: 6, quiet: 0 })
})
