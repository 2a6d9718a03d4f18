/** The janitor and the schedules on a clock that the tests move. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestJobs } from '../../test/support/jobs.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { createJanitor } from './janitor.ts'
import type { JobHold } from './job.ts'
import { deleteSchedule, listSchedules, putSchedule } from './schedules.ts'

const base = { queue: 'hog', teamId: 1 }
const worker = 'w'

async function setUp(settings: object = {}) {
  const clock = createManualClock()
  const opened = await openTestJobs({ clock, settings })
  return { ...opened, clock, janitor: createJanitor(opened.context) }
}

test("a dead worker's job runs again later, and is a dead letter when that happens too often", async () => {
  await using opened = await setUp({ stallTimeoutMs: 30_000, stallDelayMs: 1000, touchesMax: 3 })
  const { jobs, clock, janitor, context } = opened
  const id = (await jobs.create({ ...base, attemptsMax: 1, state: 'kept' })) ?? ''
  for (let death = 1; death <= 2; death++) {
    assert.equal((await jobs.claim({ queue: 'hog', limit: 1, worker })).length, 1)
    await clock.advance(29_000)
    assert.equal((await janitor.sweep()).stalled, 0)
    await clock.advance(2000)
    assert.equal((await janitor.sweep()).stalled, 1)
    const job = await jobs.find(id)
    assert.deepEqual([job?.status, job?.touches, job?.attempt], ['available', death, 0])
    const delay = (job?.scheduledMs ?? 0) - clock.now()
    assert.ok(delay >= 500 * 2 ** (death - 1) - 1 && delay <= 1000 * 2 ** (death - 1) + 1, `${delay} ms`)
    await clock.advance(60_000)
  }
  await jobs.claim({ queue: 'hog', limit: 1, worker })
  await clock.advance(31_000)
  assert.equal((await janitor.sweep()).poisoned, 1)
  const letter = await jobs.find(id)
  assert.deepEqual(
    [letter?.status, letter?.reason, letter?.touches, letter?.state],
    ['dead_letter', 'poison_pill', 3, 'kept'],
  )
  assert.deepEqual(
    letter?.errors.map(({ kind, worker, attempt }) => ({ kind, worker, attempt })),
    [1, 2, 3].map(() => ({ kind: 'stalled', worker, attempt: 1 })),
  )
  const { metrics } = context
  assert.equal(await metrics.value('cyclotron_janitor_stalled_jobs_reset'), 2)
  assert.equal(await metrics.value('cyclotron_janitor_poison_pills'), 1)
  assert.equal(await metrics.value('cyclotron_dead_letter_queue_depth'), 1)
})

test('a job that is heard of does not stall, and one that reported since is no poison', async () => {
  await using opened = await setUp({ stallTimeoutMs: 30_000, touchesMax: 2 })
  const { jobs, clock, janitor } = opened
  const id = (await jobs.create(base)) ?? ''
  const [job] = await jobs.claim({ queue: 'hog', limit: 1, worker })
  assert(job !== undefined)
  await clock.advance(20_000)
  await jobs.heartbeat([job])
  await clock.advance(20_000)
  assert.equal((await janitor.sweep()).stalled, 0)
  await clock.advance(11_000)
  assert.equal((await janitor.sweep()).stalled, 1)
  await clock.advance(60_000)
  const [again] = await jobs.claim({ queue: 'hog', limit: 1, worker })
  assert(again !== undefined)
  const hold: JobHold = { id, lockId: again.lockId, shard: 0 }
  await jobs.settle([{ ...hold, kind: 'changed', status: 'available', attempt: 1, isTouchFree: true }])
  assert.equal((await jobs.find(id))?.touches, 0)
})

test('what has ended is deleted when it was kept long enough', async () => {
  await using opened = await setUp({
    doneKeepMs: 10_000,
    failedKeepMs: 60_000,
    deadLetterKeepMs: 120_000,
    janitorBatchMax: 2,
    vacuumRowsMin: 3,
  })
  const { jobs, clock, janitor } = opened
  const ids = await jobs.createMany([
    base,
    base,
    base,
    base,
    base,
    { ...base, priority: 1 },
    { ...base, priority: 2 },
  ])
  const claimed = await jobs.claim({ queue: 'hog', limit: 7, worker })
  const error = { attempt: 1, atMs: 0, kind: 'error', type: 'Error', message: 'no', worker } as const
  await jobs.settle(
    claimed.map(({ id, lockId, shard }, at) => {
      const hold = { id, lockId, shard }
      if (at === 5)
        return { ...hold, kind: 'changed', status: 'failed', attempt: 1, isTouchFree: true, error }
      if (at === 6) return { ...hold, kind: 'dead-letter', reason: 'attempts_used_up', error }
      return { ...hold, kind: 'completed' }
    }),
  )
  await jobs.cancel([(await jobs.create(base)) ?? ''])
  await clock.advance(10_000)
  assert.equal((await janitor.sweep()).completed, 0)
  await clock.advance(1)
  const { completed, canceled, failed } = await janitor.sweep()
  assert.deepEqual({ completed, canceled, failed }, { completed: 5, canceled: 1, failed: 0 })
  await clock.advance(50_000)
  assert.equal((await janitor.sweep()).failed, 1)
  assert.equal(await jobs.find(ids[5] ?? ''), undefined)
  await clock.advance(60_000)
  assert.equal((await janitor.sweep()).deadLetters, 1)
})

test('completed jobs need not be kept at all', async () => {
  await using opened = await setUp({ doneKeepMs: 0 })
  const { jobs } = opened
  const id = (await jobs.create(base)) ?? ''
  const [job] = await jobs.claim({ queue: 'hog', limit: 1, worker })
  assert(job !== undefined)
  assert.deepEqual(await jobs.settle([{ id, lockId: job.lockId, shard: 0, kind: 'completed' }]), [])
  assert.equal(await jobs.find(id), undefined)
})

test('the depth of each queue is measured, and falls to zero with it', async () => {
  await using opened = await setUp()
  const { jobs, janitor, context } = opened
  await jobs.createMany([base, base, { ...base, queue: 'email' }])
  await janitor.sweep()
  const depth = (queue: string) => context.metrics.value('cyclotron_available_jobs', { queue })
  assert.deepEqual([await depth('hog'), await depth('email')], [2, 1])
  await jobs.claim({ queue: 'hog', limit: 9, worker })
  await janitor.sweep()
  assert.deepEqual([await depth('hog'), await depth('email')], [0, 1])
})

test('a schedule creates one job each time, whoever looks, and makes up for missed ones by one', async () => {
  await using opened = await setUp()
  const { jobs, clock, janitor, context } = opened
  const minute = { name: 'tick', teamId: 1, queue: 'hog', everyMs: 60_000, parameters: { plugin: 7 } }
  await putSchedule(jobs, minute)
  assert.equal((await janitor.sweep()).scheduled, 0)
  await clock.advance(60_000)
  const others = Array.from({ length: 4 }, () => createJanitor(context).sweep())
  assert.equal(
    (await Promise.all(others)).reduce((sum, { scheduled }) => sum + scheduled, 0),
    1,
  )
  await clock.advance(60_000)
  assert.equal((await janitor.sweep()).scheduled, 0, 'the last one still waits')
  const [job] = await jobs.claim({ queue: 'hog', limit: 9, worker })
  assert(job !== undefined)
  assert.deepEqual(job.parameters, { plugin: 7 })
  assert.deepEqual(job.metadata, { schedule: 'tick', dueMs: clock.now() - 60_000 })
  await jobs.settle([{ id: job.id, lockId: job.lockId, shard: 0, kind: 'completed' }])
  await clock.advance(10 * 60_000 + 30_000)
  assert.equal((await janitor.sweep()).scheduled, 1)
  const [schedule] = await listSchedules(jobs)
  assert.equal((schedule?.nextMs ?? 0) - clock.now(), 30_000, 'it stays on the minute')
  assert.equal(await deleteSchedule(jobs, 'tick'), true)
  assert.equal(await deleteSchedule(jobs, 'tick'), false)
})
