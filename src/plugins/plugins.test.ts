/** Plugins in the manner of PostHog's, in the real sandbox. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openTestSandbox } from '../../test/support/sandbox.ts'
import { createSystemClock } from '../adapters/embedded/clock.ts'
import { createSystemRandom } from '../adapters/embedded/random.ts'
import { isRowmillError } from '../errors/rowmill-error.ts'
import type { Outbound } from '../http/outbound/outbound.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { runTrial, type TrialOptions, type TrialReport } from './plugins.ts'

let sandbox: Sandbox
before(async () => {
  // The bounds of time are long: what is asked of the host takes its time on a busy machine.
  sandbox = await openTestSandbox({ itemCpuMs: 1000, itemWaitMs: 60_000, loadTimeoutMs: 30_000 })
})
after(() => sandbox[Symbol.asyncDispose]())

type Events = TrialOptions['events']

async function runPlugin(
  text: string,
  events: Events = [{ event: 'seen', properties: { a: 1 } }],
  more: Partial<TrialOptions> & { name?: string } = {},
): Promise<TrialReport> {
  const { name = 'plugin.ts', ...options } = more
  return await runTrial({
    source: { name, text, manifest: undefined },
    events,
    config: {},
    attachments: {},
    outbound: undefined,
    locate: undefined,
    sandbox,
    clock: createSystemClock(),
    random: createSystemRandom(),
    signal: new AbortController().signal,
    ...options,
  })
}

async function one(...given: Parameters<typeof runPlugin>) {
  const [report] = (await runPlugin(...given)).events
  assert.ok(report !== undefined)
  return report
}

const outcomes = ({ events }: TrialReport) => events.map(({ outcome }) => outcome)

suite('a plugin', () => {
  test('renames a property, and the difference says so', async () => {
    const {
      outcome,
      changes,
      after: made,
    } = await one(
      `export function processEvent(event) {
        event.properties.b = event.properties.a
        delete event.properties.a
        return event
      }`,
    )
    assert.equal(outcome, 'changed')
    assert.deepEqual(changes, [
      { kind: 'removed', path: 'properties.a', before: 1 },
      { kind: 'added', path: 'properties.b', after: 1 },
    ])
    assert.deepEqual(made?.properties, { b: 1 })
  })

  test('drops by a condition, with null or nothing', async () => {
    const report = await runPlugin(
      `module.exports = { processEvent(event) {
        if (event.properties.bot) return null
        if (event.event === 'nothing') return
        return event
      } }`,
      [{ event: 'a', properties: { bot: true } }, { event: 'nothing' }, { event: 'b' }],
    )
    assert.deepEqual(outcomes(report), ['dropped', 'dropped', 'unchanged'])
    assert.equal(report.events[0]?.after, null)
  })

  test('finds its config, its attachments and what its setup has left in global', async () => {
    const text = `import type { PluginMeta } from '@posthog/plugin-scaffold'
      export async function setupPlugin({ global, attachments, config }: PluginMeta) {
        const { contents, content_type, file_name } = attachments.cities
        global.cities = JSON.parse(contents.toString())
        console.log(content_type, file_name, contents.length, contents[0], config.plan)
      }
      export const processEvent = async (event: any, { config, global }: PluginMeta) => {
        event.properties = { ...event.properties, plan: config.plan, city: global.cities['1'] }
        return event
      }`
    const report = await runPlugin(text, [{ event: 'a' }], {
      config: { plan: 'pro' },
      attachments: {
        cities: {
          contentType: 'application/json',
          fileName: 'c.json',
          contents: Buffer.from('{"1":"Zürich"}'),
        },
      },
    })
    assert.deepEqual(report.setup.logs, [{ level: 'log', text: 'application/json c.json 15 123 pro' }])
    assert.deepEqual(report.events[0]?.after?.properties, { plan: 'pro', city: 'Zürich' })
  })

  test('counts in the cache, the storage and a cursor from event to event', async () => {
    const text = `export async function setupPlugin({ utils, storage }) {
        await utils.cursor.init('c', 5)
        await storage.set('first', { is: true })
      }
      export async function processEvent(event, { cache, storage, utils }) {
        await cache.set('last', event.event, 60)
        await cache.lpush('names', [event.event])
        event.properties = {
          n: await cache.incr('n'), c: await utils.cursor.increment('c'), last: await cache.get('last', 'none'),
          lost: await cache.get('lost', 'none'), names: await cache.lrange('names', 0, -1),
          first: await storage.get('first', null), gone: await storage.get('gone', 'default'),
        }
        await storage.del('first')
        return event
      }`
    const { events } = await runPlugin(text, [{ event: 'a' }, { event: 'b' }])
    assert.deepEqual(
      events.map(({ after: made }) => made?.properties),
      [
        { n: 1, c: 6, last: 'a', lost: 'none', names: ['a'], first: { is: true }, gone: 'default' },
        { n: 2, c: 7, last: 'b', lost: 'none', names: ['b', 'a'], first: null, gone: 'default' },
      ],
    )
  })

  test('has what it asks for noted down: jobs, metrics, events, places', async () => {
    const text = `export const metrics = { seen: 'sum', top: 'max' }
      export const jobs = { refresh: () => {} }
      export async function processEvent(event, { jobs, metrics, geoip }) {
        await jobs.refresh({ a: 1 }).runNow()
        await jobs.refresh().runIn(2, 'hours')
        await jobs.refresh(null).runAt(new Date('2026-01-02T03:04:05Z'))
        metrics.seen.increment(2)
        metrics.top.max(9)
        posthog.capture('other', { b: 1 })
        const place = await geoip.locate('1.2.3.4')
        event.properties.city = place?.city.names.en
        return event
      }`
    const { requests, after: made } = await one(text, undefined, {
      locate: () => ({ city: { names: { en: 'Basel' } } }),
    })
    assert.deepEqual(made?.properties, { a: 1, city: 'Basel' })
    assert.deepEqual(requests, [
      { kind: 'job', name: 'refresh', payload: { a: 1 }, when: 'now' },
      { kind: 'job', name: 'refresh', payload: null, when: 'in 2 hours' },
      { kind: 'job', name: 'refresh', payload: null, when: 'at 2026-01-02T03:04:05.000Z' },
      { kind: 'metric', name: 'seen', operation: 'increment', value: 2 },
      { kind: 'metric', name: 'top', operation: 'max', value: 9 },
      { kind: 'capture', event: 'other', properties: { b: 1 } },
      { kind: 'geoip', ip: '1.2.3.4', hasDatabase: true },
    ])
  })

  test('is told what it asks for in a wrong way', async () => {
    for (const [call, sentence] of [
      ['jobs.a().runIn(1, "moons")', /A job is run now/],
      ['metrics.other.increment(1)', /does not declare the metric other/],
      ['geoip.locate(1)', /takes an address/],
      ['posthog.capture()', /takes the name of an event/],
      ['posthog.api.get("/")', /posthog\.api is not there/],
      ['cache.get(1)', /key of the cache/],
      ['storage.get(1)', /key of the storage/],
    ] as const) {
      const text = `export async function processEvent(event, { jobs, metrics, geoip, cache, storage }) { await ${call} }`
      const { failure } = await one(text)
      assert.match(failure?.message ?? '', sentence)
    }
  })

  test('may offer processEventBatch alone, a default, or functions that it does not export', async () => {
    const batch =
      'export const processEventBatch = (events) => events.map((e) => ({ ...e, event: e.event + "!" }))'
    const asDefault = 'export default { processEvent: (event) => ({ ...event, event: "b" }) }'
    const bare = 'function processEvent(event) { event.event = "c"; return event }'
    for (const [text, name] of [
      [batch, 'seen!'],
      [asDefault, 'b'],
      [bare, 'c'],
    ] as const)
      assert.deepEqual((await one(text)).changes, [
        { kind: 'changed', path: 'event', before: 'seen', after: name },
      ])
    const wrong = await one('export const processEventBatch = () => 1')
    assert.match(wrong.failure?.message ?? '', /did not answer a list/)
  })

  test('that throws leaves the event as it was, and the error has its line', async () => {
    const text = `import { RetryError } from '@posthog/plugin-scaffold'
interface Shape { a?: number }
export async function processEvent(event: { event: string; properties: Shape }) {
  event.properties.a = 2
  if (event.event === 'later') throw new RetryError('not now')
  const value: Shape | undefined = undefined
  return value!.a
}`
    const { events } = await runPlugin(text, [{ event: 'a', properties: { a: 1 } }, { event: 'later' }])
    const [first, second] = events
    assert.equal(first?.outcome, 'failed')
    assert.deepEqual([first.changes, first.after?.properties], [[], { a: 1 }])
    assert.deepEqual(first.failure?.place, { line: 7, text: 'return value!.a' })
    assert.equal(first.failure?.name, 'TypeError')
    assert.deepEqual([second?.failure?.name, second?.failure?.message], ['RetryError', 'not now'])
    assert.equal(second?.failure?.place?.line, 5)
  })

  test('that changes team_id has that taken back, and answers nothing but events', async () => {
    const changed = await one('export const processEvent = (e) => ({ ...e, team_id: 2, properties: {} })', [
      { event: 'a', team_id: 9, properties: { a: 1 } },
    ])
    assert.deepEqual([changed.failure?.name, changed.after?.team_id], ['IllegalOperationError', 9])
    assert.deepEqual(changed.changes, [{ kind: 'removed', path: 'properties.a', before: 1 }])
    const text = await one('export const processEvent = () => "text"')
    assert.match(text.failure?.message ?? '', /answered a string, not an event/)
  })

  test('that loops for ever fails on that event only, and its setup runs again for the next', async () => {
    const text = `export const setupPlugin = ({ global }) => { global.ready = 'yes' }
      export async function processEvent(event, { global, cache }) {
        if (event.event === 'loop') for (;;);
        return { ...event, properties: { ready: global.ready, n: await cache.incr('n') } }
      }`
    const report = await runPlugin(text, [{ event: 'a' }, { event: 'loop' }, { event: 'b' }])
    assert.deepEqual(outcomes(report), ['changed', 'failed', 'changed'])
    assert.equal(report.events[1]?.failure?.kind, 'timeout')
    assert.deepEqual(report.events[2]?.after?.properties, { ready: 'yes', n: 2 })
    assert.ok(report.events.slice(1).some(({ requests }) => requests.some(({ kind }) => kind === 'setup')))
  })

  test('whose setup fails is given no event', async () => {
    const report = await runPlugin(
      'export function setupPlugin() {\n throw new Error("no key")\n}\nexport const processEvent = (e) => e',
    )
    assert.deepEqual(report.events, [])
    assert.deepEqual([report.setup.failure?.message, report.setup.failure?.place?.line], ['no key', 2])
  })
})

suite('fetch', () => {
  const text = `export async function processEvent(event) {
    const answer = await fetch('https://example.com/a', { method: 'POST', headers: { 'X-A': '1' }, body: '{"q":1}' })
    event.properties = { ok: answer.ok, type: answer.headers.get('Content-Type'), ...(await answer.json()) }
    return event
  }`

  test('is refused, with the option that allows it', async () => {
    const { failure, requests } = await one(text)
    assert.match(failure?.message ?? '', /Give --allow-fetch/)
    assert.deepEqual(requests, [
      { kind: 'fetch', method: 'POST', url: 'https://example.com/a', answer: 'refused' },
    ])
  })

  test('goes through the outbound client', async () => {
    const asked: unknown[] = []
    const outbound: Outbound = {
      async fetch(request) {
        asked.push(request)
        const body = Buffer.from('{"city":"Zürich"}')
        const headers: [string, string][] = [['content-type', 'application/json']]
        return { url: request.url, redirects: 0, status: 200, statusText: 'OK', headers, body }
      },
      [Symbol.dispose]: () => undefined,
    }
    const { after: made, requests } = await one(text, undefined, { outbound })
    assert.deepEqual(made?.properties, { ok: true, type: 'application/json', city: 'Zürich' })
    assert.deepEqual(asked, [
      { url: 'https://example.com/a', method: 'POST', headers: [['X-A', '1']], body: '{"q":1}' },
    ])
    assert.deepEqual(requests, [
      { kind: 'fetch', method: 'POST', url: 'https://example.com/a', answer: '200' },
    ])
  })
})

test('what cannot be loaded is refused with its line and what there is instead', async () => {
  for (const [text, sentence, cause] of [
    [
      'const a = 1\nimport _ from "lodash"\n_.x()',
      /does not load at plugin\.ts:2/,
      /no module "lodash".*plugin-scaffold/,
    ],
    ['let a\nlet a = }', /cannot be read at plugin\.ts:2: let a = \}/, /Unexpected token/],
    ['let a\nlet a', /does not load at plugin\.ts:2: let a/, /already been declared/],
    [
      'export const onEvent = () => {}',
      /neither processEvent nor processEventBatch\. It has onEvent/,
      undefined,
    ],
    ['const a = 1', /It has no function that plugins have/, undefined],
  ] as const)
    await assert.rejects(runPlugin(text), (error) => {
      assert.ok(isRowmillError(error, 'PLUGIN_INVALID'), String(error))
      assert.match(error.message, sentence)
      if (cause !== undefined) assert.match(String(error.cause), cause)
      return true
    })
})
