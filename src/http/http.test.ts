import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { RowmillError } from '../errors/rowmill-error.ts'
import { createLogger } from '../telemetry/logger.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { httpConfigSchema } from './config.ts'
import { type HttpOptions, type HttpServer, openHttpServer } from './http.ts'
import { textResponse } from './respond.ts'
import type { RawRoute, Route } from './route.ts'

const clock = createSystemClock()

async function setup(routes: readonly Route[], options: Partial<HttpOptions> = {}) {
  const metrics = createMetrics()
  const logger = createLogger({ level: 'silent' })
  const settings = { ...httpConfigSchema.parse({}), host: '127.0.0.1', port: 0, ...options }
  const server = await openHttpServer({ logger, metrics, clock }, settings, routes)
  return { server, metrics }
}

const echo: RawRoute = {
  path: '/echo',
  methods: ['POST'],
  bodyBytesMax: 1000,
  handle: async ({ body }) => ({ status: 200, body }),
}

/** Opens a connection by hand and collects what comes. */
function dial(server: HttpServer): { socket: Socket; text: () => string; closed: Promise<void> } {
  const socket = connect(server.address.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
  })
  return { socket, text: () => text, closed }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000 && !isTrue(); tries++) await clock.sleep(5)
  assert.ok(isTrue(), 'the awaited state did not come within 10 s')
}

test('a route answers with and without a trailing slash, and its body comes back whole', async () => {
  const { server } = await setup([echo])
  await using _ = server
  for (const path of ['/echo', '/echo/', '/echo?x=1', '/echo/?x=1']) {
    const response = await fetch(server.address.url + path, { method: 'POST', body: 'hello' })
    assert.equal(response.status, 200)
    assert.equal(await response.text(), 'hello')
  }
})

test('patterns give their parts, and an exact path wins over them', async () => {
  const routes: Route[] = [
    {
      path: '/array/:token/config',
      methods: ['GET'],
      bodyBytesMax: 0,
      handle: async ({ params }) => textResponse(200, String(params.token)),
    },
    {
      path: '/array/me/config',
      methods: ['GET'],
      bodyBytesMax: 0,
      handle: async () => textResponse(200, 'exact'),
    },
    {
      path: '/files/*',
      methods: ['GET'],
      bodyBytesMax: 0,
      handle: async ({ params }) => textResponse(200, String(params['*'])),
    },
  ]
  const { server } = await setup(routes)
  await using _ = server
  const ask = async (path: string) => (await fetch(server.address.url + path)).text()
  assert.equal(await ask('/array/phc_x/config'), 'phc_x')
  assert.equal(await ask('/array/me/config/'), 'exact')
  assert.equal(await ask('/files/a/b.js'), 'a/b.js')
})

test('an unknown path is 404, an unknown method 405 with Allow, and a fallback takes the unknown paths', async () => {
  const { server } = await setup([echo])
  await using _ = server
  assert.equal((await fetch(`${server.address.url}/nothing`)).status, 404)
  const wrong = await fetch(`${server.address.url}/echo`)
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get('allow'), 'POST')
  const other = await setup([echo], { fallback: (_request, response) => void response.end('fallback') })
  await using _other = other.server
  assert.equal(await (await fetch(`${other.server.address.url}/x`)).text(), 'fallback')
  assert.equal((await fetch(`${other.server.address.url}/echo`)).status, 405)
})

test('routes that are replaced answer what comes after, also on connections from before', async () => {
  const { server } = await setup([{ ...echo, path: '/old' }])
  await using _ = server
  const status = async (path: string) =>
    (await fetch(`${server.address.url}${path}`, { method: 'POST', body: 'x' })).status
  assert.deepEqual([await status('/old'), await status('/new')], [200, 404])
  server.replaceRoutes(
    [{ ...echo, path: '/new' }],
    (_request, response) => void response.writeHead(418).end(),
  )
  assert.deepEqual([await status('/old'), await status('/new')], [418, 200])
})

