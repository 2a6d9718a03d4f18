/**
 * Sends load over keep-alive connections and counts what was acknowledged. A 503 or 429 is waited out and
 * sent again, as an SDK does; anything else but success is counted as refused and shown.
 */
import { Agent, request } from 'node:http'
import type { Clock } from '../../ports/clock.ts'
import type { LoadEvent } from './generate.ts'

export type LoadPlan = {
  url: string
  token: string
  events: number
  batch: number
  connections: number
  /** Events per second; 0 sends as fast as answers come. */
  rate: number
}

export type LoadResult = {
  acknowledged: number
  refused: number
  repeated: number
  seconds: number
  /** Answer times in ms. */
  latency: { p50: number; p99: number; max: number }
  refusals: Readonly<Record<string, number>>
}

export async function sendLoad(
  plan: LoadPlan,
  ports: { clock: Clock; next: (nowMs: number) => LoadEvent },
  options: { onProgress: (sent: number) => void; signal: AbortSignal },
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: plan.connections })
  const latencies: number[] = []
  const refusals = new Map<string, number>()
  const result = { acknowledged: 0, refused: 0, repeated: 0 }
  const startedAt = ports.clock.monotonic()
  let claimed = 0
  const sender = async (): Promise<void> => {
    while (claimed < plan.events && !options.signal.aborted) {
      const count = Math.min(plan.batch, plan.events - claimed)
      claimed += count
      if (plan.rate > 0) {
        const dueMs = startedAt + (1000 * (claimed - count)) / plan.rate
        await ports.clock.sleep(Math.max(0, dueMs - ports.clock.monotonic()), { signal: options.signal })
      }
      const now = ports.clock.now()
      const body = Buffer.from(
        JSON.stringify({
          api_key: plan.token,
          batch: Array.from({ length: count }, () => ports.next(now)),
          sent_at: new Date(now).toISOString(),
        }),
      )
      for (;;) {
        const sentAt = ports.clock.monotonic()
        const answer = await post(agent, `${plan.url}/batch/`, body)
        latencies.push(ports.clock.monotonic() - sentAt)
        if (answer.status === 200) result.acknowledged += count
        else if (
          (answer.status === 503 || answer.status === 429 || answer.status === 0) &&
          !options.signal.aborted
        ) {
          result.repeated += 1
          await ports.clock.sleep(250, { signal: options.signal })
          continue
        } else {
          result.refused += count
          const reason = `${answer.status} ${answer.text}`
          refusals.set(reason, (refusals.get(reason) ?? 0) + 1)
        }
        break
      }
      options.onProgress(result.acknowledged + result.refused)
    }
  }
  await Promise.all(Array.from({ length: plan.connections }, sender))
  agent.destroy()
  latencies.sort((left, right) => left - right)
  const at = (share: number): number =>
    Math.round(100 * (latencies[Math.floor(share * (latencies.length - 1))] ?? 0)) / 100
  return {
    ...result,
    seconds: (ports.clock.monotonic() - startedAt) / 1000,
    latency: { p50: at(0.5), p99: at(0.99), max: at(1) },
    refusals: Object.fromEntries(refusals),
  }
}

/** Status 0 stands for a connection that broke. */
function post(agent: Agent, url: string, body: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const call = request(
      url,
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': body.length },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(chunks).toString('utf8').slice(0, 200),
          }),
        )
        response.on('error', () => resolve({ status: 0, text: 'the answer broke off' }))
      },
    )
    call.on('error', (error) => resolve({ status: 0, text: error.message }))
    call.end(body)
  })
}
