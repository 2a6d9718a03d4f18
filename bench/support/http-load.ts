/**
 * A small fast load generator for HTTP: raw sockets in a process of its own, keep-alive, a fixed number of
 * requests outstanding on each. Requests are built once; answers are read only as far as their end must be known.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'

export type HttpLoad = {
  port: number
  path: string
  method?: string
  headers?: Record<string, string>
  /** Sent in turn, as text or base64 of bytes. */
  bodies: readonly string[]
  isBase64?: boolean
  connections: number
  /** Requests outstanding on each connection. */
  pipelined: number
  warmUpMs: number
  durationMs: number
}
export type HttpLoadResult = {
  requests: number
  /** Answers other than 2xx. */
  failures: number
  seconds: number
  perSecond: number
  latencyMs: { p50: number; p99: number; max: number }
}

/** Runs the load to its end. Fails if the generator could not keep its connections. */
export async function runHttpLoad(load: HttpLoad): Promise<HttpLoadResult> {
  const child = fork(new URL('http-load-child.ts', import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit')
  const answered = once(child, 'message')
  child.send(load)
  const first = await Promise.race([answered, ended.then(() => undefined)])
  if (first === undefined) throw new Error('the load generator ended without a result')
  child.kill()
  await ended
  return first[0]
}
