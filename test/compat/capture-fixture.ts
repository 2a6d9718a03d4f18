/** Capture's v0 routes behind a real server, with a log that keeps what is appended and an admission that admits. */

import { createSystemClock } from '../../src/adapters/embedded/clock.ts'
import { createSystemRandom } from '../../src/adapters/embedded/random.ts'
import { addressOf } from '../../src/capture/admission/address.ts'
import type { Admission } from '../../src/capture/admission/types.ts'
import { type CapturePorts, type CaptureSettings, createCapture } from '../../src/capture/capture.ts'
import { captureConfigSchema } from '../../src/capture/config.ts'
import type { LogHeaders } from '../../src/event/headers.ts'
import { httpConfigSchema } from '../../src/http/config.ts'
import { openHttpServer } from '../../src/http/http.ts'
import type { Route } from '../../src/http/route.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { NewRecord } from '../../src/ports/log.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

export type Message = Record<string, unknown> & { data: string }
export type Written = { topic: string; key: string | null; headers: LogHeaders; message: Message }

export const admitAll: Pick<Admission, 'admit'> = {
  admit: (events) => ({
    accepted: events.map((event) => ({
      event,
      ...addressOf(
        event,
        { deadLetters: false, topic: undefined, historical: event.isHistorical, overflow: 'none' },
        '',
      ),
      headers: {},
    })),
    dropped: [],
    limited: new Set(),
    quotaLimited: [],
  }),
}

export async function openCapture(
  options: {
    nowMs?: () => number
    config?: Partial<CaptureSettings>
    append?: (records: readonly NewRecord[]) => Promise<void>
    admission?: Pick<Admission, 'admit'>
    /** Routes beside those of v0. */
    more?: (ports: CapturePorts, config: CaptureSettings) => Route[]
  } = {},
) {
  const written: Written[] = []
  const metrics = createMetrics()
  const logger = createLogger({ level: 'silent' })
  const system = createSystemClock()
  const clock: Clock = { ...system, now: options.nowMs ?? (() => system.now()) }
  const log = {
    async append(records: readonly NewRecord[]) {
      await options.append?.(records)
      for (const { topic, key, headers, value } of records)
        written.push({
          topic,
          key: key === null ? null : String(key),
          headers: headers ?? {},
          message: JSON.parse(value.toString()),
        })
      return records.map(({ topic }, offset) => ({ topic, partition: 0, offset }))
    },
  }
  const admission = options.admission ?? admitAll
  const config = {
    ...captureConfigSchema.parse({}),
    aiLanePredicate: 'allowlist' as const,
    ...options.config,
  }
  const ports = { log, admission, clock, random: createSystemRandom(), metrics, logger }
  const routes = [...createCapture(ports, config).routes, ...(options.more?.(ports, config) ?? [])]
  const settings = { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0 }
  const server = await openHttpServer({ logger, metrics, clock }, settings, routes)
  return {
    url: server.address.url,
    written,
    metrics,
    async post(path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
      const response = await fetch(server.address.url + path, { method: 'POST', body, headers })
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** The JSON inside the JSON. */
export function dataOf(written: Written | undefined): Record<string, unknown> {
  return JSON.parse(written?.message.data ?? '{}')
}