test('a body over the limit is 413, by its declared length and as it comes', async () => {
  const { server, metrics } = await setup([echo])
  await using _ = server
  const declared = await fetch(`${server.address.url}/echo`, { method: 'POST', body: 'x'.repeat(1001) })
  assert.equal(declared.status, 413)
  async function* pieces() {
    for (let index = 0; index < 20; index++) yield Buffer.alloc(100)
  }
  const init: RequestInit = { method: 'POST', body: ReadableStream.from(pieces()), duplex: 'half' }
  const streamed = await fetch(`${server.address.url}/echo`, init)
  assert.equal(streamed.status, 413)
  assert.equal(
    await metrics.value('http_requests_total', { method: 'POST', path: '/echo', status: '413' }),
    2,
  )
  const after = await fetch(`${server.address.url}/echo`, { method: 'POST', body: 'fine' })
  assert.equal(await after.text(), 'fine')
})

test('a connection whose body was refused and read to its end serves the next request, however much later', async () => {
  const { server } = await setup([echo], { bodyStallMs: 100 })
  await using _ = server
  const { socket, text } = dial(server)
  socket.write(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5000)}`)
  await until(() => text().startsWith('HTTP/1.1 413'))
  // The server's own time for refused bodies passes, seen on a connection that does stall.
  const stalled = dial(server)
  stalled.socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  await stalled.closed
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok')
  await until(() => text().endsWith('ok'))
  socket.destroy()
})

test('a client that pauses inside its body gets 408', async () => {
  const { server } = await setup([echo], { bodyStallMs: 100 })
  await using _ = server
  const { socket, text, closed } = dial(server)
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  await until(() => text().startsWith('HTTP/1.1 408'))
  await closed
})

test('bodies beyond the bytes in flight are 503 with Retry-After, and room returns when they end', async () => {
  const gate = Promise.withResolvers<void>()
  const slow: RawRoute = {
    ...echo,
    path: '/slow',
    handle: async () => {
      await gate.promise
      return { status: 200 }
    },
  }
  const { server } = await setup([slow, echo], { inFlightBytesMax: 1000 })
  await using _ = server
  const { socket, text } = dial(server)
  socket.write(`POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n${'x'.repeat(900)}`)
  const post = () => fetch(`${server.address.url}/echo`, { method: 'POST', body: 'y'.repeat(200) })
  let refused = await post()
  for (let tries = 0; tries < 200 && refused.status !== 503; tries++) refused = await post()
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '1')
  gate.resolve()
  await until(() => text().startsWith('HTTP/1.1 200'))
  assert.equal((await post()).status, 200)
  socket.destroy()
})

test('status routes are answered when the server is full', async () => {
  const gate = Promise.withResolvers<void>()
  const slow: RawRoute = { ...echo, path: '/slow', handle: () => gate.promise.then(() => ({ status: 200 })) }
  const status: Route = {
    path: '/_liveness',
    methods: ['GET'],
    isStatus: true,
    bodyBytesMax: 0,
    handle: async () => textResponse(200, 'ok'),
  }
  const { server } = await setup([slow, status, echo], { requestsInFlightMax: 1 })
  await using _ = server
  const pending = fetch(`${server.address.url}/slow`, { method: 'POST', body: 'x' })
  const post = () => fetch(`${server.address.url}/echo`, { method: 'POST', body: 'y' })
  let refused = await post()
  for (let tries = 0; tries < 200 && refused.status !== 503; tries++) refused = await post()
  assert.equal(refused.status, 503)
  assert.equal((await fetch(`${server.address.url}/_liveness`)).status, 200)
  gate.resolve()
  assert.equal((await pending).status, 200)
})

test('a client that goes away is forgotten, and its bytes are free again', async () => {
  const { server, metrics } = await setup([echo], { inFlightBytesMax: 1000 })
  await using _ = server
  const { socket } = dial(server)
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc')
  const probe = () => fetch(`${server.address.url}/echo`, { method: 'POST', body: 'z'.repeat(900) })
  let status = 0
  for (let tries = 0; tries < 500 && status !== 503; tries++) status = (await probe()).status
  assert.equal(status, 503)
  socket.destroy()
  for (let tries = 0; tries < 500 && status !== 200; tries++) status = (await probe()).status
  assert.equal(status, 200)
  assert.equal(
    await metrics.value('http_requests_total', { method: 'POST', path: '/echo', status: '499' }),
    1,
  )
})

test('Expect: 100-continue is answered by the 100, or by the refusal alone', async () => {
  const { server } = await setup([echo])
  await using _ = server
  const send = (length: number) =>
    new Promise<{ status: number | undefined; continued: boolean }>((resolve, reject) => {
      let continued = false
      const request = httpRequest(`${server.address.url}/echo`, {
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': length },
      })
      request.on('continue', () => {
        continued = true
        request.end('x'.repeat(length))
      })
      request.on('response', (response) => {
        response.resume()
        resolve({ status: response.statusCode, continued })
        request.destroy()
      })
      request.on('error', reject)
      request.flushHeaders()
    })
  assert.deepEqual(await send(10), { status: 200, continued: true })
  assert.deepEqual(await send(5000), { status: 413, continued: false })
})

test('an operating error is told as its route tells it, a bug is 500 without its message', async () => {
  const routes: Route[] = [
    { ...echo, path: '/full', handle: () => Promise.reject(new RowmillError('LOG_FULL', 'secret place')) },
    {
      ...echo,
      path: '/told',
      refuse: (error) => textResponse(error.entry.status, `told: ${error.code}`),
      handle: () => Promise.reject(new RowmillError('LOG_FULL', 'secret place')),
    },
    { ...echo, path: '/bug', handle: () => Promise.reject(new TypeError('secret bug')) },
  ]
  const { server } = await setup(routes)
  await using _ = server
  const post = async (path: string) => {
    const response = await fetch(server.address.url + path, { method: 'POST', body: 'x' })
    return { status: response.status, text: await response.text() }
  }
  const full = await post('/full')
  assert.equal(full.status, 503)
  assert.doesNotMatch(full.text, /secret/)
  assert.deepEqual(await post('/told'), { status: 503, text: 'told: LOG_FULL' })
  const bug = await post('/bug')
  assert.equal(bug.status, 500)
  assert.doesNotMatch(bug.text, /secret/)
})

test('bytes that are no HTTP and headers that are too large get an answer and a closed connection', async () => {
  const { server } = await setup([echo], { headerBytesMax: 1024 })
  await using _ = server
  const garbage = dial(server)
  garbage.socket.write('\0\0\0 nonsense\r\n\r\n')
  await garbage.closed
  assert.match(garbage.text(), /^HTTP\/1\.1 400/)
  const large = dial(server)
  large.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(5000)}\r\n\r\n`)
  await large.closed
  assert.match(large.text(), /^HTTP\/1\.1 431/)
})

