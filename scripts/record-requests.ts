/**
 * Makes `test/compat/recordings/requests.jsonl`: requests as the real SDKs send them, each with the messages that must come of it.
 *
 *     node scripts/record-requests.ts
 *
 * posthog-node talks to a server that keeps everything; posthog-js runs in Chromium with its requests
 * intercepted. The expected messages are derived here the plain way (gunzip, base64, JSON.parse), without any
 * of the program's own code, so that the test compares two independent readings.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
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
  nowMs: number
  body: Buffer
}
type Sent = Record<string, unknown> & { properties?: Record<string, unknown> }

const kept: Recorded[] = []
const wanted = /^\/(e|i\/v0\/e|batch|capture|track|engage)\//

async function recordNode(): Promise<void> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      keep({
        sdk: 'posthog-node',
        method: request.method ?? '',
        path: request.url ?? '',
        contentType: request.headers['content-type'] ?? '',
        contentEncoding: request.headers['content-encoding'] ?? '',
        nowMs: Date.now(),
        body: Buffer.concat(chunks),
      })
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"status":1}')
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
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
  for (const options of [{}, { disable_compression: true }, { request_batching: false }]) {
    const page = await browser.newPage()
    await page.route('**/*', async (route) => {
      const request = route.request()
      const url = new URL(request.url())
      if (url.hostname === 'page.test')
        return route.fulfill({
          contentType: 'text/html',
          body: '<title>A page</title><button id="b">Buy</button>',
        })
      if (request.method() === 'POST')
        keep({
          sdk: 'posthog-js',
          method: 'POST',
          path: url.pathname + url.search,
          contentType: request.headers()['content-type'] ?? '',
          contentEncoding: request.headers()['content-encoding'] ?? '',
          nowMs: Date.now(),
          body: request.postDataBuffer() ?? Buffer.alloc(0),
        })
      return route.fulfill({
        status: 200,
        contentType: 'application/json',
        headers: { 'access-control-allow-origin': '*' },
        body: '{"status":1}',
      })
    })
    await page.goto('http://page.test/shop?utm_source=letter')
    await page.addScriptTag({ content: script })
    await page.evaluate(
      `window.posthog.init('phc_recorded', ${JSON.stringify({
        api_host: 'http://capture.test',
        advanced_disable_flags: true,
        disable_session_recording: true,
        opt_out_useragent_filter: true,
        request_queue_config: { flush_interval_ms: 250 },
        ...options,
      })})`,
    )
    await page.click('#b')
    await page.evaluate(
      `window.posthog.capture('bought', { price: 12.5, text: 'Größe 鞋' }); window.posthog.identify('anna@example.org', { plan: 'pro' }, { first: 1 }); window.posthog.group('company', 'acme', { size: 7 })`,
    )
    const before = kept.length
    for (let tries = 0; tries < 100 && kept.length === before; tries++) await page.waitForTimeout(50)
    await page.waitForTimeout(500)
    await page.evaluate(`window.posthog.capture('last words')`)
    await page.close({ runBeforeUnload: true })
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  await browser.close()
}

function keep(one: Recorded): void {
  if (wanted.test(one.path) && one.body.length > 0) kept.push(one)
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

function expectedOf(one: Recorded): unknown[] {
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
await recordBrowser()
const lines = kept.map((one) =>
  JSON.stringify({ ...one, body: one.body.toString('base64'), expected: expectedOf(one) }),
)
writeFileSync(new URL('../test/compat/recordings/requests.jsonl', import.meta.url), `${lines.join('\n')}\n`)
process.stdout.write(`${lines.length} requests\n`)
