/**
 * The job queue: work that outlives the process that asked for it, kept in PostgreSQL with the rules of
 * PostHog's cyclotron.
 *
 * What it promises:
 * - A job that was created is run until it completes, fails, is canceled or becomes a dead letter. A worker
 *   that dies loses nothing: its jobs are given to another after `stallTimeoutMs`.
 * - A job is in the hands of one live worker at a time. A claim gives a lock id; a result, a heartbeat or a
 *   change that does not name the present lock id changes nothing. So a worker that was thought dead and comes
 *   back cannot overwrite what another did, but its handler may still be running: handlers of jobs with effects
 *   outside see their signal abort, and should be able to do the same thing twice.
 * - Each attempt that does not succeed leaves an error with its time, worker and kind.
 * - Lower priorities go first, then earlier scheduled times.
 *
 * One statement creates, claims, completes or changes a whole batch. Every statement stands alone: none needs
 * a session, so a pooler in transaction mode may stand in between. Only the wake-up by LISTEN does not pass
 * such a pooler; polling then finds the jobs.
 *
 * `worker.ts` runs jobs, `janitor.ts` tidies up, `schedules.ts` creates jobs again and again.
 */
import type { Clock } from '../ports/clock.ts'
import type { Database, DatabaseSession } from '../ports/database.ts'
import type { Random } from '../ports/random.ts'
import { createUuidSource, uuidV4 } from '../std/uuid.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { checkQueue } from './check-job.ts'
import type { JobsConfig } from './config.ts'
import type { ClaimedJob, Job, JobEntry, JobHold, JobResult, NewJob } from './job.ts'
import { createShards, type Shard, type Shards } from './shards.ts'
import { claimRows } from './statements/claim.ts'
import { insertJobs, type ReadyJob, readyJob } from './statements/create.ts'
import { discardDeadLetters, reviveDeadLetters } from './statements/dead-letter.ts'
import { type CountRow, countRows, findRow, type JobFilter, listRows } from './statements/look.ts'
import { cancelRows, notifyQueues, retryRows } from './statements/manage.ts'
import { claimedJob, entryOf, jobOf } from './statements/rows.ts'
import { beatRows, settleRows } from './statements/settle.ts'
import { clockTime, type JobTime } from './time.ts'

export type JobPorts = {
  /** The shards; the first one also keeps the schedules. */
  databases: readonly Database[]
  clock: Clock
  random: Random
  metrics: Pick<Metrics, 'count'>
  /** Default: the clock's time. */
  time?: JobTime
}

/** Whose jobs a caller may touch; everybody's without it. */
export type JobScope = { teamIds?: readonly number[] | undefined }

export interface Jobs {
  readonly config: JobsConfig
  readonly shards: Shards
  readonly time: JobTime
  /**
   * Durable when it resolves. The job's id, or undefined when its unique key or id is taken. Fails with
   * `JOB_INVALID`, `JOBS_FULL` or the Database's errors.
   */
  create(job: NewJob): Promise<string | undefined>
  /**
   * The same for many, answered in their order. One statement takes `createMax` of them, so of a longer list
   * some may be created when it fails.
   */
  createMany(jobs: readonly NewJob[]): Promise<(string | undefined)[]>
  /**
   * Creates jobs in the caller's own transaction on the first shard: they exist when it commits. Unlike the
   * other two it does not look whether the shard is full.
   */
  createIn(session: DatabaseSession, jobs: readonly NewJob[]): Promise<(string | undefined)[]>
  /** Up to `limit` due jobs of a queue, in the order in which they are to be run. */
  claim(options: { queue: string; limit: number; worker: string }): Promise<ClaimedJob[]>
  /** Writes how attempts ended. Answers the holds that had been lost, whose results were not written. */
  settle(results: readonly JobResult[]): Promise<JobHold[]>
  /** Keeps holds alive. Answers those that are lost and those whose cancelling was asked for. */
  heartbeat(holds: readonly JobHold[]): Promise<{ lost: JobHold[]; canceled: JobHold[] }>
  find(id: string, scope?: JobScope): Promise<Job | undefined>
  list(filter: JobFilter): Promise<JobEntry[]>
  counts(scope?: JobScope): Promise<CountRow[]>
  /** Waiting jobs are canceled at once, running ones are asked to stop. Others are left out of the answer. */
  cancel(ids: readonly string[], scope?: JobScope): Promise<{ id: string; status: 'canceled' | 'running' }[]>
  /** Failed and canceled jobs and dead letters wait again, with new attempts. Answers the ids of those that do. */
  retry(ids: readonly string[], scope?: JobScope): Promise<string[]>
  /** Puts up to `limit` dead letters back to their queues, or deletes them. Answers how many. */
  drain(choice: JobScope & { queue?: string; limit: number; isDiscarding?: boolean }): Promise<number>
}

