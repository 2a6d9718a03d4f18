/** Where outbound requests may go, in every spelling, and how much they may take. The servers are real ones on loopback. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener, type Server } from 'node:http'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { quietTelemetry } from '../../../test/support/quiet.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { createSystemClock } from '../../adapters/embedded/clock.ts'
import type { ErrorCode } from '../../errors/register.ts'
import { isRowmillError } from '../../errors/rowmill-error.ts'
import { createAddressPolicy } from './addresses.ts'
import { type OutboundConfig, outboundConfigSchema } from './config.ts'
import type { Resolve } from './destination.ts'
import { createOutbound, type OutboundRequest } from './outbound.ts'

const { signal } = new AbortController()

async function serve(
  listener: RequestListener,
  address = '127.0.0.1',
): Promise<AsyncDisposable & { port: number; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const place = server.address()
  assert.ok(place !== null && typeof place === 'object')
  return {
    port: place.port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type Setup = { config?: Partial<OutboundConfig>; resolve?: Resolve }

/** `open.test` is a server on loopback that may be asked; nothing else of loopback may. */
function outbound({ config = {}, resolve }: Setup = {}) {
  const names: Record<string, string[]> = {
    'open.test': ['127.0.0.1'],
    'other.test': ['127.0.0.1'],
    'inner.test': ['10.0.0.1'],
    'meta.test': ['169.254.169.254'],
    'mixed.test': ['127.0.0.1', '10.0.0.1'],
    'six.test': ['::1'],
  }
  return createOutbound({
    config: outboundConfigSchema.parse({ addressesAllowed: ['127.0.0.1/32'], ...config }),
    clock: createSystemClock(),
    metrics: quietTelemetry().metrics,
    resolve:
      resolve ??
      (async (host) =>
        (names[host] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))),
  })
}

async function refused(
  request: OutboundRequest,
  code: ErrorCode = 'OUTBOUND_REFUSED',
  setup: Setup = {},
): Promise<string> {
  using client = outbound(setup)
  let message = ''
  await assert.rejects(client.fetch(request, { signal }), (error) => {
    assert.ok(isRowmillError(error, code), `${request.url}: ${error}`)
    message = error.message
    return true
  })
  return message
}

suite('an address', () => {
  const policy = createAddressPolicy([])
  for (const address of [
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.0.1',
    '168.63.129.16',
    '169.254.169.254',
    '169.254.170.2',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'ff0e::1',
    '',
    'localhost',
    '1.2.3',
    '8.8.8.8/0',
  ])
    test(`${address === '' ? 'without text' : address} is out of bounds`, () =>
      assert.equal(policy.isAllowed(address), false))

  test('of the public internet is in bounds, and its neighbours just outside a range are', () => {
    for (const address of [
      '8.8.8.8',
      '1.1.1.1',
      '9.255.255.255',
      '11.0.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '192.167.255.255',
      '223.255.255.255',
      '2606:4700::1111',
      '2a00:1450::1',
    ])
      assert.equal(policy.isAllowed(address), true, address)
  })

  test('that is allowed besides is in bounds, and only that', () => {
    const wider = createAddressPolicy(['10.1.2.0/24', 'fd00::/16'])
    assert.deepEqual(
      ['10.1.2.3', '10.1.3.1', 'fd00::1', 'fd01::1', '127.0.0.1'].map((address) => wider.isAllowed(address)),
      [true, false, true, false, false],
    )
    assert.throws(() => outboundConfigSchema.parse({ addressesAllowed: ['10.0.0.0/33'] }), /address range/)
    assert.throws(() => outboundConfigSchema.parse({ addressesAllowed: ['example.com'] }), /address range/)
  })
})

