/**
 * Makes `test/compat/recordings/requests.jsonl`: requests as the real SDKs send them, each with the messages that must come of it.
 *
 *     node scripts/record-requests.ts
 *
 * Both SDKs talk to a server that keeps everything: posthog-node by both of its routes, posthog-js in Chromium
 * in each way that its settings, its remote config and the leaving of a page make it send. The expected messages
 * are derived here the plain way (gunzip, base64, JSON.parse), without any of the program's own code, so that
 * the test compares two independent readings.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { PostHog } from 'posthog-node'
import { noBrowser, openBrowser } from '../test/support/chromium.ts'

type Recorded = {
  sdk: string
  method: string
  path: string
  contentType: string
  contentEncoding: string
  /** The other headers that decide: of v1, and the user agent of a replay. */
  headers: Record<string, string>
  nowMs: number
  body: Buffer
}
type Sent = Record<string, unknown> & { properties?: Record<string, unknown> }

const kept: Recorded[] = []
const wanted = /^\/(e|s|i\/v0\/e|i\/v1\/analytics\/events|batch|capture|track|engage)(\/|$|\?)/
const decisive = /^(authorization|user-agent|posthog-.*)$/

type Recorder = { server: Server; host: string }

/** Keeps what is posted, answers as PostHog does, and gives a page to whoever asks for one. */
async function openRecorder(sdk: string, remoteConfig: object = {}): Promise<Recorder> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url ?? ''
      const body = Buffer.concat(chunks)
      if (request.method === 'POST') keep(sdk, path, request.headers, body)
      const isPage = path.startsWith('/shop')
      const isConfig = path.startsWith('/array/')
      response.writeHead(path.includes('beacon=1') ? 204 : 200, {
        'content-type': isPage ? 'text/html' : 'application/json',
      })
      response.end(
        isPage
          ? page
          : isConfig
            ? JSON.stringify(remoteConfig)
            : path.startsWith('/i/v1')
              ? v1Answer(body)
              : '{"status":1}',
      )
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return { server, host: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const page = '<!doctype html><title>A page</title><button id="b">Buy</button>'

function v1Answer(body: Buffer): string {
  const { batch } = JSON.parse((body[0] === 0x1f ? gunzipSync(body) : body).toString())
  return JSON.stringify({
    results: Object.fromEntries(batch.map((event: Sent) => [event.uuid, { result: 'ok' }])),
  })
}

async function recordNode(): Promise<void> {
  const { server, host } = await openRecorder('posthog-node')
  for (const options of [{}, { disableCompression: true }, { historicalMigration: true }]) {
    const client = new PostHog('phc_recorded', { host, flushAt: 20, ...options })
    client.capture({
      distinctId: 'anna',
      event: 'bought',
      properties: { price: 12.5, text: 'Größe 鞋 \u{1f600}' },
    })
    client.capture({
      distinctId: 'anna',
      event: 'old one',
      timestamp: new Date(Date.UTC(2024, 1, 29, 12, 0, 0)),
    })
    client.identify({ distinctId: 'anna', properties: { $set: { plan: 'pro' }, $set_once: { first: true } } })
    client.alias({ distinctId: 'anna', alias: 'anna@example.org' })
    client.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { size: 7 } })
    client.capture({ distinctId: 'ben', event: 'with group', groups: { company: 'acme' } })
    client.capture({
      distinctId: 'anna',
      event: '$exception',
      properties: { $exception_list: [{ type: 'Error', value: 'something broke' }] },
    })
    await client.shutdown()
  }
  server.close()
}

async function recordBrowser(): Promise<void> {
  if (noBrowser !== false) return void process.stderr.write(`${noBrowser}\n`)
  const script = readFileSync(
    new URL('../node_modules/posthog-js/dist/array.full.no-external.js', import.meta.url),
    'utf8',
  )
  const browser = await openBrowser()
  const quiet = { advanced_disable_flags: true, disable_session_recording: true }
  const onlyBase64 = { supportedCompression: ['base64'], hasFeatureFlags: false }
  const visits: [options: Record<string, unknown>, remoteConfig: object][] = [
    [quiet, {}],
    [{ ...quiet, disable_compression: true }, {}],
    [{ ...quiet, request_batching: false }, {}],
    [{ disable_session_recording: true }, onlyBase64],
    [{ ...quiet, api_transport: 'sendBeacon', request_batching: false }, {}],
    [{ autocapture: false }, { sessionRecording: { endpoint: '/s/' }, supportedCompression: ['gzip-js'] }],
  ]
  for (const [options, remoteConfig] of visits) {
    const { server, host } = await openRecorder('posthog-js', remoteConfig)
    const tab = await browser.newPage()
    await tab.goto(`${host}/shop?utm_source=letter`)
    await tab.addScriptTag({ content: script })
    await tab.evaluate(
      `window.posthog.init('phc_recorded', ${JSON.stringify({
        api_host: host,
        opt_out_useragent_filter: true,
        request_queue_config: { flush_interval_ms: 250 },
        ...options,
      })})`,
    )
    // Remote config decides how the rest is sent.
    await tab.waitForTimeout(700)
    if (options.autocapture === false) await tab.evaluate('window.posthog.startSessionRecording()')
    await tab.click('#b')
    await tab.evaluate(
      `window.posthog.capture('bought', { price: 12.5, text: 'Größe 鞋' }); window.posthog.identify('anna@example.org', { plan: 'pro' }, { first: 1 }); window.posthog.group('company', 'acme', { size: 7 })`,
    )
    const before = kept.length
    for (let tries = 0; tries < 100 && kept.length === before; tries++) await tab.waitForTimeout(50)
    await tab.waitForTimeout(options.autocapture === false ? 3500 : 500)
    await tab.evaluate(`window.posthog.capture('last words')`)
    await tab.goto('about:blank')
    await tab.waitForTimeout(500)
    await tab.close()
    server.closeAllConnections()
    server.close()
  }
  await browser.close()
}

