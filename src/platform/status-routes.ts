/**
 * What supervisors and Prometheus ask: alive, ready, measurements. Answered even when the server is full.
 *
 * *Alive* means that the process works at all; an engine that is away is no reason to start it again. *Ready* means
 * that it does its work now: every engine that its roles need answers, each stage has joined its group, or stands by
 * for others that hold all partitions, and no batch is stuck.
 */
import { sinkNotice } from '../capture/sinks/sinks.ts'
import { isRowmillError, RowmillError } from '../errors/rowmill-error.ts'
import { topics } from '../event/topics.ts'
import { jsonResponse, textResponse } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Config } from './config/config.ts'
import { placesOf } from './needs.ts'
import type { World } from './world.ts'

/** Longer than a busy engine takes, shorter than those who ask have patience for. */
const probeWithinMs = 3000

const get = { methods: ['GET', 'HEAD'], isStatus: true, bodyBytesMax: 0 } as const

export function statusRoutes(world: World, isOpen: () => boolean): Route[] {
  const { roles, capture } = world.config
  const notice = roles.includes('capture') ? sinkNotice(capture) : undefined
  // Events are taken while the log is full, or away, and limits are kept from memory while the cache is: a load
  // balancer must go on sending them here.
  const hasFallback = roles.includes('capture') && capture.fallback.isEnabled
  const isSpared = (name: string): boolean => name === 'cache' || (name === 'log' && hasFallback)
  return [
    {
      ...get,
      path: '/',
      handle: async () =>
        textResponse(200, 'Rowmill. SDKs send events here; GET /api/openapi.json describes the API.\n'),
    },
    {
      ...get,
      path: '/_liveness',
      handle: async () =>
        notice?.isAlive === false ? textResponse(500, `${notice.sentence}\n`) : textResponse(200, 'ok\n'),
    },
    {
      ...get,
      path: '/_readiness',
      handle: async () => {
        const engines = await probe(world)
        const stages = stageStates(world)
        const isReady =
          isOpen() &&
          notice === undefined &&
          Object.values(stages).every((state) => state === 'ok' || state === 'standing by') &&
          Object.entries(engines).every(([name, state]) => state === 'ok' || isSpared(name))
        return jsonResponse(
          isReady ? 200 : 503,
          JSON.stringify({
            ready: isReady,
            ...(isOpen() ? {} : { stopping: true }),
            ...(notice === undefined ? {} : { sink: notice.sentence }),
            engines,
            ...(Object.keys(stages).length === 0 ? {} : { stages }),
          }),
        )
      },
    },
    metricsRoute(world.metrics),
  ]
}

/**
 * What is answered while the engines start: alive and not ready, so that a supervisor waits, and everything else is
 * asked to come again.
 */
export function startingRoutes(metrics: Metrics): Route[] {
  const readiness = JSON.stringify({ ready: false, starting: true, engines: {} })
  return [
    { ...get, path: '/_liveness', handle: async () => textResponse(200, 'ok\n') },
    { ...get, path: '/_readiness', handle: async () => jsonResponse(503, readiness) },
    metricsRoute(metrics),
    {
      path: '/*',
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      async stream() {
        throw new RowmillError('SERVER_STARTING', 'Rowmill is starting; come again in a moment.')
      },
    },
  ]
}

function metricsRoute(metrics: Metrics): Route {
  return {
    ...get,
    path: '/metrics',
    handle: async () => ({
      status: 200,
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      body: await metrics.render(),
    }),
  }
}

/** Every engine that is open here, and whether it answers. */
async function probe({ clock, config, log, cache, engines }: World): Promise<Record<string, string>> {
  const { database, warehouse } = engines
  const checks: [name: string, check: ((signal: AbortSignal) => Promise<unknown>) | undefined][] = [
    ['log', log === undefined ? undefined : () => probeLog(log, config)],
    ['cache', cache === undefined ? undefined : () => cache.get('@rowmill/readiness')],
    ['database', database === undefined ? undefined : () => database.query('select 1')],
    ['warehouse', warehouse === undefined ? undefined : (signal) => warehouse.query('select 1', { signal })],
  ]
  const states = await Promise.all(
    checks.map(async ([name, check]) => {
      if (check === undefined) return []
      try {
        return [[name, await answerWithin(clock, check)] as const]
      } catch (error) {
        return [[name, error instanceof Error ? error.message : 'failed'] as const]
      }
    }),
  )
  return Object.fromEntries(states.flat())
}

/** Room alone says nothing of a shared log: its brokers are asked for something small. */
async function probeLog(log: Log, config: Config): Promise<void> {
  await log.checkRoom()
  if (placesOf(config).log === 'embedded') return
  try {
    await log.offsetAt(topics.drops, 0, 0)
  } catch (error) {
    // A broker that does not know the topic has answered.
    if (!isRowmillError(error, 'TOPIC_UNKNOWN')) throw error
  }
}

function stageStates({ clock, config, watch }: World): Record<string, string> {
  const { joinWaitMs, stuckMs } = config.stream
  const isOwnLog = placesOf(config).log === 'embedded'
  const nowMs = clock.monotonic()
  return Object.fromEntries(
    watch.states().map(({ group, sinceMs, hasJoined, partitions, oldestBatchMs }) => {
      // The embedded log hands its partitions over at once: there is nobody to wait for.
      const isLate = isOwnLog || nowMs - sinceMs > joinWaitMs
      if (oldestBatchMs > stuckMs)
        return [group, `a batch has been in hand for ${Math.round(oldestBatchMs / 1000)} s`]
      if (partitions > 0) return [group, 'ok']
      return [group, hasJoined || isLate ? 'standing by' : 'has not joined its group yet']
    }),
  )
}

/** A question that is not answered in time is left to itself: an engine that hangs must not hang the answer. */
async function answerWithin(clock: Clock, check: (signal: AbortSignal) => Promise<unknown>): Promise<string> {
  const over = new AbortController()
  const late = clock
    .sleep(probeWithinMs, { signal: over.signal })
    .then(() => `did not answer within ${probeWithinMs} ms`)
  try {
    return await Promise.race([check(over.signal).then(() => 'ok'), late])
  } finally {
    over.abort()
  }
}