suite('a URL', () => {
  for (const host of [
    '127.0.0.2',
    '2130706434',
    '0x7f000002',
    '0x7f.0.0.2',
    '0177.0.0.2',
    '017700000002',
    '127.2',
    '127.0.2',
    '0',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.3]',
    '[::ffff:7f00:2]',
    '[64:ff9b::7f00:2]',
    '[2002:7f00:2::]',
    '１２７.０.０.２',
    '127。0。0。2',
    '127.0.0.2.',
    '%31%32%37.0.0.2',
    '169.254.169.254',
    '2852039166',
    '0xA9FEA9FE',
    '0251.0376.0251.0376',
    '[fd00:ec2::254]',
    '10.1',
    '192.168.257',
    '[fe80::1]',
    '[::]',
    '3232235777',
  ])
    test(`with the host ${host} is refused before anything is sent`, async () => {
      assert.match(await refused({ url: `http://${host}/latest/meta-data` }), /may not go to|cannot be read/)
    })

  test('whose name leads inside is refused, also if one of several addresses does', async () => {
    for (const host of ['inner.test', 'meta.test', 'mixed.test', 'six.test', 'INNER.TEST', 'inner.test.'])
      assert.doesNotMatch(
        await refused({ url: `http://${host}/` }),
        /10\.0|169\.254|::1/,
        'the address is not told',
      )
  })

  test('of the machine itself is refused as the machine resolves it', async () => {
    using client = createOutbound({
      config: outboundConfigSchema.parse({}),
      clock: createSystemClock(),
      metrics: quietTelemetry().metrics,
    })
    await assert.rejects(client.fetch({ url: 'http://localhost:1/' }, { signal }), (error) =>
      isRowmillError(error, 'OUTBOUND_REFUSED'),
    )
  })

  test('of another protocol, with credentials, or that is none, is refused', async () => {
    for (const url of [
      'file:///etc/passwd',
      'ftp://open.test/',
      'gopher://open.test/',
      'data:text/plain,x',
      'javascript:1',
      'ws://open.test/',
      'http://user:pass@open.test/',
      'http://',
      'open.test',
      '',
      `http://open.test/${'x'.repeat(20_000)}`,
    ])
      await refused({ url })
  })

  test('outside of the hosts and ports that are allowed is refused', async () => {
    const config = { hostsAllowed: ['open.test', '*.example.test'], portsAllowed: [443] }
    assert.match(
      await refused({ url: 'http://other.test/' }, 'OUTBOUND_REFUSED', { config }),
      /not among the hosts/,
    )
    for (const host of ['example.test', 'notexample.test', 'open.test.evil.test', 'evilopen.test'])
      assert.match(
        await refused({ url: `http://${host}/` }, 'OUTBOUND_REFUSED', { config }),
        /not among the hosts/,
      )
    assert.match(
      await refused({ url: 'http://open.test/' }, 'OUTBOUND_REFUSED', { config }),
      /not among the ports/,
    )
    await refused({ url: 'https://a.example.test/' }, 'OUTBOUND_FAILED', { config })
  })
})

