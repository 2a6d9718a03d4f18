/**
 * A proxy before a ClickHouse that misbehaves as networks and proxies do. What it does with each request is asked
 * for when the request comes.
 *
 * - `pass` behaves; `down` takes no connection's request and cuts it; `refuse` answers 503 without ClickHouse's words.
 * - `stall` passes the request on and never answers; `stall-early` never passes it on.
 * - `cut` sends half of the answer's bytes and ends the connection; `cut-request` sends half of the request.
 * - `lose` lets the request take effect and cuts the connection before the answer.
 * - `repeat` sends the request twice, one after the other, and gives the second answer.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Certificates } from '../certificates.ts'

export type Behaviour =
  | 'pass'
  | 'down'
  | 'refuse'
  | 'stall'
  | 'stall-early'
  | 'cut'
  | 'cut-request'
  | 'lose'
  | 'repeat'

export type TestProxy = AsyncDisposable & {
  url: string
  /** Requests that came, pings aside. */
  requests: number
  pings: number
  behave: () => Behaviour
}

export async function openProxy(
  target: string,
  options: { behave?: () => Behaviour } = {},
): Promise<TestProxy> {
  const proxy = { requests: 0, pings: 0, behave: options.behave ?? (() => 'pass' as Behaviour) }
  const answer = (message: IncomingMessage, response: ServerResponse): void => {
    if (message.url === '/ping') proxy.pings++
    else proxy.requests++
    void handle({ target, message, response, behaviour: proxy.behave() }).catch(() => response.destroy())
  }
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  })
}

/** TLS before a ClickHouse that has none: bytes as they come. */
export async function openTlsRelay(
  target: string,
  { certFile, keyFile }: Certificates,
): Promise<{ url: string } & AsyncDisposable> {
  const { hostname, port } = new URL(target)
  const open = new Set<Socket>()
  const server = createTlsServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, (near) => {
    const far = connect({ host: hostname, port: Number(port) })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.once('close', () => open.delete(one))
      one.once('error', () => other.destroy())
      one.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `https://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

type Exchange = {
  target: string
  message: IncomingMessage
  response: ServerResponse
  behaviour: Behaviour
}

async function handle({ target, message, response, behaviour }: Exchange): Promise<void> {
  if (behaviour === 'down') return void message.socket.destroy()
  if (behaviour === 'pass') return await pass({ target, message, response })
  const body = await collect(message)
  if (behaviour === 'refuse') {
    response.writeHead(503, { 'Content-Type': 'text/html' }).end('<h1>no upstream</h1>')
    return
  }
  if (behaviour === 'stall-early') return
  if (behaviour === 'cut-request') {
    const half = body.subarray(0, Math.floor(body.length / 2))
    await forward({ target, message }, half, body.length).catch(() => undefined)
    return void message.socket.destroy()
  }
  if (behaviour === 'repeat') await forward({ target, message }, body, body.length)
  const given = await forward({ target, message }, body, body.length)
  if (behaviour === 'stall') return
  if (behaviour === 'lose') return void message.socket.destroy()
  response.writeHead(given.status, given.headers)
  if (behaviour === 'repeat') return void response.end(given.body)
  // As a broken upstream: headers and half of the bytes, then the end of the connection.
  response.flushHeaders()
  const half = given.body.subarray(0, Math.floor(given.body.length / 2))
  if (half.length === 0) message.socket.destroy()
  else response.write(half, () => message.socket.destroy())
}

type Passing = Pick<Exchange, 'target' | 'message'>

function openRequest({ target, message }: Passing, more: Record<string, number> = {}): ClientRequest {
  const { host: _, connection: __, ...headers } = message.headers
  return request(new URL(message.url ?? '/', target), {
    method: message.method ?? 'POST',
    headers: { ...headers, ...more },
    agent: false,
  })
}

/** As it comes, in both directions; an end on one side is an end on the other. */
async function pass({ target, message, response }: Omit<Exchange, 'behaviour'>): Promise<void> {
  const sent = openRequest({ target, message })
  response.once('close', () => sent.destroy())
  sent.once('error', () => message.socket.destroy())
  message.pipe(sent)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  response.writeHead(answer.statusCode ?? 0, answer.headers)
  answer.once('error', () => message.socket.destroySoon())
  answer.pipe(response)
}

type Given = { status: number; headers: IncomingMessage['headers']; body: Buffer }

/** Sends the bytes there are of a body that is said to have `length`; the connection ends where some are missing. */
async function forward(passing: Passing, body: Buffer, length: number): Promise<Given> {
  const sent = openRequest(passing, { 'content-length': length })
  if (body.length === length) sent.end(body)
  else sent.write(body, () => sent.destroy())
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await collect(answer) }
}

async function collect(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}
