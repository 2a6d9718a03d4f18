/** The queue's operations, one by one, on PostgreSQL and a clock that the tests move. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openTestJobs } from '../../test/support/jobs.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { ClaimedJob, JobError, JobHold, NewJob } from './job.ts'

const base = { queue: 'hog', teamId: 1 } satisfies NewJob
const worker = 'test'
const error = (attempt: number): JobError => ({
  attempt,
  atMs: 5,
  kind: 'error',
  type: 'Error',
  message: 'no',
  worker,
})
const holdOf = ({ id, lockId, shard }: ClaimedJob): JobHold => ({ id, lockId, shard })
const first = <T>(list: readonly T[]): T => {
  const [one] = list
  assert(one !== undefined)
  return one
}

test('jobs are claimed by priority, then by time, and not before their time', async () => {
  const clock = createManualClock()
  await using opened = await openTestJobs({ clock })
  const { jobs } = opened
  const [late, urgent, soon, future] = await jobs.createMany([
    { ...base, scheduledMs: clock.now() - 1 },
    { ...base, priority: -5, scheduledMs: clock.now() },
    { ...base, scheduledMs: clock.now() - 2 },
    { ...base, priority: -9, scheduledMs: clock.now() + 1000 },
  ])
  await jobs.create({ ...base, queue: 'other' })
  const claimed = await jobs.claim({ queue: 'hog', limit: 2, worker })
  assert.deepEqual(
    claimed.map(({ id }) => id),
    [urgent, soon],
  )
  assert.deepEqual(
    (await jobs.claim({ queue: 'hog', limit: 10, worker })).map(({ id }) => id),
    [late],
  )
  await clock.advance(1000)
  assert.deepEqual(
    (await jobs.claim({ queue: 'hog', limit: 10, worker })).map(({ id }) => id),
    [future],
  )
})

test('what a job carries comes back as it was, large or small', async () => {
  await using opened = await openTestJobs({ settings: { compressBytesMin: 100 } })
  const { jobs } = opened
  const carried = {
    state: { stack: Array.from({ length: 500 }, (_, n) => `frame ${n} \0 \ud800`) },
    parameters: { url: 'https://example.com', nothing: null },
    metadata: [1, 'two', false],
    blob: gzipSync('looks packed already'),
  }
  const id = (await jobs.create({ ...base, ...carried })) ?? ''
  await jobs.create({ ...base, blob: Buffer.alloc(10_000, 7), state: 0, priority: 1 })
  const [job, other] = await jobs.claim({ queue: 'hog', limit: 2, worker })
  assert.deepEqual(
    { state: job?.state, parameters: job?.parameters, metadata: job?.metadata, blob: job?.blob },
    carried,
  )
  assert.deepEqual(other?.blob, Buffer.alloc(10_000, 7))
  assert.equal(other?.state, 0)
  assert.equal(other?.parameters, null)
  const [stored] = await first(opened.databases).query<{ state: number; plain: number }>(
    'select length(state) as state, $2::int as plain from cyclotron_jobs where id = $1',
    [id, JSON.stringify(carried.state).length],
  )
  assert.ok((stored?.state ?? 0) < (stored?.plain ?? 0) / 3, 'a large state is compressed')
})

test('a second job with the same unique key is not created while the first waits or runs', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  const keyed = { ...base, uniqueKey: 'once' }
  const created = await jobs.createMany([keyed, keyed, { ...keyed, queue: 'other' }, base])
  assert.deepEqual(
    created.map((id) => typeof id),
    ['string', 'undefined', 'string', 'string'],
  )
  const claimed = await jobs.claim({ queue: 'hog', limit: 10, worker })
  assert.equal(await jobs.create(keyed), undefined)
  await jobs.settle(claimed.map((job) => ({ ...holdOf(job), kind: 'completed' })))
  assert.equal(typeof (await jobs.create(keyed)), 'string')
})

test('who does not hold the lock changes nothing', async () => {
  const clock = createManualClock()
  await using opened = await openTestJobs({ clock })
  const { jobs } = opened
  await jobs.createMany([base, base])
  const [job, other] = await jobs.claim({ queue: 'hog', limit: 2, worker })
  assert(job !== undefined && other !== undefined)
  const stranger = { ...holdOf(job), lockId: '00000000-0000-4000-8000-000000000000' }
  const lost = await jobs.settle([
    { ...stranger, kind: 'completed' },
    { ...holdOf(other), kind: 'completed' },
  ])
  assert.deepEqual(lost, [stranger])
  assert.deepEqual((await jobs.heartbeat([stranger, holdOf(job)])).lost, [stranger])
  const changed = { kind: 'changed', status: 'failed', attempt: 1, isTouchFree: true } as const
  assert.deepEqual(await jobs.settle([{ ...stranger, ...changed }]), [stranger])
  const dead = { kind: 'dead-letter', reason: 'attempts_used_up', error: error(1) } as const
  assert.deepEqual(await jobs.settle([{ ...stranger, ...dead }]), [stranger])
  assert.equal((await jobs.find(job.id))?.status, 'running')
  assert.equal((await jobs.find(other.id))?.status, 'completed')
  assert.deepEqual(
    await jobs.settle([{ ...holdOf(other), kind: 'completed' }]),
    [holdOf(other)],
    'a result is taken once',
  )
})

test('a rescheduled job goes to another queue with its new state', async () => {
  const clock = createManualClock()
  await using opened = await openTestJobs({ clock })
  const { jobs } = opened
  const id = (await jobs.create({ ...base, state: { step: 1 }, parameters: { keep: true } })) ?? ''
  const job = first(await jobs.claim({ queue: 'hog', limit: 1, worker }))
  const payload = { state: Buffer.from('{"step":2}') }
  await jobs.settle([
    {
      ...holdOf(job),
      kind: 'changed',
      status: 'available',
      attempt: 0,
      isTouchFree: true,
      queue: 'email',
      scheduledMs: clock.now() + 60_000,
      priority: 3,
      payload,
      error: error(1),
    },
  ])
  assert.deepEqual(await jobs.claim({ queue: 'email', limit: 1, worker }), [])
  await clock.advance(60_000)
  const again = first(await jobs.claim({ queue: 'email', limit: 1, worker }))
  assert.equal(again.id, id)
  assert.deepEqual(
    [again.state, again.parameters, again.priority, again.attempt, again.transitions],
    [{ step: 2 }, { keep: true }, 3, 1, 3],
  )
  assert.deepEqual(again.errors, [error(1)])
})

test('a dead letter keeps everything and can be put back or discarded', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  const ids = await jobs.createMany([
    { ...base, state: { x: 1 }, distinctId: 'd', functionId: '00000000-0000-4000-8000-000000000001' },
    { ...base, teamId: 2, uniqueKey: 'k' },
  ])
  const claimed = await jobs.claim({ queue: 'hog', limit: 2, worker })
  await jobs.settle(
    claimed.map((job) => ({
      ...holdOf(job),
      kind: 'dead-letter',
      reason: 'attempts_used_up',
      error: error(1),
    })),
  )
  const letter = await jobs.find(ids[0] ?? '')
  assert.deepEqual(
    [letter?.status, letter?.reason, letter?.queue, letter?.state, letter?.distinctId, letter?.errors],
    ['dead_letter', 'attempts_used_up', 'hog', { x: 1 }, 'd', [error(1)]],
  )
  assert.equal((await jobs.list({ status: 'dead_letter', limit: 10 })).length, 2)
  await jobs.create({ ...base, teamId: 2, uniqueKey: 'k' })
  assert.deepEqual(await jobs.retry([ids[1] ?? ''], { teamIds: [1] }), [], "not another team's")
  assert.deepEqual(await jobs.retry([ids[1] ?? ''], { teamIds: [2] }), [ids[1]])
  assert.equal(await jobs.drain({ queue: 'other', limit: 10 }), 0)
  assert.equal(await jobs.drain({ queue: 'hog', limit: 10 }), 1)
  const again = await jobs.find(ids[0] ?? '')
  assert.deepEqual(
    [again?.status, again?.attempt, again?.touches, again?.errors.length],
    ['available', 0, 0, 1],
  )
  const once = await jobs.claim({ queue: 'hog', limit: 9, worker })
  await jobs.settle(
    once.map((job) => ({ ...holdOf(job), kind: 'dead-letter', reason: 'poison_pill', error: error(2) })),
  )
  assert.equal(await jobs.drain({ limit: 2, isDiscarding: true }), 2)
  assert.equal(await jobs.drain({ limit: 5, isDiscarding: true }), 1)
  assert.equal(await jobs.find(ids[0] ?? ''), undefined)
})

test('of the errors the newest are kept', async () => {
  await using opened = await openTestJobs({ settings: { errorsMax: 2 } })
  const { jobs } = opened
  const id = (await jobs.create({ ...base, attemptsMax: 9 })) ?? ''
  for (let attempt = 1; attempt <= 4; attempt++) {
    const job = first(await jobs.claim({ queue: 'hog', limit: 1, worker }))
    const changed = { kind: 'changed', status: 'available', attempt, isTouchFree: true } as const
    await jobs.settle([{ ...holdOf(job), ...changed, error: error(attempt) }])
  }
  assert.deepEqual(
    (await jobs.find(id))?.errors.map(({ attempt }) => attempt),
    [3, 4],
  )
})

test('a waiting job is canceled at once, a running one when its worker gives it up', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  const ids = (await jobs.createMany([base, { ...base, priority: 1 }])).map((id) => id ?? '')
  const job = first(await jobs.claim({ queue: 'hog', limit: 1, worker }))
  const answer = await jobs.cancel(ids)
  assert.deepEqual(
    new Map(answer.map(({ id, status }) => [id, status])),
    new Map([
      [ids[0], 'running'],
      [ids[1], 'canceled'],
    ]),
  )
  assert.deepEqual((await jobs.heartbeat([holdOf(job)])).canceled, [holdOf(job)])
  const changed = { kind: 'changed', status: 'available', attempt: 1, isTouchFree: true } as const
  await jobs.settle([{ ...holdOf(job), ...changed }])
  assert.equal((await jobs.find(job.id))?.status, 'canceled', 'it does not become available again')
  assert.deepEqual(await jobs.cancel(ids), [])
  assert.deepEqual((await jobs.retry(ids)).sort(), [...ids].sort())
  assert.equal((await jobs.claim({ queue: 'hog', limit: 9, worker })).length, 2)
})

test('lists go from new to old and can be narrowed', async () => {
  const clock = createManualClock()
  await using opened = await openTestJobs({ clock, shards: 2 })
  const { jobs } = opened
  const ids: string[] = []
  for (const teamId of [1, 2, 1, 1]) {
    ids.push((await jobs.create({ ...base, teamId, personId: `p${teamId}` })) ?? '')
    await clock.advance(5)
  }
  const listed = async (filter: object) => (await jobs.list({ limit: 10, ...filter })).map(({ id }) => id)
  assert.deepEqual(await listed({}), ids.toReversed())
  assert.deepEqual(await listed({ teamIds: [2] }), [ids[1]])
  assert.deepEqual(await listed({ personId: 'p1', limit: 2 }), [ids[3], ids[2]])
  assert.deepEqual(await listed({ beforeId: ids[2] }), [ids[1], ids[0]])
  assert.deepEqual(await listed({ afterId: ids[1], limit: 1 }), [ids[2]])
  assert.deepEqual(await listed({ status: 'running' }), [])
  assert.deepEqual(await jobs.counts(), [
    { queue: 'hog', status: 'available', count: 4, oldestMs: clock.now() - 20 },
  ])
  assert.deepEqual((await jobs.counts({ teamIds: [9] })).length, 0)
})

test('new jobs go round the shards, pass over full ones, and are refused when all are full', async () => {
  await using opened = await openTestJobs({ shards: 2, settings: { shardDepthMax: 3 } })
  const { jobs, databases } = opened
  const waiting = () =>
    Promise.all(
      databases.map(async (database) => {
        const [row] = await database.query<{ count: number }>(
          'select count(*)::int as count from cyclotron_jobs',
        )
        return row?.count
      }),
    )
  await jobs.createMany([base, base, base, base])
  assert.deepEqual(await waiting(), [4, 0])
  for (let index = 0; index < 4; index++) await jobs.create(base)
  assert.deepEqual(await waiting(), [4, 4])
  await assert.rejects(jobs.create(base), (failure) => isRowmillError(failure, 'JOBS_FULL'))
  assert.equal((await jobs.claim({ queue: 'hog', limit: 20, worker })).length, 8, 'a claim asks every shard')
})

test('a unique key is compared across shards', async () => {
  await using opened = await openTestJobs({ shards: 3 })
  const { jobs } = opened
  const keys = ['a', 'b', 'c', 'd', 'e']
  const all = await jobs.createMany(keys.map((uniqueKey) => ({ ...base, uniqueKey })))
  assert.equal(all.filter((id) => id !== undefined).length, 5)
  for (const uniqueKey of keys) assert.equal(await jobs.create({ ...base, uniqueKey }), undefined)
})

test('jobs that break a rule are refused and none of their list is created', async () => {
  await using opened = await openTestJobs({ settings: { payloadBytesMax: 100 } })
  const { jobs } = opened
  const loop: Record<string, unknown> = {}
  loop.self = loop
  const bad: Partial<NewJob>[] = [
    { queue: '' },
    { queue: 'a\0b' },
    { queue: 'q'.repeat(201) },
    { teamId: 1.5 },
    { priority: 40_000 },
    { scheduledMs: Number.NaN },
    { id: 'no uuid' },
    { functionId: 'NO' },
    { attemptsMax: 0 },
    { uniqueKey: '' },
    { distinctId: 'd'.repeat(401) },
    { state: 'x'.repeat(101) },
    { blob: Buffer.alloc(101) },
    { parameters: loop },
    { metadata: () => 1 },
  ]
  for (const part of bad)
    await assert.rejects(
      jobs.createMany([base, { ...base, ...part }]),
      (failure) => isRowmillError(failure, 'JOB_INVALID'),
      Object.keys(part).join(),
    )
  assert.deepEqual(await jobs.list({ limit: 10 }), [])
})

test('jobs of a transaction that is rolled back were never there', async () => {
  await using opened = await openTestJobs()
  const { jobs, databases } = opened
  const database = first(databases)
  await assert.rejects(
    database.transaction(async (session) => {
      await jobs.createIn(session, [base])
      throw new Error('rolled back')
    }),
    /rolled back/,
  )
  await database.transaction((session) => jobs.createIn(session, [{ ...base, metadata: 'kept' }]))
  const [job] = await jobs.claim({ queue: 'hog', limit: 9, worker })
  assert.equal(job?.metadata, 'kept')
})

test('several workers never claim the same job', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  await jobs.createMany(Array.from({ length: 300 }, () => base))
  const claims = await Promise.all(
    Array.from({ length: 12 }, (_, n) => jobs.claim({ queue: 'hog', limit: 40, worker: `w${n}` })),
  )
  const ids = claims.flat().map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
  const rest = await jobs.claim({ queue: 'hog', limit: 300, worker })
  assert.equal(new Set([...ids, ...rest.map(({ id }) => id)]).size, 300)
})

test('heartbeats and results of the same jobs, in any order, do not lock each other out', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  for (let round = 0; round < 5; round++) {
    await jobs.createMany(Array.from({ length: 200 }, () => base))
    const holds = (await jobs.claim({ queue: 'hog', limit: 200, worker })).map(holdOf)
    const [lost] = await Promise.all([
      jobs.settle(holds.toReversed().map((hold) => ({ ...hold, kind: 'completed' }))),
      jobs.heartbeat(holds),
      jobs.heartbeat(
        holds.toSorted((left, right) =>
          left.lockId + left.id.slice(-3) < right.lockId + right.id.slice(-3) ? 1 : -1,
        ),
      ),
    ])
    assert.deepEqual(lost, [])
  }
})

test('a job that goes to another queue leaves its unique key behind', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  await jobs.createMany([
    { ...base, uniqueKey: 'k' },
    { ...base, queue: 'other', uniqueKey: 'k' },
  ])
  const job = first(await jobs.claim({ queue: 'hog', limit: 1, worker }))
  const changed = { kind: 'changed', status: 'available', attempt: 0, isTouchFree: true } as const
  assert.deepEqual(await jobs.settle([{ ...holdOf(job), ...changed, queue: 'other' }]), [])
  assert.equal((await jobs.claim({ queue: 'other', limit: 9, worker })).length, 2)
})

test('an id that is used again replaces the dead letter that had it', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  const id = '0199d5f0-8c1e-7000-8000-000000000001'
  for (let life = 1; life <= 2; life++) {
    assert.equal(await jobs.create({ ...base, id, parameters: life }), id)
    const job = first(await jobs.claim({ queue: 'hog', limit: 1, worker }))
    const dead = { kind: 'dead-letter', reason: 'attempts_used_up', error: error(life) } as const
    assert.deepEqual(await jobs.settle([{ ...holdOf(job), ...dead }]), [])
  }
  const letters = await jobs.list({ status: 'dead_letter', limit: 9 })
  assert.deepEqual(
    letters.map(({ errors }) => errors),
    [[error(2)]],
  )
})
