/** Workers with real time on PostgreSQL: every test waits for a state, none for a time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestJobs, type TestJobs } from '../../test/support/jobs.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import type { ClaimedJob, JobOutcome } from './job.ts'
import { type JobWorkerOptions, runJobWorker } from './worker.ts'

const base = { queue: 'hog', teamId: 1 }
const quick = { retryDelayMs: 0, retryDelayMaxMs: 0, pollIntervalMs: 20 }

/** A worker that is stopped at the end of its scope. */
function startWorker(
  { context }: TestJobs,
  options: Pick<JobWorkerOptions, 'handle'> & Partial<JobWorkerOptions>,
): AsyncDisposable & { stop: () => Promise<void>; abort: () => Promise<void> } {
  const stopping = new AbortController()
  const aborting = new AbortController()
  const running = runJobWorker(context, {
    queue: 'hog',
    name: 'w',
    stop: stopping.signal,
    signal: aborting.signal,
    ...options,
  })
  const stop = () => {
    stopping.abort()
    return running
  }
  const abort = () => {
    aborting.abort()
    return running
  }
  return { stop, abort, [Symbol.asyncDispose]: stop }
}

const statusOf = async ({ jobs }: TestJobs, id: string | undefined) => (await jobs.find(id ?? ''))?.status

test('every job is run once', async () => {
  await using opened = await openTestJobs({ settings: { ...quick, concurrencyMax: 20 } })
  const { jobs } = opened
  const ran: string[] = []
  await using worker = startWorker(opened, {
    handle: async ({ id }) => {
      ran.push(id)
    },
  })
  const ids = await jobs.createMany(Array.from({ length: 250 }, () => base))
  await waitFor(() => ran.length === 250, { what: 'all jobs to run' })
  await worker.stop()
  assert.equal((await jobs.list({ status: 'completed', limit: 300 })).length, 250)
  assert.deepEqual([...ran].sort(), [...ids].sort())
})

test('a created job wakes an idle worker, and so does one that another puts back', async () => {
  await using opened = await openTestJobs({ settings: { pollIntervalMs: 600_000 } })
  const { jobs } = opened
  const ran = new Set<string>()
  await using _worker = startWorker(opened, {
    handle: async ({ id }) => {
      ran.add(id)
      return ran.size === 1 ? { kind: 'failed', error: 'once' } : undefined
    },
  })
  // The first may be created before the worker listens: then another one wakes it.
  await waitFor(async () => {
    await jobs.create(base)
    return ran.size > 0
  })
  const failed = await waitFor(async () => (await jobs.list({ status: 'failed', limit: 1 }))[0])
  await jobs.retry([failed.id])
  await waitFor(async () => (await statusOf(opened, failed.id)) === 'completed', { what: 'the retried job' })
})

test('without notifications jobs are found by polling', async () => {
  await using opened = await openTestJobs({ settings: { ...quick, isNotifying: false } })
  await using _worker = startWorker(opened, { handle: async () => undefined })
  const id = await opened.jobs.create(base)
  await waitFor(async () => (await statusOf(opened, id)) === 'completed')
})

test('a job that keeps failing becomes a dead letter with the error of every attempt', async () => {
  await using opened = await openTestJobs({ settings: quick })
  const { jobs } = opened
  const tries: number[] = []
  await using _worker = startWorker(opened, {
    handle: async ({ attempt, errors }) => {
      tries.push(attempt)
      assert.equal(errors.length, attempt - 1)
      throw new Error(`attempt ${attempt}`, { cause: new TypeError('deeper') })
    },
  })
  const id = await jobs.create({ ...base, attemptsMax: 3 })
  const letter = await waitFor(async () => {
    const job = await jobs.find(id ?? '')
    return job?.status === 'dead_letter' && job
  })
  assert.deepEqual(tries, [1, 2, 3])
  assert.equal(letter.reason, 'attempts_used_up')
  assert.deepEqual(
    letter.errors.map(({ attempt, kind, type, message, worker }) => ({
      attempt,
      kind,
      type,
      message,
      worker,
    })),
    [1, 2, 3].map((attempt) => ({
      attempt,
      kind: 'error',
      type: 'Error',
      message: `attempt ${attempt}; because: deeper`,
      worker: 'w',
    })),
  )
})

test('outcomes are written: goes on with a new state, fails for good, is canceled', async () => {
  await using opened = await openTestJobs({ settings: quick })
  const { jobs } = opened
  const seen: unknown[] = []
  await using _worker = startWorker(opened, {
    handle: async ({ parameters, state }: ClaimedJob) => {
      seen.push(state)
      if (parameters === 'fail') return { kind: 'failed', error: 'no such place' }
      if (parameters === 'cancel') return { kind: 'canceled' }
      if (parameters === 'bad' && state === null) return { kind: 'rescheduled', queue: '' }
      return state === null ? { kind: 'rescheduled', state: { step: 2 } } : { kind: 'completed' }
    },
  })
  const [goes, fails, cancels, bad] = await jobs.createMany(
    [null, 'fail', 'cancel', 'bad'].map((parameters) => ({ ...base, parameters })),
  )
  await waitFor(async () => (await statusOf(opened, goes)) === 'completed')
  await waitFor(async () => (await statusOf(opened, fails)) === 'failed')
  await waitFor(async () => (await statusOf(opened, cancels)) === 'canceled')
  await waitFor(async () => (await statusOf(opened, bad)) === 'dead_letter')
  assert.equal((await jobs.find(fails ?? ''))?.errors[0]?.message, 'no such place')
  assert.equal((await jobs.find(bad ?? ''))?.errors[0]?.type, 'JOB_INVALID')
  assert.ok(seen.some((state) => JSON.stringify(state) === '{"step":2}'))
})