/** Builds the queue's client; makes no connection of its own. */
export function createJobs(ports: JobPorts, config: JobsConfig): Jobs {
  const shards = createShards(ports, config)
  const time = ports.time ?? clockTime(ports.clock)
  const whole = { ports, config, shards, time }
  return {
    config,
    shards,
    time,
    ...createCreator(whole),
    ...createHolding(whole),
    ...createLooking(whole),
    ...createManaging(whole),
  }
}

type Whole = { ports: JobPorts; config: JobsConfig; shards: Shards; time: JobTime }

function createCreator({
  ports,
  config,
  shards,
  time,
}: Whole): Pick<Jobs, 'create' | 'createMany' | 'createIn'> {
  const uuids = createUuidSource((length) => ports.random.bytes(length))
  const answer = (ready: readonly ReadyJob[], created: ReadonlySet<string>): (string | undefined)[] => {
    ports.metrics.count('jobs_created_total', created.size)
    return ready.map(({ id }) => (created.has(id) ? id : undefined))
  }
  const readyAt = (nowMs: number, jobs: readonly NewJob[]): ReadyJob[] =>
    jobs.map((job) => readyJob(job, { id: uuids.v7(nowMs), nowMs }))

  const createMany = async (jobs: readonly NewJob[]): Promise<(string | undefined)[]> => {
    const nowMs = time.now()
    const ready = readyAt(nowMs, jobs)
    const created = new Set<string>()
    for (const { batch, place } of batches(ready, config.createMax, shards)) {
      const shard = await shards.take(batch.length, place)
      for (const id of await insertJobs(shard.database, batch, { config, nowMs })) created.add(id)
    }
    return answer(ready, created)
  }
  return {
    createMany,
    create: async (job) => (await createMany([job]))[0],
    async createIn(session, jobs) {
      const nowMs = time.now()
      const ready = readyAt(nowMs, jobs)
      const created = new Set<string>()
      for (let from = 0; from < ready.length; from += config.createMax) {
        const batch = ready.slice(from, from + config.createMax)
        for (const id of await insertJobs(session, batch, { config, nowMs })) created.add(id)
      }
      return answer(ready, created)
    },
  }
}

type Batch = { batch: ReadyJob[]; place: number | undefined }

/** What one statement creates: jobs with a unique key have no choice where they go. */
function* batches(jobs: readonly ReadyJob[], max: number, shards: Shards): Generator<Batch> {
  const places = Map.groupBy(jobs, ({ uniqueKey }) =>
    uniqueKey == null ? undefined : shards.indexOf(uniqueKey),
  )
  for (const [place, group] of places)
    for (let from = 0; from < group.length; from += max) yield { batch: group.slice(from, from + max), place }
}

function createHolding({ ports, config, shards, time }: Whole): Pick<Jobs, 'claim' | 'settle' | 'heartbeat'> {
  let turn = 0
  /** In the order of their ids: statements that lock the same rows in other orders would wait for each other. */
  const byShard = <Hold extends JobHold>(holds: readonly Hold[]) =>
    [...Map.groupBy(holds, ({ shard }) => shard)].map(([index, group]) => ({
      shard: shards.at(index),
      group: group.sort((left, right) => (left.id < right.id ? -1 : 1)),
    }))
  return {
    async claim({ queue, limit, worker }) {
      checkQueue(queue)
      const first = turn++
      const claimed: ClaimedJob[] = []
      for (let step = 0; step < shards.all.length && claimed.length < limit; step++) {
        const shard = shards.at((first + step) % shards.all.length)
        const lockId = uuidV4(ports.random.bytes(16))
        const claim = { queue, limit: limit - claimed.length, lockId, worker, nowMs: time.now() }
        const rows = await claimRows(shard.database, claim)
        for (const row of rows) claimed.push(claimedJob(row, { lockId, shard: shard.index }))
      }
      return claimed
    },
    async settle(results) {
      const frame = { config, nowMs: time.now() }
      const lost = await Promise.all(
        byShard(results).map(({ shard, group }) => settleRows(shard.database, group, frame)),
      )
      return lost.flat()
    },
    async heartbeat(holds) {
      const answers = await Promise.all(
        byShard(holds).map(({ shard, group }) => beatRows(shard.database, group, time.now())),
      )
      const alive = new Map(answers.flat().map((row) => [`${row.id} ${row.lock_id}`, row.is_canceled]))
      const keyOf = ({ id, lockId }: JobHold) => `${id} ${lockId}`
      return {
        lost: holds.filter((hold) => !alive.has(keyOf(hold))),
        canceled: holds.filter((hold) => alive.get(keyOf(hold)) === true),
      }
    },
  }
}

