/** The cache against a plain model, under random operations, passing time and sudden ends of the program. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openTestDatabase } from '../../../test/support/database.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { Cache, CacheWrite } from '../../ports/cache.ts'
import { embeddedCacheConfig } from './cache/config.ts'
import { openEmbeddedCache } from './cache.ts'

type Modelled = { value: string | Set<string> | Map<string, number>; expiresAtMs: number; isKept: boolean }

/** What the port's prose says, with nothing done for speed or durability. */
class Model {
  readonly keys = new Map<string, Modelled>()
  nowMs = 0

  find(key: string): Modelled | undefined {
    const entry = this.keys.get(key)
    if (entry !== undefined && entry.expiresAtMs > this.nowMs) return entry
    this.keys.delete(key)
    return undefined
  }

  write(key: string, value: Modelled['value'], options: CacheWrite, mode: 'replace' | 'change'): void {
    const before = this.find(key)
    const held =
      mode === 'change' ? (before?.expiresAtMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
    const expiresAtMs = options.ttlMs === undefined ? held : this.nowMs + options.ttlMs
    this.keys.set(key, { value, expiresAtMs, isKept: options.keep === true || before?.isKept === true })
  }

  forget(): void {
    for (const [key, entry] of this.keys) if (!entry.isKept) this.keys.delete(key)
  }
}

type State = { cache: Cache; model: Model; pass: (ms: number) => Promise<void>; restart: () => Promise<void> }
type Step = (state: State) => Promise<void>

const key = fc.constantFrom('a', 'b', 'c')
const member = fc.constantFrom('x', 'y', 'z')
const write = fc.record(
  { ttlMs: fc.integer({ min: 1, max: 50 }), keep: fc.boolean() },
  { requiredKeys: ['keep'] },
)

/** Runs an operation that needs a kind of value; the model says whether the key holds another one. */
async function expecting(isWrongKind: boolean, call: () => Promise<void>): Promise<void> {
  if (isWrongKind) await assert.rejects(call, (error) => isRowmillError(error, 'CACHE_WRONG_KIND'))
  else await call()
}

const setText = fc.tuple(key, fc.constantFrom('', '7', 'text'), write, fc.boolean()).map(
  ([k, text, options, ifAbsent]): Step =>
    async ({ cache, model }) => {
      const isWritten = !ifAbsent || model.find(k) === undefined
      assert.equal(await cache.set(k, text, { ...options, ifAbsent }), isWritten)
      if (isWritten) model.write(k, text, options, 'replace')
    },
)
const increment = fc.tuple(key, fc.integer({ min: -5, max: 5 }), write).map(
  ([k, by, options]): Step =>
    async ({ cache, model }) => {
      const before = model.find(k)?.value ?? '0'
      await expecting(typeof before !== 'string' || !/^-?\d+$/.test(before), async () => {
        const sum = Number(before) + by
        assert.equal(await cache.increment(k, by, options), sum)
        model.write(k, String(sum), options, 'change')
      })
    },
)
const remove = fc.tuple(key, key).map(
  ([k, other]): Step =>
    async ({ cache, model }) => {
      const there = [...new Set([k, other])].filter((name) => model.find(name) !== undefined)
      assert.equal(await cache.delete(k, other), there.length)
      for (const name of there) model.keys.delete(name)
    },
)
const expire = fc.tuple(key, fc.integer({ min: 0, max: 50 })).map(
  ([k, ttlMs]): Step =>
    async ({ cache, model }) => {
      const entry = model.find(k)
      assert.equal(await cache.expire(k, ttlMs), entry !== undefined)
      if (entry !== undefined) entry.expiresAtMs = model.nowMs + ttlMs
    },
)
const addMembers = fc.tuple(key, fc.array(member, { maxLength: 3 }), write).map(
  ([k, members, options]): Step =>
    async ({ cache, model }) => {
      const before = model.find(k)?.value ?? new Set<string>()
      await expecting(!(before instanceof Set), async () => {
        const added = await cache.setAdd(k, members, options)
        if (!(before instanceof Set)) return
        const after = new Set([...before, ...members])
        assert.equal(added, after.size - before.size)
        if (members.length > 0) model.write(k, after, options, 'change')
      })
    },
)
const removeMembers = fc.tuple(key, fc.array(member, { maxLength: 3 })).map(
  ([k, members]): Step =>
    async ({ cache, model }) => {
      const entry = model.find(k)
      const before = entry?.value ?? new Set<string>()
      await expecting(!(before instanceof Set), async () => {
        const removed = await cache.setRemove(k, members)
        if (!(before instanceof Set)) return
        assert.equal(
          removed,
          members.filter((name, at) => members.indexOf(name) === at && before.delete(name)).length,
        )
        if (before.size === 0) model.keys.delete(k)
      })
    },
)
const addScores = fc.tuple(key, member, fc.integer({ min: -3, max: 3 }), write).map(
  ([k, name, score, options]): Step =>
    async ({ cache, model }) => {
      const before = model.find(k)?.value ?? new Map<string, number>()
      await expecting(!(before instanceof Map), async () => {
        const added = await cache.sortedAdd(k, [{ member: name, score }], options)
        if (!(before instanceof Map)) return
        assert.equal(added, before.has(name) ? 0 : 1)
        model.write(k, new Map([...before, [name, score]]), options, 'change')
      })
    },
)
const passTime = fc.integer({ min: 1, max: 40 }).map(
  (ms): Step =>
    ({ pass }) =>
      pass(ms),
)
const restart = fc.constant<Step>((state) => state.restart())

async function compare({ cache, model }: State): Promise<void> {
  for (const k of ['a', 'b', 'c']) {
    const value = model.find(k)?.value
    if (value instanceof Set) assert.deepEqual(new Set(await cache.setMembers(k)), value)
    else if (value instanceof Map) {
      const range = await cache.sortedRange(k, -10, 10)
      assert.deepEqual(new Map(range.map((entry) => [entry.member, entry.score])), value)
    } else assert.equal(await cache.get(k), value)
  }
}

test('the cache behaves as its model', async () => {
  await using opened = await openTestDatabase()
  const step = fc.oneof(
    setText,
    increment,
    remove,
    expire,
    addMembers,
    removeMembers,
    addScores,
    passTime,
    restart,
  )
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    await opened.database.execute('truncate rowmill_cache')
    const clock = createManualClock()
    const open = () =>
      openEmbeddedCache(
        { database: opened.database, clock, ...quietTelemetry() },
        embeddedCacheConfig.parse({ sweepIntervalMs: 10 }),
      )
    const model = new Model()
    model.nowMs = clock.now()
    const state: State = {
      cache: await open(),
      model,
      pass: async (ms) => {
        await clock.advance(ms)
        model.nowMs = clock.now()
      },
      restart: async () => {
        await state.cache[Symbol.asyncDispose]()
        state.cache = await open()
        model.forget()
      },
    }
    try {
      for (const run of steps) {
        await run(state)
        await compare(state)
      }
    } finally {
      await state.cache[Symbol.asyncDispose]()
    }
  })
  await fc.assert(property, { numRuns: 60 })
})
