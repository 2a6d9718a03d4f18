/** What supervisors and Prometheus ask: alive, ready, measurements. Answered even when the server is full. */
import { sinkNotice } from '../capture/sinks/sinks.ts'
import { RowmillError } from '../errors/rowmill-error.ts'
import { jsonResponse, textResponse } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { World } from './world.ts'

/** Longer than a busy engine takes, shorter than those who ask have patience for. */
const probeWithinMs = 3000

const get = { methods: ['GET', 'HEAD'], isStatus: true, bodyBytesMax: 0 } as const

export function statusRoutes(world: World, isOpen: () => boolean): Route[] {
  const { roles, capture } = world.config
  const notice = roles.includes('capture') ? sinkNotice(capture) : undefined
  // Events are taken while the log is full: a load balancer must go on sending them here.
  const hasFallback = roles.includes('capture') && capture.fallback.isEnabled
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
        const isReady =
          isOpen() &&
          notice === undefined &&
          Object.entries(engines).every(([name, state]) => state === 'ok' || (name === 'log' && hasFallback))
        return jsonResponse(
          isReady ? 200 : 503,
          JSON.stringify({
            ready: isReady,
            ...(isOpen() ? {} : { stopping: true }),
            ...(notice === undefined ? {} : { sink: notice.sentence }),
            engines,
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

async function probe({ clock, log, engines }: World): Promise<Record<string, string>> {
  const checks = {
    log: () => log.checkRoom(),
    database: () => engines.database.query('select 1'),
    warehouse: (signal: AbortSignal) => engines.warehouse.query('select 1', { signal }),
  }
  const states = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        return [name, await answerWithin(clock, check)] as const
      } catch (error) {
        return [name, error instanceof Error ? error.message : 'failed'] as const
      }
    }),
  )
  return Object.fromEntries(states)
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
