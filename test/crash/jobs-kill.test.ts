/**
 * Kills workers with -9 again and again while they run jobs, and looks at what is left: every job has ended, none
 * was run by two live workers at once, and every attempt that did not succeed has its error.
 *
 * ROWMILL_CRASH_ROUNDS sets the number of kills (default 4).
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openTestJobs } from '../support/jobs.ts'
import { waitFor } from '../support/wait-for.ts'

const rounds = Number(process.env.ROWMILL_CRASH_ROUNDS ?? 4)
const program = fileURLToPath(new URL('../support/job-worker-process.ts', import.meta.url))
const settings = {
  concurrencyMax: 10,
  pollIntervalMs: 50,
  heartbeatIntervalMs: 1000,
  stallTimeoutMs: 4000,
  stallDelayMs: 50,
  stallDelayMaxMs: 200,
  janitorIntervalMs: 100,
  retryDelayMs: 20,
  retryDelayMaxMs: 50,
  // Innocent jobs may die with the others' workers as often as this test kills.
  touchesMax: rounds + 12,
  doneKeepMs: 3_600_000,
}

type Run = { job: string; pid: number; began: string; ended: string | null }
type Worker = { child: ChildProcess; pid: number; name: string }

test(`after ${rounds} kills every job has ended, once, with an error for each attempt in vain`, {
  timeout: 300_000,
}, async () => {
  await using opened = await openTestJobs({ settings })
  const { jobs, databases, connectionString } = opened
  const [database] = databases
  assert(database !== undefined)
  await database.execute(
    `create table runs (run bigint generated always as identity, job uuid not null, pid int not null,
     began timestamptz not null, ended timestamptz)`,
  )
  /** When a worker's process was gone, by the database's clock. */
  const goneAt = new Map<number, string>()
  let started = 0
  const start = (): Worker => {
    const name = `worker ${++started}`
    const child = spawn(
      process.execPath,
      [program, JSON.stringify({ url: connectionString, name, settings })],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
    return { child, pid: child.pid ?? 0, name }
  }
  const kill = async ({ child, pid }: Worker): Promise<void> => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    child.kill('SIGKILL')
    await ended
    const [row] = await database.query<{ now: string }>('select clock_timestamp() as now')
    goneAt.set(pid, row?.now ?? '')
  }
  const kinds = [...Array(25 * rounds).fill('works'), ...Array(10).fill('fails')]
  const ids = await jobs.createMany(
    kinds.map((parameters: string) => ({ queue: 'crash', teamId: 1, parameters, attemptsMax: 3 })),
  )
  const workers = [start(), start()]
  let runsSeen = 0
  for (let round = 0; round < rounds; round++) {
    await waitFor(async () => (await runCount(database)) > runsSeen, {
      withinMs: 60_000,
      what: 'jobs to run',
    })
    const [victim] = workers.splice(round % workers.length, 1)
    assert(victim !== undefined)
    await kill(victim)
    runsSeen = await runCount(database)
    workers.push(start())
    await jobs.createMany(
      Array.from({ length: 25 }, () => ({ queue: 'crash', teamId: 1, parameters: 'works' })),
    )
  }
  await waitFor(
    async () => (await jobs.counts()).every(({ status }) => status !== 'available' && status !== 'running'),
    { withinMs: 120_000, what: 'every job to end' },
  )
  for (const worker of workers) {
    worker.child.kill('SIGTERM')
    await once(worker.child, 'exit')
  }

  const all = [
    ...(await jobs.list({ limit: 10_000 })),
    ...(await jobs.list({ status: 'dead_letter', limit: 10_000 })),
  ]
  assert.equal(all.length, ids.length + 25 * rounds, 'no job is lost')
  const counts = Object.fromEntries((await jobs.counts()).map(({ status, count }) => [status, count]))
  assert.deepEqual(counts, { completed: 50 * rounds, dead_letter: 10 })
  for (const job of all) {
    const failures = job.errors.filter(({ kind }) => kind === 'error').map(({ attempt }) => attempt)
    assert.deepEqual(failures, job.status === 'dead_letter' ? [1, 2, 3] : [])
    assert.ok(job.errors.every(({ worker }) => worker.startsWith('worker ')))
  }
  const runs = await database.query<Run>('select job, pid, began, ended from runs order by run')
  const byJob = Map.groupBy(runs, ({ job }) => job)
  for (const job of all) {
    const own = byJob.get(job.id) ?? []
    const inVain = job.errors.length + (job.status === 'completed' ? 1 : 0)
    assert.ok(own.length <= inVain, `${own.length} runs of ${job.id} have left ${inVain} traces`)
    for (const [at, run] of own.entries()) {
      const next = own[at + 1]
      if (next === undefined) continue
      const over = run.ended ?? goneAt.get(run.pid)
      assert.ok(over !== undefined && over <= next.began, `two live workers ran ${job.id} at once`)
    }
  }
})

test('a job that kills its worker each time becomes a dead letter, and the others go on', {
  timeout: 300_000,
}, async () => {
  const strict = { ...settings, touchesMax: 3, concurrencyMax: 1 }
  await using opened = await openTestJobs({ settings: strict })
  const { jobs, databases, connectionString } = opened
  await databases[0]?.execute(
    `create table runs (run bigint generated always as identity, job uuid not null, pid int not null,
     began timestamptz not null, ended timestamptz)`,
  )
  const [poison] = await jobs.createMany(
    ['poison', 'works', 'works'].map((parameters) => ({ queue: 'crash', teamId: 1, parameters })),
  )
  let isOver = false
  const keepRunning = async (): Promise<void> => {
    for (let life = 1; !isOver; life++) {
      const given = { url: connectionString, name: `life ${life}`, settings: strict }
      const child = spawn(process.execPath, [program, JSON.stringify(given)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const exited = once(child, 'exit')
      await Promise.race([exited, waitFor(() => isOver, { withinMs: 120_000 })])
      if (isOver) child.kill('SIGTERM')
      await exited
    }
  }
  const running = keepRunning()
  const letter = await waitFor(
    async () => {
      const job = await jobs.find(poison ?? '')
      return job?.status === 'dead_letter' && job
    },
    { withinMs: 100_000, what: 'the poison pill to be found' },
  )
  assert.equal(letter.reason, 'poison_pill')
  assert.deepEqual(
    letter.errors.map(({ kind, worker }) => `${kind} ${worker}`).map((text) => text.slice(0, 12)),
    Array(3).fill('stalled life'),
  )
  await waitFor(async () => (await jobs.list({ status: 'completed', limit: 9 })).length === 2, {
    withinMs: 60_000,
  })
  isOver = true
  await running
})

async function runCount(database: {
  query: <Row extends object>(text: string) => Promise<Row[]>
}): Promise<number> {
  const [row] = await database.query<{ count: number }>('select count(*)::int as count from runs')
  return row?.count ?? 0
}
