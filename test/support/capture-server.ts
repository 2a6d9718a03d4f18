/** A real HTTP server with routes of capture on a log that only remembers. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { openAdmission } from '../../src/capture/admission/admission.ts'
import { type AdmissionConfig, admissionConfigSchema } from '../../src/capture/admission/config.ts'
import type { CapturePorts } from '../../src/capture/capture.ts'
import { type CaptureConfig, captureConfigSchema } from '../../src/capture/config.ts'
import type { CapturedMessage } from '../../src/event/captured.ts'
import type { DropRow } from '../../src/event/drop.ts'
import { topics } from '../../src/event/topics.ts'
import { httpConfigSchema } from '../../src/http/config.ts'
import { openHttpServer } from '../../src/http/http.ts'
import type { Route } from '../../src/http/route.ts'
import type { Log, NewRecord } from '../../src/ports/log.ts'
import { type SmallCache, smallCache } from './capture.ts'
import { createManualClock } from './manual-clock.ts'
import { quietTelemetry } from './quiet.ts'
import { createSeededRandom } from './seeded-random.ts'

export type Answer = {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
  json: () => unknown
}
export type Sent = { method?: string; headers?: Record<string, string>; body?: string | Buffer }

export const serverNowMs = 1_790_000_000_000

export async function captureServer(
  createRoutes: (ports: CapturePorts, config: CaptureConfig & { aiLanePredicate: 'allowlist' }) => Route[],
  options: {
    admission?: Parameters<typeof admissionConfigSchema.parse>[0]
    prepare?: (cache: SmallCache) => Promise<unknown>
  } = {},
) {
  const records: NewRecord[] = []
  const log: Pick<Log, 'append'> & { failure: Error | undefined } = {
    failure: undefined,
    async append(added) {
      if (log.failure !== undefined) throw log.failure
      records.push(...added)
      return added.map(({ topic }) => ({ topic, partition: 0, offset: 0 }))
    },
  }
  const cache = smallCache()
  await options.prepare?.(cache)
  const clock = createManualClock(serverNowMs)
  const ground = { ...quietTelemetry(), clock, random: createSeededRandom() }
  const config: AdmissionConfig = admissionConfigSchema.parse(options.admission ?? {})
  const admission = await openAdmission({ ...ground, cache }, config, {
    signal: new AbortController().signal,
  })
  const settings = { ...captureConfigSchema.parse({}), aiLanePredicate: 'allowlist' as const }
  const routes = createRoutes({ ...ground, admission, log }, settings)
  const server = await openHttpServer(
    ground,
    { ...httpConfigSchema.parse({ bodyStallMs: 1_000 }), host: '127.0.0.1', port: 0 },
    routes,
  )
  return {
    log,
    records,
    metrics: ground.metrics,
    send: (path: string, sent: Sent = {}) => send(`${server.address.url}${path}`, sent),
    /** The records of captured events with their parsed messages. */
    messages: () =>
      records
        .filter(({ topic }) => topic !== topics.drops)
        .map((record) => ({ record, message: parse<CapturedMessage>(record.value) })),
    drops: () =>
      records.filter(({ topic }) => topic === topics.drops).map(({ value }) => parse<DropRow>(value)),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await admission[Symbol.asyncDispose]()
    },
  }
}

function parse<T>(value: Buffer): T {
  return JSON.parse(value.toString('utf8'))
}

/** Sends exactly these headers: no user agent, no content type of its own. */
function send(url: string, { method = 'POST', headers = {}, body }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const whole = Buffer.concat(chunks)
        const text = whole.toString('utf8')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: whole,
          text,
          json: () => JSON.parse(text),
        })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}
