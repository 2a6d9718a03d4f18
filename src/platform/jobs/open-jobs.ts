/**
 * The job queue on its databases: for the program, and, as `rowmill/jobs`, for programs of others.
 */
import { loadMigrations } from '../../adapters/migration-files.ts'
import { databaseConfig } from '../../adapters/postgres/config.ts'
import { openDatabase } from '../../adapters/postgres/database.ts'
import { migrateDatabase } from '../../adapters/postgres/migrations.ts'
import { type JobsConfig, jobsConfig } from '../../jobs/config.ts'
import { runJobJanitor } from '../../jobs/janitor.ts'
import { createJobs, type Jobs } from '../../jobs/jobs.ts'
import { deleteSchedule, type JobSchedule, listSchedules, putSchedule } from '../../jobs/schedules.ts'
import { createDatabaseTime } from '../../jobs/time.ts'
import { type JobWorkerOptions, runJobWorker } from '../../jobs/worker.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Database } from '../../ports/database.ts'
import type { Random } from '../../ports/random.ts'
import { Secret } from '../../std/secret.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../telemetry/metrics.ts'
import { createGround } from '../ground.ts'

export type { JobsConfig } from '../../jobs/config.ts'
export type {
  ClaimedJob,
  Job,
  JobEntry,
  JobError,
  JobOutcome,
  JobPayload,
  JobStatus,
  NewJob,
} from '../../jobs/job.ts'
export type { Jobs } from '../../jobs/jobs.ts'
export type { JobSchedule } from '../../jobs/schedules.ts'
export type { JobHandler, JobWorkerOptions } from '../../jobs/worker.ts'

type JobGround = { clock: Clock; random: Random; logger: Logger; metrics?: Metrics }

/** The program's queue, on its own database or on the ones of `jobs.shardUrls`, whose tables are brought up to date. */
export async function openJobs(
  ground: JobGround & { database: Database },
  config: JobsConfig,
): Promise<Jobs & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const metrics = ground.metrics ?? createMetrics()
  const databases: Database[] = []
  for (const url of config.shardUrls)
    databases.push(stack.use(await openShard({ ...ground, metrics }, { url, isMigrating: true })))
  const [first = ground.database] = databases
  const time = createDatabaseTime({ clock: ground.clock, database: first })
  const all = databases.length === 0 ? [ground.database] : databases
  const jobs = createJobs({ ...ground, metrics, databases: all, time }, config)
  await time.align()
  const owned = stack.move()
  return { ...jobs, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

export type JobQueueOptions = {
  /** PostgreSQL 15 or newer; several are shards. Passwords stand in the URLs. */
  databaseUrl: string | readonly string[]
  /** As under `jobs` in Rowmill's config. */
  settings?: Partial<Omit<JobsConfig, 'shardUrls'>>
  /** Create and update the tables; default true. */
  isMigrating?: boolean
  /** What is logged, to standard error; default `warn`. */
  logLevel?: 'silent' | 'error' | 'warn' | 'info' | 'debug'
}

/** A job queue in somebody's own program: the operations of `Jobs`, and what runs beside them. */
export interface JobQueue extends Jobs, AsyncDisposable {
  /** Runs the jobs of one queue until `stop` or `signal` aborts. */
  runWorker(options: JobWorkerOptions): Promise<void>
  /** Tidies up and creates the jobs of schedules, until `signal` aborts. One process at least has to. */
  runJanitor(options: { signal: AbortSignal }): Promise<void>
  putSchedule(schedule: JobSchedule): Promise<void>
  deleteSchedule(name: string): Promise<boolean>
  listSchedules(): Promise<(JobSchedule & { nextMs: number })[]>
  /** The queue's metrics in the Prometheus text format. */
  renderMetrics(): Promise<string>
}

/** Fails with the Database's errors or `CONFIG_INVALID`. */
export async function openJobQueue(options: JobQueueOptions): Promise<JobQueue> {
  const { databaseUrl, settings, isMigrating = true, logLevel = 'warn' } = options
  await using stack = new AsyncDisposableStack()
  const ground = createGround({ logLevel }, { isToStderr: true })
  const config = jobsConfig.parse(settings ?? {})
  const databases: Database[] = []
  for (const url of [databaseUrl].flat())
    databases.push(stack.use(await openShard(ground, { url: new Secret(url), isMigrating })))
  const [first] = databases
  const time = first === undefined ? undefined : createDatabaseTime({ ...ground, database: first })
  const jobs = createJobs({ ...ground, databases, ...(time === undefined ? {} : { time }) }, config)
  await jobs.time.align()
  const context = { ...ground, jobs }
  const owned = stack.move()
  return {
    ...jobs,
    runWorker: (worker) => runJobWorker(context, worker),
    runJanitor: (janitor) => runJobJanitor(context, janitor),
    putSchedule: (schedule) => putSchedule(jobs, schedule),
    deleteSchedule: (name) => deleteSchedule(jobs, name),
    listSchedules: () => listSchedules(jobs),
    renderMetrics: () => ground.metrics.render(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function openShard(
  ground: JobGround & { metrics: Metrics },
  { url, isMigrating }: { url: Secret; isMigrating: boolean },
): Promise<Database> {
  const database = await openDatabase(ground, { ...databaseConfig.parse({}), url })
  try {
    if (isMigrating) {
      const files = await loadMigrations(new URL('../../../sql/postgres/', import.meta.url))
      await migrateDatabase(database, { files, logger: ground.logger })
    }
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
  return database
}
