import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { openCapture } from '../../../test/compat/capture-fixture.ts'
import { RowmillError } from '../../errors/rowmill-error.ts'
import { configSchema } from '../../platform/config/config.ts'
import { loadConfig } from '../../platform/config/load.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { chosenSink } from './config.ts'
import type { RecordSink } from './record-sink.ts'
import { createNoopSink, createPrintSink, sinkNotice } from './sinks.ts'

function openLines(level: string) {
  const lines: Record<string, unknown>[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    },
  })
  return { lines, logger: createLogger({ level, destination }) }
}

async function post(sink: RecordSink, body: string): Promise<number> {
  await using server = await openCapture({ append: async (records) => void (await sink.append(records)) })
  return (await server.post('/i/v0/e', body)).status
}

const body = '{"api_key":"phc_a","event":"paid","distinct_id":"d","properties":{"amount":1}}'

test('print answers 200 and writes a line for each record, whatever is logged otherwise', async () => {
  const { lines, logger } = openLines('error')
  assert.equal(await post(createPrintSink(logger), `[${body},${body}]`), 200)
  assert.equal(lines.length, 2)
  const [{ record, msg, sink } = {}] = lines
  assert.deepEqual([msg, sink], ['a captured record', 'print'])
  const { topic, key, value, headers } = record as Record<string, Record<string, unknown>>
  assert.deepEqual([topic, key, headers?.event], ['events_plugin_ingestion', 'phc_a:d', 'paid'])
  assert.equal(JSON.parse(String(value?.data)).properties.amount, 1)
})

test('print shows what is no JSON as text, and what is no text as base64', async () => {
  const { lines, logger } = openLines('info')
  const sink = createPrintSink(logger)
  await sink.append([
    { topic: 't', key: null, value: Buffer.from('plain') },
    { topic: 't', key: Buffer.from('k'), value: Buffer.from([0xff, 0x00]) },
  ])
  assert.deepEqual(
    lines.map(({ record }) => record),
    [
      { topic: 't', key: null, headers: {}, value: 'plain' },
      { topic: 't', key: 'k', headers: {}, valueBase64: '/wA=' },
    ],
  )
})

test('noop answers 200 and keeps nothing', async () => {
  assert.equal(await post(createNoopSink(), body), 200)
})

test('a program that keeps no events says so, and with print it is not alive', () => {
  const none = { sink: 'log', printSink: false, noopSink: false } as const
  assert.equal(sinkNotice(none), undefined)
  assert.deepEqual(sinkNotice({ ...none, printSink: true }), {
    kind: 'print',
    sentence: 'Events are printed and lost: the sink is print.',
    isAlive: false,
  })
  assert.equal(sinkNotice({ ...none, sink: 'noop' })?.isAlive, true)
})

const load = (environment: Record<string, string>) => loadConfig(configSchema, { environment }).config.capture

test("the names of PostHog's settings are known", () => {
  assert.equal(chosenSink(load({ PRINT_SINK: 'true' })), 'print')
  assert.equal(chosenSink(load({ NOOP_SINK: '1' })), 'noop')
  assert.equal(chosenSink(load({ ROWMILL_CAPTURE_SINK: 'noop' })), 'noop')
  assert.equal(chosenSink(load({})), 'log')
  const { fallback, mode, gatewaySigningSecret, admission } = load({
    S3_FALLBACK_ENABLED: 'true',
    S3_FALLBACK_PREFIX: 'lost/and.found/',
    CAPTURE_MODE: ' Recordings ',
    AI_GATEWAY_SIGNING_SECRET: 'hidden',
    AI_BYTE_LIMIT_OVERRIDES_CSV: 'phc_a=100,phc_b=0',
  })
  assert.deepEqual([fallback.isEnabled, fallback.prefix, mode], [true, 'lost/and.found/', 'recordings'])
  assert.equal(String(gatewaySigningSecret), '***')
  assert.deepEqual(admission.aiBytesPerSecondOverrides, ['phc_a=100', 'phc_b=0'])
})

const contradictions: readonly [Record<string, string>, RegExp][] = [
  [{ PRINT_SINK: '1', NOOP_SINK: '1' }, /PRINT_SINK and NOOP_SINK are both set; unset one/],
  [{ PRINT_SINK: '1', ROWMILL_CAPTURE_SINK: 'noop' }, /capture\.sink is noop; unset one/],
  [{ NOOP_SINK: '1', ROWMILL_CAPTURE_SINK: 'print' }, /capture\.sink is print; unset one/],
  [{ NOOP_SINK: '1', S3_FALLBACK_ENABLED: '1' }, /set capture\.fallback\.isEnabled to false/],
  [
    { S3_FALLBACK_ENABLED: '1', S3_FALLBACK_BUCKET: 'b' },
    /fallback\.bucket .*S3_FALLBACK_BUCKET.* name of a bucket/,
  ],
  [
    { S3_FALLBACK_ENABLED: '1', S3_FALLBACK_ENDPOINT: 'http://s3' },
    /S3_FALLBACK_ENDPOINT\) is set, but .* set capture\.fallback\.bucket/,
  ],
  [{ S3_FALLBACK_PREFIX: '../x' }, /prefix .* names joined by/],
  [{ CAPTURE_MODE: 'everything' }, /capture\.mode/],
  [
    { CAPTURE_MODE: 'import', CAPTURE_ANALYTICS_AI_EVENTS_OVERFLOW_TOPIC: 't' },
    /never overflows AI events; unset/,
  ],
]
for (const [environment, sentence] of contradictions)
  test(`${Object.entries(environment).join(' and ')} is refused at start with a sentence`, () => {
    assert.throws(
      () => load(environment),
      (error: unknown) =>
        error instanceof RowmillError && error.code === 'CONFIG_INVALID' && sentence.test(error.message),
    )
  })

test('a bucket without the fallback is ignored', () => {
  assert.equal(load({ S3_FALLBACK_BUCKET: 'kept' }).fallback.isEnabled, false)
})
