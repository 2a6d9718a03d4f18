/** De-duplication against a map: any interleaving of partitions, releases, re-reads, crashes and restarts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { logDeps, openTestLog } from '../../../test/support/embedded-log.ts'
import { topics } from '../../event/topics.ts'
import type { Log } from '../../ports/log.ts'
import { dedupConfigSchema } from './config.ts'
import { type Dedup, type DedupId, openDedup } from './dedup.ts'

const config = dedupConfigSchema.parse({})
const partitions = 3

type Step =
  | {
      kind: 'batch'
      partition: number
      ids: { token: number; uuid: number }[]
      ends: 'commit' | 'release' | 'retry'
    }
  | { kind: 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      partition: fc.integer({ min: 0, max: partitions - 1 }),
      ids: fc.array(
        fc.record({ token: fc.integer({ min: 0, max: 2 }), uuid: fc.integer({ min: 0, max: 60 }) }),
        {
          minLength: 1,
          maxLength: 20,
        },
      ),
      ends: fc.constantFrom('commit' as const, 'release' as const, 'retry' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

function uuidOf(number: number): string {
  return `0190a000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
}

function openOn(log: Log): Promise<Dedup> {
  const { clock, metrics, logger } = logDeps('')
  return openDedup({ log, clock, metrics, logger }, config, { signal: new AbortController().signal })
}

test('verdicts are those of a map from id to its first place', async () => {
  await using harness = await openTestLog()
  await harness.log.ensureTopics([{ name: topics.dedup, partitions: 2, retentionMs: config.windowMs }])
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      run++
      const source = (partition: number) => ({ topic: `t${run}`, partition })
      const first = new Map<string, { partition: number; offset: number }>()
      const next = [0, 0, 0]
      let dedup = await openOn(harness.log)
      for (const each of steps) {
        if (each.kind === 'restart') {
          dedup = await openOn(harness.log)
          continue
        }
        const { partition } = each
        const from = next[partition] ?? 0
        const ids = each.ids.map(
          (id, index): DedupId => ({
            token: `${run}/${id.token}`,
            uuid: uuidOf(id.uuid),
            offset: from + index,
          }),
        )
        const seen = new Map(first)
        const expected = ids.map((id) => {
          const key = `${id.token}:${id.uuid}`
          const known = seen.get(key)
          if (known === undefined) {
            seen.set(key, { partition, offset: id.offset })
            return { kind: 'new' }
          }
          return { kind: 'duplicate', first: { topic: `t${run}`, ...known } }
        })
        const verdicts = dedup.judge(ids, source(partition))
        assert.deepEqual(verdicts, expected)
        if (each.ends === 'retry') assert.deepEqual(dedup.judge(ids, source(partition)), expected)
        if (each.ends === 'release') {
          dedup.release(source(partition))
          continue
        }
        const fresh = ids.filter((_, index) => verdicts[index]?.kind === 'new')
        const record = dedup.record(fresh, source(partition))
        if (record !== undefined) await harness.log.append([record])
        const until = from + ids.length
        dedup.committed(fresh, { ...source(partition), until })
        next[partition] = until
        for (const [key, place] of seen) first.set(key, place)
      }
    }),
    { numRuns: 60, interruptAfterTimeLimit: 8000 },
  )
})

test('what was judged and not remembered is given up by the commit', async () => {
  await using harness = await openTestLog()
  await harness.log.ensureTopics([{ name: topics.dedup, partitions: 1, retentionMs: config.windowMs }])
  const dedup = await openOn(harness.log)
  const source = { topic: 't', partition: 0 }
  const diverted = { token: 'a', uuid: uuidOf(1), offset: 0 }
  const kept = { token: 'a', uuid: uuidOf(2), offset: 1 }
  dedup.judge([diverted, kept], source)
  dedup.committed([kept], { ...source, until: 2 })
  const elsewhere = { topic: 'overflow', partition: 4 }
  assert.deepEqual(
    dedup.judge(
      [
        { ...diverted, offset: 9 },
        { ...kept, offset: 10 },
      ],
      elsewhere,
    ),
    [{ kind: 'new' }, { kind: 'duplicate', first: { ...source, offset: 1 } }],
  )
})

test('a claim in another partition counts as first until it is released', async () => {
  await using harness = await openTestLog()
  const dedup = await openOn(harness.log)
  const id = { token: 'a', uuid: uuidOf(1), offset: 5 }
  const here = { topic: 't', partition: 0 }
  const there = { topic: 't', partition: 1 }
  assert.equal(dedup.judge([id], here)[0]?.kind, 'new')
  assert.deepEqual(dedup.judge([{ ...id, offset: 8 }], there), [
    { kind: 'duplicate', first: { ...here, offset: 5 } },
  ])
  dedup.release(here)
  assert.equal(dedup.judge([{ ...id, offset: 8 }], there)[0]?.kind, 'new')
})

test('every textual form of a uuid is the same id, and other texts are their own', async () => {
  await using harness = await openTestLog()
  const dedup = await openOn(harness.log)
  const source = { topic: 't', partition: 0 }
  const uuid = '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'
  const forms = [uuid, uuid.toUpperCase(), uuid.replaceAll('-', ''), `{${uuid}}`, `urn:uuid:${uuid}`]
  const others = [uuid.slice(1), `${uuid}0`, 'no-uuid', 'NO-UUID', '', uuid.replace('a', 'g')]
  const ids = [...forms, ...others].map((text, offset) => ({ token: 'a', uuid: text, offset }))
  const kinds = dedup.judge(ids, source).map((verdict) => verdict.kind)
  assert.deepEqual(kinds, [
    'new',
    ...Array(forms.length - 1).fill('duplicate'),
    ...Array(others.length).fill('new'),
  ])
  assert.equal(dedup.judge([{ token: 'b', uuid, offset: 100 }], source)[0]?.kind, 'new')
})
