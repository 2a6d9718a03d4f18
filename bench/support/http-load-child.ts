/** The generator's process: gets its load by message, sends its result, and waits to be ended. */
import { connect, type Socket } from 'node:net'
import type { HttpLoad, HttpLoadResult } from './http-load.ts'

type Counts = { requests: number; failures: number; latencies: number[] }

process.once('message', (load: HttpLoad) => {
  run(load).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exitCode = 1
      process.disconnect()
    },
  )
})

async function run(load: HttpLoad): Promise<HttpLoadResult> {
  const requests = load.bodies.map((body) => buildRequest(load, body))
  const counts: Counts = { requests: 0, failures: 0, latencies: [] }
  const sockets = await Promise.all(
    Array.from({ length: load.connections }, (_, index) => open(load, requests, { counts, index })),
  )
  await new Promise((resolve) => setTimeout(resolve, load.warmUpMs))
  counts.requests = 0
  counts.failures = 0
  counts.latencies.length = 0
  const startedAt = performance.now()
  await new Promise((resolve) => setTimeout(resolve, load.durationMs))
  const seconds = (performance.now() - startedAt) / 1000
  const result = { requests: counts.requests, failures: counts.failures, seconds }
  const sorted = Float64Array.from(counts.latencies).sort()
  for (const socket of sockets) socket.destroy()
  const at = (share: number) => Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 100) / 100
  return {
    ...result,
    perSecond: Math.round(result.requests / seconds),
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  }
}

function buildRequest(load: HttpLoad, body: string): Buffer {
  const bytes = Buffer.from(body, load.isBase64 === true ? 'base64' : 'utf8')
  const headers = { 'content-type': 'application/json', ...load.headers }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `${load.method ?? 'POST'} ${load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('')}Content-Length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

function open(
  load: HttpLoad,
  requests: readonly Buffer[],
  given: { counts: Counts; index: number },
): Promise<Socket> {
  const { counts } = given
  return new Promise((resolve, reject) => {
    const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true })
    let turn = given.index
    const sentAt: number[] = []
    const send = () => {
      sentAt.push(performance.now())
      socket.write(requests[turn++ % requests.length] ?? Buffer.alloc(0))
    }
    let rest = ''
    socket.on('connect', () => {
      for (let index = 0; index < load.pipelined; index++) send()
      resolve(socket)
    })
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      rest += chunk.toString('latin1')
      for (let end = endOfAnswer(rest); end > 0; end = endOfAnswer(rest)) {
        counts.requests++
        if (rest[9] !== '2') counts.failures++
        counts.latencies.push(performance.now() - (sentAt.shift() ?? 0))
        rest = rest.slice(end)
        send()
      }
    })
  })
}

/** Where the first answer in the text ends; 0 while it is not all there. */
function endOfAnswer(text: string): number {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return 0
  const found = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))
  const end = head + 4 + Number(found?.[1] ?? 0)
  return end <= text.length ? end : 0
}
