/**
 * Runs the jobs of one queue, in one process or in many.
 *
 * The loop below claims as many jobs as it has places and starts a handler for each. How they end is collected
 * and written by a second loop, so that claiming and writing overlap and each takes a whole batch. A third loop
 * says that what is in hand is alive, a fourth hears of new jobs.
 *
 * - A handler that throws has failed an attempt: the job waits for `retryDelayMs`, doubled each time, or
 *   becomes a dead letter when that was its last one.
 * - When heartbeats do not get through for so long that another worker may soon get the jobs, or when one says
 *   that a hold is lost, the signal of the handler aborts and its result is not written.
 * - `stop` ends the claiming; handlers in hand may finish. `signal` aborts the handlers too; a job whose handler
 *   throws then is given back, which is no failed attempt.
 *
 * The worker ends when the last handler has. One that never does keeps its job until the process ends.
 */
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { isWorthAgain } from './again.ts'
import type { ClaimedJob, JobOutcome } from './job.ts'
import type { Jobs } from './jobs.ts'
import { type Alarm, createAlarm } from './worker/alarm.ts'
import { createHands, type Hands, type InHand } from './worker/hands.ts'
import { runHeartbeats } from './worker/heartbeats.ts'
import { type Ended, resultOf } from './worker/result.ts'
import { createSettling, type Settling } from './worker/settling.ts'
import { runWakeups } from './worker/wakeups.ts'

/** Answering nothing means completed. The signal aborts when the job is lost, canceled or out of time. */
export type JobHandler = (
  job: ClaimedJob,
  options: { signal: AbortSignal },
) => Promise<JobOutcome | undefined> | Promise<void>

export type JobWorkerContext = {
  jobs: Jobs
  clock: Clock
  random: Random
  logger: Logger
  metrics: Metrics
}

export type JobWorkerOptions = {
  queue: string
  handle: JobHandler
  /** Stands in the errors of attempts, to tell where they ran; made up otherwise. */
  name?: string | undefined
  /** Default: the config's. */
  concurrencyMax?: number | undefined
  /** A handler that takes longer has failed an attempt, unless it still ends well; its signal aborts. */
  handleTimeMaxMs?: number | undefined
  /** Take no new jobs, finish those in hand. */
  stop?: AbortSignal | undefined
  signal: AbortSignal
}

type Running = JobWorkerContext &
  JobWorkerOptions & { name: string; hands: Hands; settling: Settling; alarm: Alarm; wake: { isUp: boolean } }

/** A reason of one's own: making the usual one costs more than all else that is done for a job. */
const overReason = 'over'

/** Ends when `stop` or `signal` has aborted and what was in hand is written or given back. */
export async function runJobWorker(context: JobWorkerContext, options: JobWorkerOptions): Promise<void> {
  const name = options.name ?? `worker-${context.random.bytes(6).toString('hex')}`
  const hands = createHands()
  const alarm = createAlarm(context.clock)
  const wake = { isUp: false }
  const closing = new AbortController()
  const settling = createSettling({ ...context, hands, onSettled: alarm.ring }, options)
  const onAbort = () => {
    for (const inHand of hands.all()) inHand.abort.abort()
    alarm.ring()
  }
  const onWake = () => {
    wake.isUp = true
    alarm.ring()
  }
  options.stop?.addEventListener('abort', alarm.ring, { once: true })
  options.signal.addEventListener('abort', onAbort, { once: true })
  const failures: unknown[] = []
  const watch = (task: Promise<void>): Promise<void> =>
    task.catch((error: unknown) => {
      failures.push(error)
      alarm.ring()
    })
  const beside = [
    watch(runHeartbeats({ ...context, hands }, { signal: closing.signal })),
    watch(runWakeups({ ...context, hands }, { queue: options.queue, onWake, signal: closing.signal })),
    watch(settling.run()),
  ]
  const running = { ...context, ...options, name, hands, settling, alarm, wake }
  try {
    await claimLoop(running, failures)
    while (hands.running > 0 && failures.length === 0) await alarm.sleep(context.jobs.config.pollIntervalMs)
  } finally {
    options.stop?.removeEventListener('abort', alarm.ring)
    options.signal.removeEventListener('abort', onAbort)
    // Handlers of a worker that failed must not go on as if somebody kept their jobs alive.
    if (failures.length > 0) for (const inHand of hands.all()) hands.lose(inHand)
    settling.end()
    await beside[2]
    closing.abort()
    await Promise.all(beside)
  }
  if (failures.length > 0) throw failures[0]
}

