/**
 * The job queue beside graphile-worker and pg-boss, on the same embedded PostgreSQL with durable commits: how many
 * trivial jobs per second are created in bulk, and how many are run, median of rounds that take turns, with the
 * processor time that a run takes in this process and PostgreSQL together (Linux only). Then how
 * long a job takes from being created to being run when nothing else is going on, and how large the table and
 * its indexes are after everything.
 *
 *     node bench/jobs.ts [--jobs 20000] [--rounds 3] [--peers /folder/with/node_modules]
 *
 * The peers are no dependencies: install them elsewhere (`npm install graphile-worker@0.18 pg-boss@12`) and name
 * the folder. Without it they are left out, and the line says so.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { createSystemClock } from '../src/adapters/embedded/clock.ts'
import { postgresConfig } from '../src/adapters/embedded/postgres/config.ts'
import { openManagedPostgres } from '../src/adapters/embedded/postgres/managed-postgres.ts'
import { createSystemRandom } from '../src/adapters/embedded/random.ts'
import { loadMigrations } from '../src/adapters/migration-files.ts'
import { databaseConfig } from '../src/adapters/postgres/config.ts'
import { openDatabase } from '../src/adapters/postgres/database.ts'
import { migrateDatabase } from '../src/adapters/postgres/migrations.ts'
import { jobsConfig } from '../src/jobs/config.ts'
import { runJobJanitor } from '../src/jobs/janitor.ts'
import { createJobs, type Jobs } from '../src/jobs/jobs.ts'
import { runJobWorker } from '../src/jobs/worker.ts'
import { Secret } from '../src/std/secret.ts'
import { quietTelemetry } from '../test/support/quiet.ts'
import { tempDir } from '../test/support/temp-dir.ts'

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    peers: { type: 'string' },
  },
})
const jobCount = Number(options.jobs)
const rounds = Number(options.rounds)
const batchJobs = 1000
const concurrency = 500

/** A queue under measurement: jobs are created first and then run to the last one. */
type Contender = {
  create: (batches: readonly number[]) => Promise<void>
  /** Resolves when `count` jobs have run and their ends are durable. */
  run: (count: number) => Promise<void>
}

const context = { clock: createSystemClock(), random: createSystemRandom(), ...quietTelemetry() }
await using directory = await tempDir('rowmill-bench-jobs-')
const serverConfig = { ...postgresConfig.parse({}), directory: directory.path }
await using server = await openManagedPostgres(context, serverConfig)
const url = server.connectionString
await using database = await openDatabase(context, { ...databaseConfig.parse({}), url: new Secret(url) })
const files = await loadMigrations(new URL('../sql/postgres/', import.meta.url))
await migrateDatabase(database, { files, logger: context.logger })

const settings = { claimMax: concurrency, concurrencyMax: concurrency }
const config = jobsConfig.parse(settings)
const jobs = createJobs({ ...context, databases: [database] }, config)
const bare = createJobs(
  { ...context, databases: [database] },
  jobsConfig.parse({ ...settings, doneKeepMs: 0 }),
)
const over = new AbortController()
const janitor = runJobJanitor({ ...context, jobs }, { signal: over.signal })

await using stack = new AsyncDisposableStack()
const contenders: Record<string, Contender> = {
  rowmill: contenderOf(jobs, 'bench'),
  'rowmill, nothing kept': contenderOf(bare, 'bare'),
  ...(options.peers === undefined ? {} : await openPeers(options.peers, stack)),
}
const measured = new Map(
  Object.keys(contenders).map((name) => [
    name,
    { created: [] as number[], ran: [] as number[], cpu: [] as number[] },
  ]),
)
for (let round = 0; round < rounds; round++)
  for (const [name, contender] of Object.entries(contenders)) {
    const batches = Array.from({ length: jobCount / batchJobs }, () => batchJobs)
    const figures = measured.get(name)
    figures?.created.push(await perSecond(() => contender.create(batches)))
    const before = cpuMicros()
    figures?.ran.push(await perSecond(() => contender.run(jobCount)))
    figures?.cpu.push(Math.round((cpuMicros() - before) / jobCount))
  }
const table = Object.fromEntries(
  [...measured].map(([name, { created, ran, cpu }]) => [
    name,
    { createdPerSecond: median(created), ranPerSecond: median(ran), cpuMicrosPerJob: median(cpu) },
  ]),
)
const own = table.rowmill?.ranPerSecond ?? 0
const bareOwn = table['rowmill, nothing kept']?.ranPerSecond ?? 0
const graphile = table['graphile-worker']?.ranPerSecond ?? 0
const result = {
  bench: 'jobs',
  jobs: jobCount,
  rounds,
  peers: options.peers === undefined ? 'left out: name their folder with --peers' : 'measured',
  ...table,
  ...(graphile === 0
    ? {}
    : { timesGraphile: rounded(own / graphile), timesGraphileNothingKept: rounded(bareOwn / graphile) }),
  wakeMs: await wakeTime(),
  tableBytes: await sizes(),
}
over.abort()
await janitor
process.stdout.write(`${JSON.stringify(result)}\n`)

async function perSecond(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return Math.round((jobCount * 1000) / (performance.now() - startedAt))
}

function rounded(number: number): number {
  return Math.round(number * 100) / 100
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? 0
}

