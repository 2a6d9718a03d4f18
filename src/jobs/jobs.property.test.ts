/** Random operations on the queue against a model of it: an array of jobs and one rule for each operation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openTestJobs } from '../../test/support/jobs.ts'
import { createManualClock } from '../../test/support/manual-clock.ts'
import { createJanitor } from './janitor.ts'
import type { ClaimedJob, JobResult, JobStatus } from './job.ts'

const settings = {
  stallTimeoutMs: 1000,
  heartbeatIntervalMs: 500,
  stallDelayMs: 100,
  stallDelayMaxMs: 400,
  touchesMax: 2,
  doneKeepMs: 2000,
  failedKeepMs: 3000,
  deadLetterKeepMs: 1_000_000,
}
const error = { attempt: 1, atMs: 0, kind: 'error', type: 'Error', message: 'no', worker: 'w' } as const

type ModelJob = {
  id: string
  status: JobStatus | 'dead_letter'
  queue: string
  priority: number
  scheduledMs: number
  attempt: number
  touches: number
  errors: number
  key: string | undefined
  lock: string | undefined
  beatMs: number
  movedMs: number
  isCancelRequested: boolean
}

const queue = fc.constantFrom('a', 'b')
const operation = fc.oneof(
  fc.record({
    op: fc.constant('create' as const),
    queue,
    priority: fc.integer({ min: 0, max: 2 }),
    delayMs: fc.constantFrom(0, 0, 300, 2000),
    key: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
  }),
  fc.record({ op: fc.constant('claim' as const), queue, limit: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    op: fc.constant('settle' as const),
    which: fc.nat(),
    kind: fc.constantFrom('completed', 'again', 'retry', 'failed', 'canceled', 'dead', 'stranger'),
    delayMs: fc.constantFrom(0, 500),
  }),
  fc.record({
    op: fc.constantFrom('heartbeat' as const, 'cancel' as const, 'revive' as const),
    which: fc.nat(),
  }),
  fc.record({ op: fc.constant('advance' as const), ms: fc.constantFrom(1, 200, 700, 1500) }),
  fc.record({ op: fc.constant('sweep' as const) }),
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

test('the queue does what a list of jobs would do', async () => {
  const clock = createManualClock()
  await using opened = await openTestJobs({ clock, settings })
  const { jobs, databases, context } = opened
  const [database] = databases
  const janitor = createJanitor(context)

  const run = async (operations: readonly Operation[]): Promise<void> => {
    await database?.execute('truncate cyclotron_jobs, cyclotron_jobs_dead_letter')
    const model: ModelJob[] = []
    const holds: ClaimedJob[] = []
    for (const step of operations) {
      await apply(step, { model, holds })
      await compare(model)
    }
  }
  const apply = async (step: Operation, { model, holds }: { model: ModelJob[]; holds: ClaimedJob[] }) => {
    const now = clock.now()
    const moved = { lock: undefined, beatMs: 0, movedMs: now }
    switch (step.op) {
      case 'create': {
        const scheduledMs = now + step.delayMs
        const id = await jobs.create({ ...step, teamId: 1, scheduledMs, uniqueKey: step.key })
        const isTaken = model.some(
          (job) =>
            job.key !== undefined &&
            job.key === step.key &&
            job.queue === step.queue &&
            (job.status === 'available' || job.status === 'running'),
        )
        assert.equal(id === undefined, isTaken)
        if (id !== undefined)
          model.push({
            ...{ id, status: 'available', queue: step.queue, priority: step.priority, scheduledMs },
            ...{ attempt: 0, touches: 0, errors: 0, key: step.key, isCancelRequested: false },
            ...moved,
          })
        return
      }
      case 'claim': {
        const claimed = await jobs.claim({ ...step, worker: 'w' })
        const due = model
          .filter((job) => job.status === 'available' && job.queue === step.queue && job.scheduledMs <= now)
          .sort((left, right) => left.priority - right.priority || left.scheduledMs - right.scheduledMs)
        const rank = (job: { priority: number; scheduledMs: number }) => [job.priority, job.scheduledMs]
        assert.deepEqual(claimed.map(rank), due.slice(0, step.limit).map(rank))
        for (const job of claimed) {
          const found = model.find(({ id }) => id === job.id)
          assert(found !== undefined && due.includes(found))
          Object.assign(found, moved, {
            status: 'running',
            lock: job.lockId,
            beatMs: now,
            attempt: found.attempt + 1,
          })
          holds.push(job)
        }
        return
      }
      case 'settle': {
        const hold = holds[step.which % Math.max(1, holds.length)]
        if (hold === undefined) return
        const { id, lockId, shard } = hold
        const lock = step.kind === 'stranger' ? '00000000-0000-4000-8000-000000000000' : lockId
        const lost = await jobs.settle([
          resultOf(
            step,
            { id, lockId: lock, shard },
            { attempt: hold.attempt, scheduledMs: now + step.delayMs },
          ),
        ])
        const found = model.find((job) => job.id === id && job.lock === lock && job.status === 'running')
        assert.equal(lost.length, found === undefined ? 1 : 0)
        if (found === undefined) return
        const isDead = step.kind === 'dead'
        const again = step.kind === 'again' || step.kind === 'retry'
        const status = again ? (found.isCancelRequested ? 'canceled' : 'available') : step.kind
        Object.assign(found, moved, {
          status: isDead ? 'dead_letter' : status,
          errors: found.errors + (isDead || step.kind === 'retry' || step.kind === 'failed' ? 1 : 0),
          ...(again ? { scheduledMs: now + step.delayMs } : {}),
          ...(step.kind === 'again' ? { attempt: 0 } : {}),
          ...(isDead || step.kind === 'completed' ? {} : { touches: 0 }),
        })
        return
      }
      case 'heartbeat': {
        const hold = holds[step.which % Math.max(1, holds.length)]
        if (hold === undefined) return
        const { lost, canceled } = await jobs.heartbeat([hold])
        const own = model.find(
          ({ id, lock, status }) => id === hold.id && lock === hold.lockId && status === 'running',
        )
        assert.equal(lost.length, own === undefined ? 1 : 0)
        assert.equal(canceled.length, own?.isCancelRequested === true ? 1 : 0)
        if (own !== undefined) own.beatMs = now
        return
      }
      case 'cancel': {
        const job = model[step.which % Math.max(1, model.length)]
        if (job === undefined) return
        const answer = await jobs.cancel([job.id])
        const isOpen = job.status === 'available' || job.status === 'running'
        assert.equal(answer.length, isOpen ? 1 : 0)
        if (!isOpen) return
        job.isCancelRequested = true
        if (job.status === 'available') Object.assign(job, moved, { status: 'canceled' })
        return
      }
      case 'revive': {
        const job = model[step.which % Math.max(1, model.length)]
        if (job === undefined) return
        const answer = await jobs.retry([job.id])
        const isOver = job.status === 'failed' || job.status === 'canceled' || job.status === 'dead_letter'
        assert.deepEqual(answer, isOver ? [job.id] : [])
        if (!isOver) return
        const anew = { attempt: 0, touches: 0, key: undefined, isCancelRequested: false, scheduledMs: now }
        Object.assign(job, moved, { status: 'available', ...anew })
        return
      }
      case 'advance':
        await clock.advance(step.ms)
        return
      case 'sweep':
        await janitor.sweep()
        await sweepModel(model)
    }
  }
  const sweepModel = async (model: ModelJob[]): Promise<void> => {
    const now = clock.now()
    for (const job of [...model]) {
      const keepMs =
        job.status === 'completed' || job.status === 'canceled'
          ? settings.doneKeepMs
          : job.status === 'failed'
            ? settings.failedKeepMs
            : undefined
      if (keepMs !== undefined && job.movedMs < now - keepMs) model.splice(model.indexOf(job), 1)
      if (job.status !== 'running' || job.beatMs >= now - settings.stallTimeoutMs) continue
      const touches = job.touches + 1
      const gone = { touches, errors: job.errors + 1, lock: undefined, movedMs: now }
      if (touches >= settings.touchesMax) {
        Object.assign(job, gone, { status: 'dead_letter' })
        continue
      }
      const full = Math.min(settings.stallDelayMaxMs, settings.stallDelayMs * 2 ** job.touches)
      const { scheduledMs = 0 } = (await jobs.find(job.id)) ?? {}
      const delayMs = scheduledMs - now
      assert.ok(delayMs >= full / 2 - 1 && delayMs <= full + 1, `a delay of ${delayMs} ms`)
      const status = job.isCancelRequested ? 'canceled' : 'available'
      Object.assign(job, gone, { status, scheduledMs, attempt: Math.max(0, job.attempt - 1) })
    }
  }
  const compare = async (model: readonly ModelJob[]): Promise<void> => {
    const stored = [
      ...(await jobs.list({ limit: 1000 })),
      ...(await jobs.list({ status: 'dead_letter', limit: 1000 })),
    ]
    const seen = stored.map((job) => ({
      ...{ id: job.id, status: job.status, queue: job.queue, priority: job.priority },
      ...{
        scheduledMs: job.scheduledMs,
        attempt: job.attempt,
        touches: job.touches,
        errors: job.errors.length,
      },
    }))
    const expected = model.map(({ id, status, queue, priority, scheduledMs, attempt, touches, errors }) => ({
      ...{ id, status, queue, priority, scheduledMs, attempt, touches, errors },
    }))
    const byId = (left: { id: string }, right: { id: string }) => (left.id < right.id ? -1 : 1)
    assert.deepEqual(seen.sort(byId), expected.sort(byId))
  }
  await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 10, maxLength: 60 }), run), {
    numRuns: Number(process.env.ROWMILL_PROPERTY_RUNS ?? 25),
  })
})

function resultOf(
  step: Extract<Operation, { op: 'settle' }>,
  hold: { id: string; lockId: string; shard: number },
  { attempt, scheduledMs }: { attempt: number; scheduledMs: number },
): JobResult {
  const changed = { ...hold, kind: 'changed', isTouchFree: true, attempt } as const
  switch (step.kind) {
    case 'again':
      return { ...changed, status: 'available', attempt: 0, scheduledMs }
    case 'retry':
      return { ...changed, status: 'available', scheduledMs, error }
    case 'failed':
      return { ...changed, status: 'failed', error }
    case 'canceled':
      return { ...changed, status: 'canceled' }
    case 'dead':
      return { ...hold, kind: 'dead-letter', reason: 'attempts_used_up', error }
    default:
      return { ...hold, kind: 'completed' }
  }
}