async function claimLoop(running: Running, failures: readonly unknown[]): Promise<void> {
  const { jobs, clock, hands, settling, alarm, wake, stop, signal } = running
  const { config } = jobs
  const placesMax = running.concurrencyMax ?? config.concurrencyMax
  const manyPlaces = Math.min(config.claimMax, Math.ceil(placesMax / 4))
  const isOver = () => stop?.aborted === true || signal.aborted || failures.length > 0
  let lookAt = clock.monotonic()
  let lingerUntil: number | undefined
  while (!isOver()) {
    const places = Math.min(placesMax - hands.running, config.claimMax)
    if (places <= 0 || settling.waiting >= config.unsettledMax) {
      await alarm.sleep(config.pollIntervalMs)
      continue
    }
    const now = clock.monotonic()
    if (!wake.isUp && lookAt > now) {
      await alarm.sleep(lookAt - now)
      continue
    }
    lingerUntil ??= now + config.lingerMs
    if (places < manyPlaces && now < lingerUntil) {
      await alarm.sleep(lingerUntil - now)
      continue
    }
    lingerUntil = undefined
    wake.isUp = false
    const claimed = await claim(running, places)
    for (const job of claimed) void runJob(running, hands.add(job, now))
    lookAt = claimed.length < places ? clock.monotonic() + config.pollIntervalMs : now
  }
}

/** A database that is away is looked for again later. */
async function claim(running: Running, limit: number): Promise<ClaimedJob[]> {
  const { jobs, queue, name, logger, metrics } = running
  try {
    await jobs.time.align()
    const claimed = await jobs.claim({ queue, limit, worker: name })
    if (claimed.length > 0) metrics.observe('jobs_claim_batch_jobs', claimed.length)
    return claimed
  } catch (error) {
    if (!isWorthAgain(error)) throw error
    logger.warn({ error, queue }, 'Jobs could not be claimed; it is tried again.')
    return []
  }
}

/** Never rejects: however the handler ends is a result. */
async function runJob(running: Running, inHand: InHand): Promise<void> {
  const { jobs, clock, random, metrics, hands, settling, alarm, name, signal } = running
  const startedAt = clock.monotonic()
  if (signal.aborted) inHand.abort.abort()
  const ended = await handleWithin(running, inHand)
  metrics.observe('jobs_attempt_seconds', (clock.monotonic() - startedAt) / 1000)
  const result = resultOf(inHand, ended, {
    config: jobs.config,
    nowMs: jobs.time.now(),
    chance: random.next(),
    worker: name,
    isAbandoning: signal.aborted,
  })
  metrics.count('jobs_attempts_total', 1, { end: endOf(result) })
  if (result === undefined) hands.drop(inHand)
  else settling.add({ inHand, result })
  hands.ended(inHand)
  alarm.ring()
}

function endOf(result: ReturnType<typeof resultOf>): string {
  if (result === undefined) return 'lost'
  if (result.kind !== 'changed') return result.kind === 'completed' ? 'completed' : 'dead_letter'
  if (result.status !== 'available') return result.status
  return result.error === undefined ? 'rescheduled' : 'retried'
}

async function handleWithin(running: Running, inHand: InHand): Promise<Ended> {
  const done = running.handleTimeMaxMs === undefined ? undefined : watchTime(running, inHand)
  try {
    const outcome = await running.handle(inHand.job, { signal: inHand.abort.signal })
    return { outcome: outcome ?? { kind: 'completed' } }
  } catch (thrown) {
    return { thrown }
  } finally {
    done?.abort(overReason)
  }
}

function watchTime({ clock, handleTimeMaxMs = 0 }: Running, inHand: InHand): AbortController {
  const done = new AbortController()
  void clock.sleep(handleTimeMaxMs, { signal: done.signal }).then(() => {
    if (done.signal.aborted) return
    inHand.isOutOfTime = true
    inHand.abort.abort()
  })
  return done
}