/** Processor time of this process and of the PostgreSQL below it, those of its processes that have ended included. */
function cpuMicros(): number {
  const own = process.cpuUsage()
  if (process.platform !== 'linux') return own.user + own.system
  const stats = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? []
        return [
          {
            pid: Number(pid),
            parent: fields[1],
            live: (fields[11] ?? 0) + (fields[12] ?? 0),
            ended: (fields[13] ?? 0) + (fields[14] ?? 0),
          },
        ]
      } catch {
        // It has ended between the listing and the look.
        return []
      }
    })
  const tickMicros = 10_000
  const masters = stats.filter(({ parent }) => parent === process.pid)
  const ticks = masters.map(({ pid, live, ended }) =>
    stats.filter(({ parent }) => parent === pid).reduce((sum, child) => sum + child.live, live + ended),
  )
  return own.user + own.system + ticks.reduce((sum, count) => sum + count * tickMicros, 0)
}

function contenderOf(queue: Jobs, name: string): Contender {
  return {
    async create(batches) {
      for (const size of batches)
        await queue.createMany(
          Array.from({ length: size }, (_, n) => ({ queue: name, teamId: 1, parameters: { n } })),
        )
    },
    async run(count) {
      const stop = new AbortController()
      let done = 0
      await runJobWorker(
        { ...context, jobs: queue },
        {
          queue: name,
          stop: stop.signal,
          signal: over.signal,
          handle: async () => {
            if (++done === count) stop.abort()
          },
        },
      )
    },
  }
}

/** Milliseconds from creating a job to its handler, median. */
async function wakeTime(): Promise<number> {
  const stop = new AbortController()
  let ran = Promise.withResolvers<number>()
  const worker = runJobWorker(
    { ...context, jobs },
    {
      queue: 'wake',
      stop: stop.signal,
      signal: over.signal,
      handle: async () => ran.resolve(performance.now()),
    },
  )
  const times: number[] = []
  for (let round = 0; round < 30; round++) {
    ran = Promise.withResolvers()
    const startedAt = performance.now()
    await jobs.create({ queue: 'wake', teamId: 1 })
    times.push((await ran.promise) - startedAt)
    await context.clock.sleep(20)
  }
  stop.abort()
  await worker
  return Math.round((times.sort((left, right) => left - right)[15] ?? 0) * 10) / 10
}

async function sizes(): Promise<unknown> {
  const [row] = await database.query(
    `select pg_table_size('cyclotron_jobs')::float8 as "table", pg_indexes_size('cyclotron_jobs')::float8 as indexes,
     (select count(*) from cyclotron_jobs)::float8 as rows`,
  )
  return row
}

async function openPeers(folder: string, owned: AsyncDisposableStack): Promise<Record<string, Contender>> {
  const require = createRequire(join(folder, 'package.json'))
  const load = (name: string) => import(pathToFileURL(require.resolve(name)).href)
  return {
    'graphile-worker': await openGraphile(await load('graphile-worker')),
    'pg-boss': await openBoss(await load('pg-boss'), owned),
  }
}

type GraphileModule = {
  runMigrations: (options: object) => Promise<void>
  makeWorkerUtils: (options: object) => Promise<{
    addJobs: (jobs: readonly object[]) => Promise<unknown>
    release: () => Promise<void>
  }>
  run: (options: object) => Promise<{ stop: () => Promise<void> }>
}

/** With a local queue and batched completion, as its manual advises for throughput. */
async function openGraphile(graphile: GraphileModule): Promise<Contender> {
  const logger = { scope: () => logger, error() {}, warn() {}, info() {}, debug() {} }
  const base = { connectionString: url, logger }
  await graphile.runMigrations(base)
  return {
    async create(batches) {
      const utils = await graphile.makeWorkerUtils(base)
      for (const size of batches)
        await utils.addJobs(
          Array.from({ length: size }, (_, n) => ({ identifier: 'trivial', payload: { n } })),
        )
      await utils.release()
    },
    async run(count) {
      let done = 0
      const all = Promise.withResolvers<void>()
      const runner = await graphile.run({
        ...base,
        noHandleSignals: true,
        concurrency: 24,
        preset: {
          worker: { localQueue: { size: concurrency }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
        },
        taskList: {
          trivial: async () => {
            if (++done === count) all.resolve()
          },
        },
      })
      await all.promise
      await runner.stop()
    },
  }
}

type Boss = {
  on: (event: string, listener: () => void) => void
  start: () => Promise<unknown>
  stop: (options: object) => Promise<void>
  createQueue: (name: string) => Promise<void>
  insert: (name: string, jobs: readonly object[]) => Promise<unknown>
  fetch: (name: string, options: object) => Promise<{ id: string }[]>
  complete: (name: string, ids: readonly string[]) => Promise<unknown>
}

/** By fetch and complete in a loop: its own worker waits half a second between batches. */
async function openBoss(
  module: { PgBoss: new (options: object) => Boss },
  owned: AsyncDisposableStack,
): Promise<Contender> {
  const boss = new module.PgBoss({ connectionString: url })
  boss.on('error', () => {})
  await boss.start()
  owned.defer(() => boss.stop({ graceful: false }))
  await boss.createQueue('trivial')
  return {
    async create(batches) {
      for (const size of batches)
        await boss.insert(
          'trivial',
          Array.from({ length: size }, (_, n) => ({ data: { n } })),
        )
    },
    async run(count) {
      for (let done = 0; done < count; ) {
        const batch = await boss.fetch('trivial', { batchSize: concurrency })
        await boss.complete(
          'trivial',
          batch.map(({ id }) => id),
        )
        done += batch.length
      }
    },
  }
}
