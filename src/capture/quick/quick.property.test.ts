import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildEvents, type EventContext } from '../build-event.ts'
import { type CapturedEvent, dataLength, dataText } from '../captured-event.ts'
import { decodePayload } from '../decode.ts'
import { toRecord } from '../message.ts'
import { readRequest } from '../request.ts'
import { readQuickly } from './quick.ts'

type Read = (body: Buffer) => Promise<CapturedEvent[] | undefined> | CapturedEvent[] | undefined
type Sent = { token: string; sentAtMs: number | undefined; isHistorical: boolean }

function contextOf(sent: Sent): EventContext {
  return {
    token: sent.token,
    ip: '10.0.0.1',
    nowMs: 1_790_000_000_000,
    sentAtMs: sent.sentAtMs,
    sentAt: undefined,
    isHistorical: sent.isHistorical,
    aiLanePredicate: 'allowlist',
    uuidV7: () => '0196a5c5-7b1c-7000-8000-0000000000ff',
  }
}

const quickly: Read = (body) => {
  const sent = readQuickly(body)
  return sent?.build(contextOf(sent))
}
const fully: Read = async (body) => {
  const limits = { payloadBytesMax: 1_000_000 }
  const { text, query } = await decodePayload({ queryText: '', headers: {}, body }, limits)
  const sent = readRequest(text, query, { acceptsEngage: false })
  const context = contextOf(sent)
  return sent.events.flatMap((event) => buildEvents(event, context))
}

async function outcome(read: Read, body: Buffer): Promise<unknown> {
  try {
    const events = await read(body)
    return events?.map((event) => ({
      event: { ...event, data: dataText(event.data) },
      length: dataLength(event.data),
      value: toRecord({ event, topic: 'events_plugin_ingestion', key: 'k', headers: {} }).value.toString(),
    }))
  } catch (error) {
    return String(error)
  }
}

const text = fc.oneof(
  { weight: 6, arbitrary: fc.string() },
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '$pageview',
    '$exception',
    '$$heatmap',
    '$performance_event',
    'survey sent',
    '\u2028',
    '',
    ' ',
  ),
)
const timestamp = fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
const usualProperties = fc.dictionary(text, fc.jsonValue())
const usualEvent = fc.record(
  {
    event: text,
    distinct_id: text,
    properties: usualProperties,
    uuid: fc.uuid(),
    token: fc.constant('phc_a'),
    timestamp,
    $set: usualProperties,
    $set_once: usualProperties,
    extra: fc.jsonValue(),
  },
  { requiredKeys: ['event', 'distinct_id', 'properties'] },
)
/** What changes how an event is read, and what may be wrong with it. */
const unusual = fc.record(
  {
    event: fc.oneof(text, fc.jsonValue()),
    distinct_id: fc.oneof(fc.constant(undefined), fc.jsonValue()),
    $distinct_id: text,
    properties: fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          token: text,
          distinct_id: fc.oneof(text, fc.jsonValue()),
          $ignore_sent_at: fc.boolean(),
          $cookieless_mode: fc.oneof(fc.boolean(), fc.constant(null)),
          $heatmap_data: fc.jsonValue(),
          $current_url: text,
          $prev_pageview_pathname: text,
          capture_internal: fc.boolean(),
          other: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    ),
    uuid: fc.oneof(
      fc.uuid().map((id) => id.toUpperCase()),
      text,
      fc.jsonValue(),
    ),
    token: fc.oneof(text, fc.jsonValue()),
    api_key: text,
    $token: fc.constant('phc_a'),
    timestamp: fc.oneof(text, fc.jsonValue()),
    offset: fc.integer(),
    $set: fc.jsonValue(),
    $set_once: fc.jsonValue(),
  },
  { requiredKeys: [] },
)
const keys = [
  'event',
  'distinct_id',
  '$distinct_id',
  'properties',
  'uuid',
  'token',
  'api_key',
  '$token',
] as const
const others = ['timestamp', 'offset', '$set', '$set_once'] as const
/** A usual event, at times with one or two members of the other kind. */
const event = fc
  .tuple(usualEvent, unusual, fc.array(fc.constantFrom(...keys, ...others), { maxLength: 2 }))
  .map(([usual, other, taken]) => {
    const changes = taken.filter((key) => key in other).map((key) => [key, other[key]])
    return { ...usual, ...Object.fromEntries(changes) }
  })
