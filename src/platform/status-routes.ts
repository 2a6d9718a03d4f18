/** What supervisors and Prometheus ask: alive, ready, measurements. Answered even when the server is full. */
import { jsonResponse, textResponse } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { World } from './world.ts'

/** Longer than a busy engine takes, shorter than those who ask have patience for. */
const probeWithinMs = 3000

const get = { methods: ['GET', 'HEAD'], isStatus: true, bodyBytesMax: 0 } as const

export function statusRoutes(world: World, isOpen: () => boolean): Route[] {
  return [
    {
      ...get,
      path: '/',
      handle: async () =>
        textResponse(200, 'Rowmill. SDKs send events here; GET /api/openapi.json describes the API.\n'),
    },
    { ...get, path: '/_liveness', handle: async () => textResponse(200, 'ok\n') },
    {
      ...get,
      path: '/_readiness',
      handle: async () => {
        const engines = await probe(world)
        const isReady = isOpen() && Object.values(engines).every((state) => state === 'ok')
        return jsonResponse(
          isReady ? 200 : 503,
          JSON.stringify({ ready: isReady, ...(isOpen() ? {} : { stopping: true }), engines }),
        )
      },
    },
    {
      ...get,
      path: '/metrics',
      handle: async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: await world.metrics.render(),
      }),
    },
  ]
}

async function probe({ clock, log, engines }: World): Promise<Record<string, string>> {
  const checks = {
    log: () => log.describe(),
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