suite('a request', () => {
  test('is sent with its method, headers and body, and answered', async () => {
    await using site = await serve((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', () => {
        response.writeHead(
          418,
          'Teapot',
          [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['content-encoding', 'gzip'],
          ].flat(),
        )
        const {
          host,
          'x-mine': mine,
          'content-length': length,
          'transfer-encoding': encoding,
          'user-agent': agent,
        } = request.headers
        response.end(
          gzipSync(
            JSON.stringify({
              method: request.method,
              url: request.url,
              host,
              mine,
              length,
              encoding,
              agent,
              body: Buffer.concat(chunks).toString(),
            }),
          ),
        )
      })
    })
    using client = outbound()
    const answer = await client.fetch(
      {
        url: `http://open.test:${site.port}/a?b=c`,
        method: 'post',
        headers: [
          ['X-Mine', '1'],
          ['Host', 'evil.test'],
          ['Content-Length', '999'],
          ['Transfer-Encoding', 'chunked'],
          ['Proxy-Authorization', 'x'],
        ],
        body: 'hällo',
      },
      { signal },
    )
    assert.deepEqual(
      [answer.status, answer.statusText, answer.redirects, answer.url],
      [418, 'Teapot', 0, `http://open.test:${site.port}/a?b=c`],
    )
    assert.deepEqual(
      answer.headers.filter(([name]) => name === 'set-cookie'),
      [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
    )
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      method: 'POST',
      url: '/a?b=c',
      host: `open.test:${site.port}`,
      mine: '1',
      length: '6',
      agent: 'Rowmill',
      body: 'hällo',
    })
  })

  test('with line breaks in its parts smuggles nothing', async () => {
    await refused({ url: 'http://open.test/', headers: [['x', 'a\r\nhost: evil']] })
    await refused({ url: 'http://open.test/', headers: [['x\r\ny', 'a']] })
    await refused({ url: 'http://open.test/', method: 'GET / HTTP/1.1\r\nX' })
    await refused({ url: 'http://open.test/', method: 'CONNECT' })
  })

  test('goes to the address that was checked, whatever the name says a moment later', async () => {
    let asked = 0
    await using site = await serve((_, response) => response.end('checked'))
    await using trap = await serve((_, response) => response.end('trap'), '127.0.0.3')
    const resolve: Resolve = async () => [
      { address: ++asked % 2 === 1 ? '127.0.0.1' : '127.0.0.3', family: 4 },
    ]
    using client = outbound({ resolve })
    assert.equal(
      (await client.fetch({ url: `http://turncoat.test:${site.port}/` }, { signal })).body.toString(),
      'checked',
    )
    assert.equal(asked, 1)
    await assert.rejects(client.fetch({ url: `http://turncoat.test:${trap.port}/` }, { signal }), (error) =>
      isRowmillError(error, 'OUTBOUND_REFUSED'),
    )
  })

  test('follows redirects, each checked anew', async () => {
    await using site = await serve((request, response) => {
      const to = new URL(request.url ?? '', 'http://x').searchParams.get('to')
      if (to === null)
        response.end(`${request.method} ${request.headers.authorization} ${request.headers['x-mine']}`)
      else response.writeHead(Number(request.headers['x-status'] ?? 302), { location: to }).end()
    })
    using client = outbound()
    const root = `http://open.test:${site.port}/`
    const headers = [
      ['authorization', 'secret'],
      ['x-mine', '1'],
    ] as const
    const go = (to: string, more: Partial<OutboundRequest> = {}) =>
      client.fetch({ url: `${root}?to=${encodeURIComponent(to)}`, headers, ...more }, { signal })
    assert.equal((await go('/end')).body.toString(), 'GET secret 1')
    assert.equal((await go(`http://other.test:${site.port}/`)).body.toString(), 'GET undefined 1')
    assert.equal((await go('/end', { method: 'POST', body: 'x' })).body.toString(), 'GET secret 1')
    const kept = await go('/end', { method: 'POST', body: 'x', headers: [...headers, ['x-status', '307']] })
    assert.deepEqual([kept.body.toString(), kept.redirects], ['POST secret 1', 1])
    for (const to of [
      'http://127.0.0.2/',
      'http://inner.test/',
      'http://[::1]/',
      'file:///etc/passwd',
      '//meta.test/',
      'http://0x7f000002/',
      'http://user:x@open.test/',
    ])
      await assert.rejects(go(to), (error) => isRowmillError(error, 'OUTBOUND_REFUSED'), to)
  })

  test('that is redirected for ever is refused', async () => {
    await using site = await serve((_, response) => response.writeHead(302, { location: '/again' }).end())
    assert.match(await refused({ url: `http://open.test:${site.port}/` }), /more than 5 times/)
  })

  test('has bounds for its body, its answer as sent and unpacked, and the headers of it', async () => {
    await using site = await serve((request, response) => {
      if (request.url === '/packed')
        response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(5_000_000)))
      else if (request.url === '/headers') response.setHeader('x', 'x'.repeat(100_000)).end()
      else response.end(Buffer.alloc(20_000))
    })
    const config = { answerBytesMax: 10_000, requestBytesMax: 100 }
    const root = `http://open.test:${site.port}`
    await refused({ url: root, method: 'POST', body: 'x'.repeat(101) }, 'OUTBOUND_TOO_LARGE', { config })
    await refused({ url: root }, 'OUTBOUND_TOO_LARGE', { config })
    await refused({ url: `${root}/packed` }, 'OUTBOUND_TOO_LARGE', { config })
    await refused({ url: `${root}/headers` }, 'OUTBOUND_FAILED', { config })
  })

  test('ends in time, whether no answer comes, half of one, or no address', async () => {
    await using site = await serve((request, response) => {
      if (request.url === '/half') response.writeHead(200, { 'content-length': '100' }).write('half')
    })
    const config = { timeoutMs: 150 }
    await refused({ url: `http://open.test:${site.port}/` }, 'OUTBOUND_TIMEOUT', { config })
    await refused({ url: `http://open.test:${site.port}/half` }, 'OUTBOUND_TIMEOUT', { config })
    await refused({ url: 'http://slow.test/' }, 'OUTBOUND_TIMEOUT', {
      config,
      resolve: () => new Promise(() => {}),
    })
  })

  test('that is aborted ends with the reason', async () => {
    await using site = await serve(() => abort.abort(new Error('not wanted')))
    const abort = new AbortController()
    using client = outbound()
    await assert.rejects(
      client.fetch({ url: `http://open.test:${site.port}/` }, { signal: abort.signal }),
      /not wanted/,
    )
  })

  test('to nobody, or to one who hangs up, is a failure that may pass', async () => {
    await using site = await serve((request) => request.socket.destroy())
    await refused({ url: `http://open.test:${site.port}/` }, 'OUTBOUND_FAILED')
    await refused({ url: 'http://nobody.test/' }, 'OUTBOUND_FAILED')
  })

  test('waits for its turn, and is refused when too many wait', async () => {
    let open: (() => void)[] = []
    let most = 0
    await using site = await serve((_, response) => {
      open.push(() => response.end('done'))
      most = Math.max(most, open.length)
    })
    using client = outbound({ config: { requestsMax: 2, requestsWaitingMax: 3 } })
    const url = `http://open.test:${site.port}/`
    const asked = Array.from({ length: 5 }, () => client.fetch({ url }, { signal }))
    await waitFor(() => open.length === 2)
    await assert.rejects(client.fetch({ url }, { signal }), (error) => isRowmillError(error, 'OUTBOUND_BUSY'))
    let done = 0
    for (const each of asked) void each.then(() => done++)
    await waitFor(() => {
      const now = open
      open = []
      for (const end of now) end()
      return done === 5
    })
    assert.equal(most, 2)
  })
})