function keep(sdk: string, path: string, headers: IncomingHttpHeaders, body: Buffer): void {
  if (!wanted.test(path) || body.length === 0) return
  const others = Object.entries(headers).flatMap(([name, value]) =>
    decisive.test(name) && typeof value === 'string' ? [[name, value] as const] : [],
  )
  kept.push({
    sdk,
    method: 'POST',
    path,
    contentType: headers['content-type'] ?? '',
    contentEncoding: headers['content-encoding'] ?? '',
    headers: Object.fromEntries(others),
    nowMs: Date.now(),
    body,
  })
}

/** What the request holds, read as plainly as can be. */
function plainPayload(one: Recorded): {
  events: Sent[]
  token: string | undefined
  sentAt: string | undefined
  isHistorical: boolean
} {
  let text = one.body[0] === 0x1f ? gunzipSync(one.body).toString() : one.body.toString()
  if (one.contentType === 'application/x-www-form-urlencoded')
    text = Buffer.from(decodeURIComponent(text.replace(/^data=/, '')), 'base64').toString()
  const value = JSON.parse(text)
  if (Array.isArray(value)) return { events: value, token: undefined, sentAt: undefined, isHistorical: false }
  if (value.batch !== undefined)
    return {
      events: value.batch,
      token: value.api_key,
      sentAt: value.sent_at,
      isHistorical: value.historical_migration === true,
    }
  return { events: [value], token: undefined, sentAt: undefined, isHistorical: false }
}

/** One message for all snapshots of a request. */
function expectedOfReplay(one: Recorded): unknown[] {
  const { events, token } = plainPayload(one)
  const [first] = events
  const properties = first?.properties ?? {}
  const distinctId = first?.distinct_id ?? properties.distinct_id
  return [
    {
      event: '$snapshot_items',
      distinct_id: distinctId,
      token: token ?? first?.token ?? properties.token,
      data: {
        event: '$snapshot_items',
        properties: {
          distinct_id: distinctId,
          $session_id: properties.$session_id,
          $window_id: properties.$window_id,
          $snapshot_source: properties.$snapshot_source ?? 'web',
          $snapshot_items: events.flatMap((event) => event.properties?.$snapshot_data),
          $lib: properties.$lib ?? 'web',
        },
      },
    },
  ]
}

function expectedOfV1(one: Recorded): unknown[] {
  const { batch } = JSON.parse((one.body[0] === 0x1f ? gunzipSync(one.body) : one.body).toString())
  const [lib, version] = (one.headers['posthog-sdk-info'] ?? '').split('/')
  return batch.map(({ event, uuid, distinct_id, timestamp, properties }: Sent) => ({
    uuid,
    event,
    distinct_id,
    token: one.headers.authorization?.replace('Bearer ', ''),
    data: {
      event,
      distinct_id,
      uuid,
      timestamp,
      properties: { ...properties, $lib: lib, $lib_version: version },
    },
  }))
}

function expectedOf(one: Recorded): unknown[] {
  if (one.path.startsWith('/s/')) return expectedOfReplay(one)
  if (one.path.startsWith('/i/v1')) return expectedOfV1(one)
  const { events, token, sentAt, isHistorical } = plainPayload(one)
  const query = new URL(one.path, 'http://x').searchParams.get('_')
  const sentAtMs = sentAt !== undefined ? Date.parse(sentAt) : query === null ? undefined : Number(query)
  return events.map((event) => {
    const properties = event.properties ?? {}
    const distinctId = event.distinct_id ?? event.$distinct_id ?? properties.distinct_id
    const happened = typeof event.timestamp === 'string' ? Date.parse(event.timestamp) : one.nowMs
    const skew = typeof event.timestamp === 'string' && sentAtMs !== undefined ? sentAtMs - one.nowMs : 0
    const timestampMs = typeof event.offset === 'number' ? one.nowMs - event.offset : happened - skew
    const known = ['distinct_id', 'uuid', 'event', 'properties', 'timestamp', 'offset', '$set', '$set_once']
    const data = Object.fromEntries(
      known.flatMap((key) => (event[key] === undefined ? [] : [[key, event[key]]])),
    )
    const ownToken = event.token ?? event.$token ?? event.api_key
    if (ownToken !== undefined) data.token = ownToken
    return {
      uuid: event.uuid,
      distinct_id: distinctId,
      token: token ?? ownToken ?? properties.token,
      event: event.event,
      timestamp: new Date(timestampMs).toISOString().replace('.000Z', 'Z'),
      historical_migration: isHistorical && event.event !== '$exception' ? true : undefined,
      data: { ...data, properties },
    }
  })
}

await recordNode()
process.env.POSTHOG_CAPTURE_MODE = 'v1'
await recordNode()
await recordBrowser()
const lines = kept.map((one) =>
  JSON.stringify({ ...one, body: one.body.toString('base64'), expected: expectedOf(one) }),
)
writeFileSync(new URL('../test/compat/recordings/requests.jsonl', import.meta.url), `${lines.join('\n')}\n`)
process.stdout.write(`${lines.length} requests\n`)