function createLooking({ shards }: Whole): Pick<Jobs, 'find' | 'list' | 'counts'> {
  const everywhere = async <T>(ask: (shard: Shard) => Promise<T[]>): Promise<T[]> =>
    (await Promise.all(shards.all.map(ask))).flat()
  return {
    async find(id, { teamIds } = {}) {
      const [row] = await everywhere(async ({ database }) => {
        const found = await findRow(database, id)
        return found === undefined ? [] : [found]
      })
      if (row === undefined || teamIds?.includes(row.team_id) === false) return undefined
      return jobOf(row)
    },
    async list(filter) {
      const rows = await everywhere(({ database }) => listRows(database, filter))
      const sign = filter.afterId === undefined ? -1 : 1
      return rows
        .sort((left, right) => (left.id < right.id ? -sign : sign))
        .slice(0, filter.limit)
        .map(entryOf)
    },
    async counts({ teamIds } = {}) {
      const rows = await everywhere(({ database }) => countRows(database, teamIds))
      return [...Map.groupBy(rows, ({ queue, status }) => `${status} ${queue}`).values()]
        .map((group) => group.reduce(addCounts))
        .sort((left, right) => (left.queue < right.queue ? -1 : left.queue > right.queue ? 1 : 0))
    },
  }
}

function addCounts(left: CountRow, right: CountRow): CountRow {
  const times = [left.oldestMs, right.oldestMs].filter((ms) => ms !== null)
  return {
    ...left,
    count: left.count + right.count,
    oldestMs: times.length === 0 ? null : Math.min(...times),
  }
}

function createManaging({ config, shards, time }: Whole): Pick<Jobs, 'cancel' | 'retry' | 'drain'> {
  const { isNotifying } = config
  const frame = ({ teamIds }: JobScope) => ({ nowMs: time.now(), isNotifying, teamIds: teamIds ?? null })
  return {
    async cancel(ids, scope = {}) {
      const answers = await Promise.all(
        shards.all.map(({ database }) => cancelRows(database, ids, frame(scope))),
      )
      return answers.flat().map(({ id, status }) => ({ id, status }))
    },
    async retry(ids, scope = {}) {
      const answers = await Promise.all(
        shards.all.map(({ database }) =>
          database.transaction(async (session) => {
            const { nowMs, teamIds } = frame(scope)
            const choice = { ids, queue: null, teamIds, limit: ids.length }
            const rows = [
              ...(await retryRows(session, ids, frame(scope))),
              ...(await reviveDeadLetters(session, choice, nowMs)),
            ]
            await notifyQueues(
              session,
              rows.map(({ queue_name }) => queue_name),
              { isNotifying },
            )
            return rows
          }),
        ),
      )
      return answers.flat().map(({ id }) => id)
    },
    async drain({ queue, teamIds, limit, isDiscarding = false }) {
      let drained = 0
      for (const { database } of shards.all) {
        const choice = { ids: null, queue: queue ?? null, teamIds: teamIds ?? null, limit: limit - drained }
        if (choice.limit < 1) break
        if (isDiscarding) drained += (await discardDeadLetters(database, choice)).length
        else {
          const rows = await reviveDeadLetters(database, choice, time.now())
          await notifyQueues(
            database,
            rows.map(({ queue_name }) => queue_name),
            { isNotifying },
          )
          drained += rows.length
        }
      }
      return drained
    },
  }
}
