/** Several processes and one changelog: whatever partition moves when, each id is accepted once and by nobody twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { logDeps } from '../../../test/support/embedded-log.ts'
import { createSeededRandom } from '../../../test/support/seeded-random.ts'
import { topics } from '../../event/topics.ts'
import type { LogRecord, NewRecord } from '../../ports/log.ts'
import { dedupConfigSchema } from './config.ts'
import { type Dedup, type DedupId, openDedup } from './dedup.ts'
import type { ChangelogLog } from './tail.ts'

const config = dedupConfigSchema.parse({})
const partitions = 4
const processes = 3

/** The changelog as an array: what stands in it is durable. */
function createChangelog(): { log: ChangelogLog; append(record: NewRecord): number } {
  const records: LogRecord[] = []
  const spec = { name: topics.dedup, partitions: 1, retentionMs: config.windowMs }
  const append = ({ value, headers = {} }: NewRecord): number => {
    const offset = records.length
    const place = { topic: topics.dedup, partition: 0, offset }
    records.push({ ...place, timestampMs: Date.now(), key: null, value, headers })
    return offset
  }
  return {
    append,
    log: {
      append: (given) =>
        Promise.resolve(
          given.map((record) => ({ topic: topics.dedup, partition: 0, offset: append(record) })),
        ),
      describe: () => Promise.resolve([{ ...spec, bounds: [{ start: 0, end: records.length }] }]),
      offsetAt: () => Promise.resolve(0),
      async *scan({ from }) {
        if (from < records.length) yield records.slice(from)
      },
    },
  }
}

function open(log: ChangelogLog, seed: number): Promise<Dedup> {
  const { clock, metrics, logger } = logDeps('')
  const deps = { log, clock, metrics, logger, random: createSeededRandom(seed) }
  return openDedup(deps, config, { isShared: true, signal: new AbortController().signal })
}

type Step =
  | { kind: 'send'; partition: number; uuids: number[] }
  | { kind: 'read'; partition: number; ends: 'commit' | 'lost after commit' | 'lost before' }
  | { kind: 'move'; partition: number; to: number }
  | { kind: 'restart'; process: number }
  | { kind: 'tail'; process: number }

const partition = fc.integer({ min: 0, max: partitions - 1 })
const process = fc.integer({ min: 0, max: processes - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('send' as const),
    partition,
    uuids: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({
    kind: fc.constant('read' as const),
    partition,
    ends: fc.constantFrom('commit' as const, 'lost after commit' as const, 'lost before' as const),
  }),
  fc.record({ kind: fc.constant('move' as const), partition, to: process }),
  fc.record({ kind: fc.constant('restart' as const), process }),
  fc.record({ kind: fc.constant('tail' as const), process }),
)

/** One run of the world: partitions with their records, who holds them, and what was accepted. */
async function createFleet(seed: number) {
  const changelog = createChangelog()
  const members = await Promise.all(
    Array.from({ length: processes }, (_, index) => open(changelog.log, seed + index)),
  )
  const lanes = Array.from({ length: partitions }, (_, index) => ({
    source: { topic: 'captured', partition: index },
    holder: index % processes,
    records: [] as string[],
    position: 0,
    accepted: [] as string[],
  }))
  const lane = (index: number) => lanes[index] ?? assert.fail()
  const member = (index: number) => members[index] ?? assert.fail()
  const move = async (index: number, to: number) => {
    const { source, holder } = lane(index)
    member(holder).release(source)
    lane(index).holder = to
    await member(to).catchUp()
  }
  return {
    lanes,
    move,
    member,
    async restart(at: number) {
      members[at] = await open(changelog.log, seed + at + 100)
    },
    async read(index: number, ends: 'commit' | 'lost after commit' | 'lost before') {
      const at = lane(index)
      const from = at.position
      const ids = at.records
        .slice(from)
        .map((uuid, offset): DedupId => ({ token: 'phc', uuid, offset: from + offset }))
      if (ids.length === 0) return
      const dedup = member(at.holder)
      const verdicts = dedup.judge(ids, at.source)
      const fresh = ids.filter((_, row) => verdicts[row]?.kind === 'new')
      const record = dedup.record(fresh, at.source)
      if (ends === 'lost before') return await move(index, (at.holder + 1) % processes)
      if (record !== undefined) changelog.append(record)
      at.accepted.push(...fresh.map(({ uuid }) => uuid))
      at.position = from + ids.length
      // The commit is durable, and its holder never hears of it.
      if (ends === 'lost after commit') return await move(index, (at.holder + 1) % processes)
      dedup.committed(fresh, { ...at.source, until: at.position })
    },
  }
}

test('an id is accepted once, wherever its partition moves and whoever restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(), async (steps, seed) => {
      const fleet = await createFleet(seed % 1_000_000)
      for (const each of steps) {
        if (each.kind === 'send')
          fleet.lanes[each.partition]?.records.push(
            ...each.uuids.map((n) => `lane ${each.partition}, id ${n}`),
          )
        else if (each.kind === 'read') await fleet.read(each.partition, each.ends)
        else if (each.kind === 'move') await fleet.move(each.partition, each.to)
        else if (each.kind === 'restart') await fleet.restart(each.process)
        else await fleet.member(each.process).catchUp()
      }
      for (const [index, lane] of fleet.lanes.entries()) {
        await fleet.read(index, 'commit')
        assert.deepEqual([...lane.accepted].sort(), [...new Set(lane.records)].sort())
      }
    }),
    { numRuns: 150, interruptAfterTimeLimit: 6000 },
  )
})

test('ids that another process has accepted are known after the next look at the changelog', async () => {
  const changelog = createChangelog()
  const [here, there] = [await open(changelog.log, 1), await open(changelog.log, 2)]
  const id = { token: 'phc', uuid: '0190a000-0000-7000-8000-000000000001', offset: 3 }
  const source = { topic: 'captured', partition: 0 }
  here.judge([id], source)
  changelog.append(here.record([id], source) ?? assert.fail())
  here.committed([id], { ...source, until: 4 })
  await Promise.all([there.catchUp(), there.catchUp(), here.catchUp()])
  assert.deepEqual([here.size, there.size], [1, 1])
  const again = there.judge([{ ...id, offset: 9 }], { topic: 'overflow', partition: 2 })
  assert.deepEqual(again, [{ kind: 'duplicate', first: { ...source, offset: 3 } }])
})