const sent = fc.oneof(
  event,
  fc.array(event, { maxLength: 4 }),
  fc.record(
    {
      api_key: fc.oneof({ weight: 5, arbitrary: fc.constant('phc_a') }, text),
      batch: fc.oneof({ weight: 5, arbitrary: fc.array(event, { maxLength: 4 }) }, fc.jsonValue()),
      historical_migration: fc.oneof({ weight: 5, arbitrary: fc.boolean() }, fc.jsonValue()),
      sent_at: fc.oneof(fc.constant('2026-01-02T03:04:05.678Z'), text),
      event: text,
    },
    { requiredKeys: ['api_key', 'batch'] },
  ),
)

test('the quick way gives what the full way gives, or gives up', async () => {
  let taken = 0
  await fc.assert(
    fc.asyncProperty(sent, async (value) => {
      const body = Buffer.from(JSON.stringify(value))
      const quick = await outcome(quickly, body)
      if (quick === undefined) return
      taken++
      assert.deepEqual(quick, await outcome(fully, body))
    }),
    { numRuns: 2000 },
  )
  assert.ok(taken > 100, `only ${taken} requests went the quick way`)
})

test('what is damaged is never taken where the full way refuses it', async () => {
  const plain = fc.record({
    event: fc.constantFrom('a', '$pageview'),
    distinct_id: fc.string(),
    token: fc.constant('phc_a'),
    properties: fc.dictionary(fc.string(), fc.jsonValue()),
  })
  const bytes = fc.oneof(
    fc.constantFrom(...Buffer.from('"\\{}[],: 0e+-.tfnu\n\t\x80\xc3', 'latin1')),
    fc.nat(255),
  )
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(2), bytes), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(plain, fc.record({ api_key: fc.constant('p'), batch: fc.array(plain) })),
      changes,
      async (value, edits) => {
        const list = [...Buffer.from(JSON.stringify(value))]
        for (const [at, kind, byte] of edits) {
          const place = at % (list.length + 1)
          if (kind === 0) list[Math.min(place, list.length - 1)] = byte
          else if (kind === 1) list.splice(place, 0, byte)
          else list.splice(place, 1)
        }
        const body = Buffer.from(list)
        const quick = await outcome(quickly, body)
        if (quick !== undefined) assert.deepEqual(quick, await outcome(fully, body))
      },
    ),
    { numRuns: 3000 },
  )
})

test('names that come twice are left to the full way', () => {
  const once = '"event":"a","distinct_id":"d","token":"phc_a","properties":{"token":"phc_a"}'
  assert.notEqual(quickly(Buffer.from(`{${once}}`)), undefined)
  for (const again of ['"event":"b"', '"distinct_id":"e"', '"token":"phc_a"', '"properties":{}'])
    assert.equal(quickly(Buffer.from(`{${once},${again}}`)), undefined, again)
  assert.equal(quickly(Buffer.from(`{${once},"eve\\u006et":"b"}`)), undefined)
})

test('every form of a JSON value is told from what only looks like one', () => {
  const values = [
    '0',
    '-0',
    '-1.5e+10',
    '1E5',
    '00',
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '+1',
    'true',
    'tru',
    'null',
    'nul',
  ]
  const more = [
    '"\\u00e9"',
    '"\\u00"',
    '"\\x"',
    '"\\/"',
    '"a',
    '[]',
    '[1,]',
    '[,1]',
    '{}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
  ]
  for (const value of [...values, ...more]) {
    const body = `{"event":"a","distinct_id":"d","token":"phc_a","properties":{"x":${value}}}`
    let isJson = true
    try {
      JSON.parse(body)
    } catch {
      isJson = false
    }
    assert.equal(quickly(Buffer.from(body)) !== undefined, isJson, value)
  }
})
