/** ClickHouse's HTTP interface on loopback: its paths, who may ask, and an orderly end. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type ExecuteContext, executeRequest } from '../execute.ts'
import { failureOf } from '../failure.ts'
import { createAnswer } from './answer.ts'
import { authenticate, type Credentials, type HostRequest, readRequest } from './request.ts'

export interface HostServer extends AsyncDisposable {
  readonly port: number
}

export type ServerOptions = {
  port: number
  credentials: Credentials
  /** The format of an answer when nobody names one. */
  format: string
}

/** Listens. At its end it takes no more requests and waits for those in hand. */
export async function openServer(context: ExecuteContext, options: ServerOptions): Promise<HostServer> {
  const inHand = new Set<Promise<void>>()
  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, (message, response) => {
    const work = handle(context, { message, response, options }).finally(() => inHand.delete(work))
    inHand.add(work)
  })
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      const closed = server.listening ? once(server, 'close') : undefined
      server.close()
      server.closeIdleConnections()
      await Promise.allSettled(inHand)
      server.closeAllConnections()
      await closed
    },
  }
}

type Incoming = { message: IncomingMessage; response: ServerResponse; options: ServerOptions }

async function handle(context: ExecuteContext, incoming: Incoming): Promise<void> {
  const { message, response, options } = incoming
  const target = message.url ?? '/'
  if (!target.startsWith('/') || !URL.canParse(`http://host${target}`)) {
    response.writeHead(400, { 'Content-Type': 'text/plain; charset=UTF-8' }).end('The URL is not valid.\n')
    return
  }
  const url = new URL(`http://host${target}`)
  if (isStatusPage(message, url)) {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=UTF-8' }).end('Ok.\n')
    return
  }
  if (url.pathname !== '/') {
    response.writeHead(404, { 'Content-Type': 'text/plain; charset=UTF-8' })
    response.end(`There is no handle ${url.pathname}\n`)
    return
  }
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  let request: HostRequest
  try {
    authenticate(message, url, options.credentials)
    request = readRequest(message, url, { format: options.format })
  } catch (error) {
    const plain = { queryId: '', answerCoding: undefined, isAnswerInBlocks: false }
    await createAnswer(response, plain, context.answer).fail(failureOf(error))
    message.resume()
    return
  }
  await executeRequest(context, { message, response, request, signal: gone.signal })
}

function isStatusPage(message: IncomingMessage, url: URL): boolean {
  if (message.method !== 'GET' && message.method !== 'HEAD') return false
  if (url.pathname === '/ping' || url.pathname === '/replicas_status') return true
  return url.pathname === '/' && !url.searchParams.has('query')
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port.')
  return address.port
}