test('draining finishes what is in flight, says close, and takes nothing new', async () => {
  const entered = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const slow: RawRoute = {
    ...echo,
    path: '/slow',
    handle: () => {
      entered.resolve()
      return gate.promise.then(() => textResponse(200, 'done'))
    },
  }
  const { server } = await setup([slow])
  const { socket, text, closed } = dial(server)
  socket.write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')
  await entered.promise
  const drained = server.drain(new AbortController().signal)
  assert.equal(server.isOpen, false)
  await assert.rejects(fetch(`${server.address.url}/slow`, { method: 'POST', body: 'x' }))
  gate.resolve()
  await drained
  await closed
  assert.match(text(), /connection: close/i)
  assert.match(text(), /done$/)
  await server[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

test('a connection that has asked nothing does not hold up a drain', async () => {
  const { server } = await setup([echo])
  const silent = dial(server)
  await once(silent.socket, 'connect')
  assert.equal((await fetch(`${server.address.url}/echo`, { method: 'POST', body: 'x' })).status, 200)
  await server.drain(new AbortController().signal)
  await silent.closed
})

test('at the deadline of a drain the connections that are left are destroyed', async () => {
  const entered = Promise.withResolvers<void>()
  const never: RawRoute = {
    ...echo,
    path: '/slow',
    handle: () => {
      entered.resolve()
      return new Promise(() => {})
    },
  }
  const { server } = await setup([never])
  const { socket, closed } = dial(server)
  socket.write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')
  await entered.promise
  const deadline = new AbortController()
  const drained = server.drain(deadline.signal)
  deadline.abort()
  await drained
  await closed
})

test('a stream route reads and answers by itself', async () => {
  const route: Route = {
    path: '/stream',
    methods: ['POST'],
    async stream(request, response) {
      let length = 0
      for await (const chunk of request) length += (chunk as Buffer).length
      response.end(String(length))
    },
  }
  const { server } = await setup([route])
  await using _ = server
  const response = await fetch(`${server.address.url}/stream`, { method: 'POST', body: 'x'.repeat(100_000) })
  assert.equal(await response.text(), '100000')
})