test('a running job whose cancelling is asked for hears of it', async () => {
  await using opened = await openTestJobs()
  const { jobs } = opened
  const began = Promise.withResolvers<void>()
  await using _worker = startWorker(opened, {
    handle: (_job, { signal }) =>
      new Promise<undefined>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
        began.resolve()
      }),
  })
  const id = await jobs.create(base)
  await began.promise
  // The worker may have begun before it listens: ask until it has heard.
  await waitFor(async () => {
    await jobs.cancel([id ?? ''])
    return (await statusOf(opened, id)) === 'canceled'
  })
  assert.deepEqual((await jobs.find(id ?? ''))?.errors, [], 'that is no failed attempt')
})

test('no more jobs run at once than were allowed', async () => {
  await using opened = await openTestJobs({ settings: quick })
  let now = 0
  let most = 0
  let done = 0
  await using _worker = startWorker(opened, {
    concurrencyMax: 5,
    handle: async () => {
      now += 1
      most = Math.max(most, now)
      await new Promise((resolve) => setImmediate(resolve))
      now -= 1
      done += 1
    },
  })
  await opened.jobs.createMany(Array.from({ length: 60 }, () => base))
  await waitFor(() => done === 60)
  assert.ok(most <= 5 && most > 1, `${most} at once`)
})

test('a stop lets handlers finish; an abort gives their jobs back without a failed attempt', async () => {
  await using opened = await openTestJobs({ settings: quick })
  const { jobs } = opened
  const gate = Promise.withResolvers<void>()
  let begun = 0
  const finishing = startWorker(opened, {
    handle: async () => {
      begun += 1
      await gate.promise
    },
  })
  const first = await jobs.create(base)
  await waitFor(() => begun === 1)
  const stopped = finishing.stop()
  gate.resolve()
  await stopped
  assert.equal(await statusOf(opened, first), 'completed')

  const aborting = startWorker(opened, {
    handle: (_job, { signal }) =>
      new Promise<undefined>((_resolve, reject) => {
        begun += 1
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
  })
  const second = await jobs.create(base)
  await waitFor(() => begun === 2)
  await aborting.abort()
  const job = await jobs.find(second ?? '')
  assert.deepEqual([job?.status, job?.attempt, job?.errors], ['available', 0, []])
})

test('a handler that takes too long has failed an attempt', async () => {
  await using opened = await openTestJobs({ settings: quick })
  const { jobs } = opened
  await using _worker = startWorker(opened, {
    handleTimeMaxMs: 5,
    handle: (_job, { signal }) =>
      new Promise<undefined>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('out of time')), { once: true })
      }),
  })
  const id = await jobs.create({ ...base, attemptsMax: 1 })
  await waitFor(async () => (await statusOf(opened, id)) === 'dead_letter')
  assert.equal((await jobs.find(id ?? ''))?.errors[0]?.kind, 'timeout')
})

test('a worker whose job was given to another lets go of it and writes nothing', async () => {
  await using opened = await openTestJobs({
    settings: { ...quick, heartbeatIntervalMs: 20, stallTimeoutMs: 60_000 },
  })
  const { jobs, databases } = opened
  const [database] = databases
  const lost = Promise.withResolvers<void>()
  let begun = 0
  await using worker = startWorker(opened, {
    handle: (_job, { signal }) => {
      begun += 1
      return new Promise<JobOutcome>((resolve) => {
        signal.addEventListener('abort', () => {
          lost.resolve()
          resolve({ kind: 'failed', error: 'must not be written' })
        })
      })
    },
  })
  const id = await jobs.create(base)
  await waitFor(() => begun === 1)
  await database?.execute("update cyclotron_jobs set lock_id = gen_random_uuid(), attempted_by = 'other'")
  await lost.promise
  await worker.stop()
  const job = await jobs.find(id ?? '')
  assert.deepEqual([job?.status, job?.worker, job?.errors], ['running', 'other', []])
})

test('jobs are let go when heartbeats do not get through for too long', async () => {
  await using opened = await openTestJobs({
    settings: { ...quick, heartbeatIntervalMs: 50, stallTimeoutMs: 400 },
  })
  const { context, jobs } = opened
  const lost = Promise.withResolvers<void>()
  const deaf: typeof jobs = { ...jobs, heartbeat: () => new Promise(() => {}) }
  const begun = Promise.withResolvers<void>()
  const aborting = new AbortController()
  const running = runJobWorker(
    {
      ...context,
      jobs: {
        ...deaf,
        heartbeat: (holds) =>
          Promise.race([deaf.heartbeat(holds), lost.promise.then(() => ({ lost: [], canceled: [] }))]),
      },
    },
    {
      ...{ queue: 'hog', stop: aborting.signal, signal: new AbortController().signal },
      handle: async (_job, { signal }) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        lost.resolve()
      },
    },
  )
  const id = await jobs.create(base)
  await begun.promise
  await lost.promise
  aborting.abort()
  await running
  assert.equal(await statusOf(opened, id), 'running', 'the janitor gives it to another')
})

test('a statement that is a bug ends the worker', async () => {
  await using opened = await openTestJobs({ settings: quick })
  const { context, jobs } = opened
  await jobs.create(base)
  const broken: typeof jobs = { ...jobs, settle: () => Promise.reject(new TypeError('a bug')) }
  await assert.rejects(
    runJobWorker(
      { ...context, jobs: broken },
      { queue: 'hog', handle: async () => undefined, signal: new AbortController().signal },
    ),
    /a bug/,
  )
})
