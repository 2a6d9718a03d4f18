/** posthog-js in a real browser, loaded from Rowmill itself as PostHog's snippet loads it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { noBrowser, openBrowser } from '../support/chromium.ts'
import { startRowmill, type TestRowmill } from '../support/rowmill.ts'

const page = `<!doctype html><html><head><title>Shop</title></head><body>
<h1>Shop</h1><a id="tea" class="buy big" data-attr="buy-tea" href="#tea">Buy tea</a><button id="go">Go</button>
<input id="name" placeholder="Your name"></body></html>`

/** Runs in the page: remote config names the path for events. */
function hasRemoteConfig(): boolean {
  const { posthog } = globalThis as unknown as { posthog: { analyticsDefaultEndpoint: string } }
  return posthog.analyticsDefaultEndpoint === '/i/v0/e/'
}

suite('posthog-js in Chromium', { skip: noBrowser }, () => {
  let rowmill: TestRowmill
  let browser: Browser
  let shop: Server
  let shopUrl: string
  before(async () => {
    rowmill = await startRowmill()
    await rowmill.api('PATCH', '/api/projects/1', { session_recording_opt_in: true, heatmaps_opt_in: true })
    browser = await openBrowser()
    shop = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end(page),
    ).listen(0, '127.0.0.1')
    await once(shop, 'listening')
    shopUrl = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`
  })
  after(async () => {
    await browser?.close()
    shop?.close()
    await rowmill?.[Symbol.asyncDispose]()
  })

  /**
   * Opens the shop with posthog-js, runs `use` in it, and leaves the page as a visitor does. Before the answer to
   * its question for remote config posthog-js sends to other paths, and captures no clicks.
   */
  async function visit(
    { isConfigured = true, ...options }: Record<string, unknown>,
    use: (tab: Page) => Promise<void>,
  ): Promise<string[]> {
    const context = await browser.newContext()
    const tab = await context.newPage()
    const complaints: string[] = []
    tab.on('pageerror', (error) => complaints.push(error.message))
    tab.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    await tab.goto(shopUrl)
    await tab.addScriptTag({ url: `${rowmill.url}/static/array.full.js` })
    await tab.evaluate(
      ([token, url, more]) => {
        const { posthog } = globalThis as unknown as {
          posthog: { init: (token: string, options: object) => void }
        }
        posthog.init(token as string, {
          api_host: url,
          capture_pageview: true,
          opt_out_useragent_filter: true,
          ...(more as object),
        })
      },
      [rowmill.token, rowmill.url, options] as const,
    )
    if (isConfigured) await tab.waitForFunction(hasRemoteConfig)
    await use(tab)
    await tab.goto('about:blank')
    await context.close()
    return complaints
  }

  const call = (tab: Page, method: string, ...parameters: unknown[]): Promise<unknown> =>
    tab.evaluate(
      ([name, list]) => {
        const { posthog } = globalThis as unknown as {
          posthog: Record<string, (...given: unknown[]) => unknown>
        }
        return posthog[name as string]?.(...(list as unknown[])) as undefined
      },
      [method, parameters] as const,
    )

  test('a page view, a click by autocapture and the leaving of the page arrive', async () => {
    const complaints = await visit({}, async (tab) => {
      await call(tab, 'register', { visit: 'first' })
      await call(tab, 'capture', 'custom', { visit: 'first' })
      await tab.click('#tea')
    })
    const rows = await rowmill.until<[string, string]>(
      "select event, elements_chain from events where distinct_id in (select distinct_id from events where event = 'custom') order by event",
      (found) =>
        ['$autocapture', '$pageleave', '$pageview', 'custom'].every((name) =>
          found.some(([event]) => event === name),
        ),
    )
    const click = rows.find(([event]) => event === '$autocapture')
    assert.match(click?.[1] ?? '', /^a\.big\.buy:/)
    assert.match(click?.[1] ?? '', /text="Buy tea"/)
    assert.deepEqual(complaints, [])
  })

  test('identify joins the anonymous visitor with the known person, and reset begins a new one', async () => {
    await visit({ autocapture: false }, async (tab) => {
      await call(tab, 'capture', 'looked around', { $process_person_profile: true })
      await call(tab, 'identify', 'marie', { email: 'marie@example.com' })
      await call(tab, 'capture', 'signed in')
      await call(tab, 'group', 'company', 'institute', { city: 'Paris' })
      await call(tab, 'capture', 'measured')
      await call(tab, 'reset')
      await call(tab, 'capture', 'after reset')
    })
    await rowmill.until("select uuid from events where event = 'after reset'", (found) => found.length === 1)
    const { body } = await rowmill.api('GET', '/api/projects/1/persons?distinct_id=marie')
    const { results } = body as { results: { distinct_ids: string[]; properties: Record<string, unknown> }[] }
    assert.equal(results.length, 1)
    assert.equal(results[0]?.distinct_ids.length, 2)
    assert.equal(results[0]?.properties.email, 'marie@example.com')
    const groups = await rowmill.query<[string]>("select `$group_0` from events where event = 'measured'")
    assert.deepEqual(groups, [['institute']])
    const ids = await rowmill.query<[string]>(
      "select distinct_id from events where event in ('signed in', 'after reset')",
    )
    assert.equal(new Set(ids.flat()).size, 2)
  })

  test('what is sent by beacon while the page unloads arrives', async () => {
    await visit(
      { autocapture: false, request_batching: true, disable_session_recording: true },
      async (tab) => {
        await call(tab, 'capture', 'last words', { unique: 'beacon' })
      },
    )
    await rowmill.until("select uuid from events where event = 'last words'", (found) => found.length === 1)
  })

  test('a visitor without a person profile makes none', async () => {
    await visit({ person_profiles: 'never', autocapture: false }, async (tab) => {
      await call(tab, 'capture', 'passed by')
    })
    const rows = await rowmill.until<[string]>(
      "select toString(person_mode) from events where event = 'passed by'",
      (found) => found.length === 1,
    )
    assert.deepEqual(rows, [['propertyless']])
  })

  for (const isConfigured of [false, true])
    test(`events without compression arrive as well, ${isConfigured ? 'after' : 'before'} remote config`, async () => {
      const event = isConfigured ? 'plain' : 'plain and early'
      await visit({ disable_compression: true, autocapture: false, isConfigured }, async (tab) => {
        await call(tab, 'capture', event)
      })
      await rowmill.until(`select uuid from events where event = '${event}'`, (found) => found.length === 1)
    })

  test('a recorded session becomes metadata rows, its snapshots are kept', async () => {
    await visit({ autocapture: false, session_recording: { maskAllInputs: true } }, async (tab) => {
      await call(tab, 'startSessionRecording')
      await tab.fill('#name', 'someone')
      await tab.click('#go')
      await tab.waitForTimeout(3500)
    })
    const rows = await rowmill.until<[string, string]>(
      'select session_id, sum(event_count) as events from session_replay_events group by session_id having events > 2',
      (found) => found.length >= 1,
      30_000,
    )
    assert.ok(rows.length >= 1)
  })
})
