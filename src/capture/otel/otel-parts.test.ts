import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import protobuf from 'protobufjs/minimal.js'
import {
  type JsonAttribute,
  type JsonSpan,
  protobufExport,
  tracesJson,
} from '../../../test/support/otlp-export.ts'
import { classifySpan } from './classify.ts'
import { decodeJsonTraces } from './decode-json.ts'
import { decodeProtobufTraces } from './decode-protobuf.ts'
import { encodeExportResponse } from './export-response.ts'
import { spanDistinctId } from './identity.ts'
import type { OtlpSpan, OtlpTraces } from './otlp.ts'
import { expandSpans } from './span-events.ts'

const limits = { spansMax: 1000, aiSpansMax: 100 }

test('an export means the same in protobuf and in JSON', () => {
  const { value } = fc.letrec<{ value: JsonAttribute['value'] }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.record({ stringValue: fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()) }),
      fc.record({ boolValue: fc.boolean() }),
      fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) }),
      fc.record({
        doubleValue: fc.double({ noNaN: true, noDefaultInfinity: true }).map((double) => double + 0),
      }),
      fc.record({
        bytesValue: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64')),
      }),
      fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 3 }) }) }),
      fc.record({
        kvlistValue: fc.record({
          values: fc.array(fc.record({ key: fc.string(), value: tie('value') }), { maxLength: 3 }),
        }),
      }),
    ),
  }))
  const attributes = fc.array(fc.record({ key: fc.string(), value }), { maxLength: 5 })
  const id = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString('hex'))
  const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)
  const spans = fc.array(
    fc.record<JsonSpan>({
      traceId: id(16),
      spanId: id(8),
      parentSpanId: fc.oneof(fc.constant(''), id(8)),
      name: fc.string(),
      startTimeUnixNano: nanos,
      endTimeUnixNano: nanos,
      attributes,
      events: fc.array(fc.record({ name: fc.string(), attributes }), { maxLength: 2 }),
      status: fc.record({ code: fc.constantFrom(0, 1, 2), message: fc.string() }),
    }),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(attributes, fc.string(), spans, (resource, version, list) => {
      const json = tracesJson(resource, version, list)
      assert.deepEqual(
        decodeProtobufTraces(protobufExport(json)),
        decodeJsonTraces(Buffer.from(JSON.stringify(json))),
      )
    }),
  )
})

test('bytes that are no export are refused with an OtlpError', () => {
  const check = (decode: (body: Buffer) => OtlpTraces, body: Buffer) => {
    try {
      decode(body)
    } catch (error) {
      assert.ok(error instanceof Error && error.name === 'OtlpError', String(error))
    }
  }
  const valid = protobufExport(tracesJson([], '1', [{ ...emptySpan, name: 'x' }]))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(valid.length), fc.json(), (bytes, at, text) => {
      check(decodeProtobufTraces, Buffer.from(bytes))
      check(decodeProtobufTraces, Buffer.concat([valid.subarray(0, at), bytes]))
      check(decodeJsonTraces, Buffer.from(text))
      check(decodeJsonTraces, Buffer.from(`{"resourceSpans":[${text}]}`))
      check(decodeJsonTraces, Buffer.from(`{"resourceSpans":[{"scopeSpans":[{"spans":[${text}]}]}]}`))
    }),
  )
})

test('values nested without end are refused, not a crash', () => {
  let value: unknown = { stringValue: 'x' }
  for (let depth = 0; depth < 100; depth++) value = { arrayValue: { values: [value] } }
  const body = {
    resourceSpans: [{ scopeSpans: [{ spans: [{ attributes: [{ key: 'gen_ai.x', value }] }] }] }],
  }
  assert.throws(() => decodeJsonTraces(Buffer.from(JSON.stringify(body))), /nested deeper/)
  let bytes = Buffer.from(protobuf.Writer.create().uint32(10).string('x').finish())
  for (let depth = 0; depth < 300; depth++) {
    const array = protobuf.Writer.create().uint32(10).bytes(bytes).finish()
    bytes = Buffer.from(protobuf.Writer.create().uint32(42).bytes(array).finish())
  }
  const wrap = (field: number, inner: Uint8Array) =>
    protobuf.Writer.create()
      .uint32((field << 3) | 2)
      .bytes(inner)
      .finish()
  const attribute = wrap(9, wrap(2, bytes))
  assert.throws(
    () => decodeProtobufTraces(Buffer.from(wrap(1, wrap(2, wrap(2, attribute))))),
    /nested deeper/,
  )
})

const emptySpan: JsonSpan = {
  traceId: '',
  spanId: '',
  parentSpanId: '',
  name: '',
  startTimeUnixNano: '0',
  endTimeUnixNano: '0',
  attributes: [],
  events: [],
  status: { code: 0, message: '' },
}

const classified: readonly [Record<string, string>, string | undefined][] = [
  [{ 'gen_ai.operation.name': 'chat' }, '$ai_generation'],
  [{ 'gen_ai.operation.name': 'embeddings' }, '$ai_embedding'],
  [{ 'gen_ai.operation.name': 'execute_tool' }, '$ai_span'],
  [{ 'gen_ai.request.model': 'm' }, '$ai_span'],
  [{ 'ai.operationId': 'ai.streamText.doStream' }, '$ai_generation'],
  [{ 'ai.operationId': 'ai.embedMany.doEmbed' }, '$ai_embedding'],
  [{ 'ai.operationId': 'ai.toolCall', 'gen_ai.operation.name': 'chat' }, '$ai_span'],
  [{ 'ai.usage.x': '1', 'gen_ai.operation.name': 'chat' }, '$ai_generation'],
  [{ 'llm.request.type': 'completion' }, '$ai_generation'],
  [{ 'traceloop.workflow.name': 'w' }, '$ai_span'],
  [{ 'pydantic_ai.agent': 'a' }, '$ai_span'],
  [{ 'eve.session.id': 's' }, '$ai_span'],
  [{ 'http.request.method': 'POST' }, undefined],
  [{}, undefined],
]
for (const [attributes, expected] of classified)
  test(`a span with ${JSON.stringify(attributes)} is ${expected ?? 'not about AI'}`, () => {
    assert.equal(classifySpan(new Map(Object.entries(attributes))), expected)
  })

function span(changes: Partial<OtlpSpan>): OtlpTraces {
  const whole: OtlpSpan = {
    traceId: '0102030405060708090a0b0c0d0e0f10',
    spanId: '0102030405060708',
    parentSpanId: '',
    name: 'chat gpt',
    startNanos: 1_704_067_200_000_000_000n,
    endNanos: 1_704_067_201_500_000_000n,
    attributes: new Map(),
    events: [],
    isError: false,
    statusMessage: '',
    ...changes,
  }
  const resource = new Map<string, unknown>([
    ['service.name', 'svc'],
    ['host.name', 'h'],
    ['telemetry.sdk.name', 'otel'],
  ])
  return [{ attributes: resource, scopes: [{ version: '6.7.1', spans: [whole] }] }]
}

test('a generation has the properties that PostHog knows', () => {
  const attributes = new Map<string, unknown>([
    ['gen_ai.operation.name', 'chat'],
    ['gen_ai.request.model', 'gpt-4'],
    ['gen_ai.response.model', 'gpt-4-0613'],
    ['gen_ai.system', 'openai'],
    ['gen_ai.usage.input_tokens', 12],
    ['gen_ai.usage.completion_tokens', 34],
    ['gen_ai.input.messages', '[{"role":"user","content":"hi"}]'],
    ['gen_ai.output.messages', 'not json'],
    ['gen_ai.system_instructions', '[{"type":"text","content":"be kind"},{"type":"image"}]'],
    ['gen_ai.conversation.id', 'c1'],
    ['user.id', 'user-7'],
    ['custom', true],
  ])
  const { events, shed } = expandSpans(span({ attributes, parentSpanId: 'aa' }), limits, 'fallback')
  assert.equal(shed, 0)
  assert.deepEqual(events, [
    {
      event: '$ai_generation',
      distinctId: 'user-7',
      timestampMs: 1_704_067_200_000,
      properties: {
        'service.name': 'svc',
        'gen_ai.conversation.id': 'c1',
        custom: true,
        $geoip_disable: true,
        $ai_trace_id: '0102030405060708090a0b0c0d0e0f10',
        $ai_span_id: '0102030405060708',
        $ai_parent_id: 'aa',
        $ai_ingestion_source: 'otel',
        $lib: 'posthog-otel',
        $lib_version: '6.7.1',
        $ai_span_name: 'chat gpt',
        $ai_latency: 1.5,
        $ai_input: [
          { role: 'system', content: 'be kind' },
          { role: 'user', content: 'hi' },
        ],
        $ai_output_choices: 'not json',
        $ai_input_tokens: 12,
        $ai_output_tokens: 34,
        $ai_model: 'gpt-4-0613',
        $ai_provider: 'openai',
        $ai_session_id: 'c1',
      },
    },
  ])
})

test('the older conventions write messages as events', () => {
  const entries = [
    { 'event.name': 'gen_ai.choice', message: { role: 'assistant', content: 'hello' } },
    { 'event.name': 'gen_ai.user.message', content: 'second', 'gen_ai.message.index': 1 },
    { 'event.name': 'gen_ai.system.message', content: 'first', 'gen_ai.message.index': 0 },
    'junk',
  ]
  const attributes = new Map<string, unknown>([
    ['gen_ai.operation.name', 'chat'],
    ['events', JSON.stringify(entries)],
  ])
  const [event] = expandSpans(span({ attributes }), limits, 'f').events
  assert.deepEqual(event?.properties.$ai_input, [
    { role: 'system', content: 'first' },
    { role: 'user', content: 'second' },
  ])
  assert.deepEqual(event?.properties.$ai_output_choices, [{ role: 'assistant', content: 'hello' }])
  assert.ok(!Object.hasOwn(event?.properties ?? {}, 'events'))
})

test('a conversation nested without end stays text', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const attributes = new Map<string, unknown>([
    ['gen_ai.input.messages', deep],
    ['events', deep],
    ['gen_ai.system_instructions', deep],
  ])
  const [event] = expandSpans(span({ attributes }), limits, 'f').events
  assert.equal(event?.properties.$ai_input, deep)
  assert.ok(JSON.stringify(event).length > 0)
})

test('a root span without a better name is a trace, and a failed one says why', () => {
  const exception = new Map<string, unknown>([
    ['exception.type', 'RateLimitError'],
    ['exception.message', 'Provider failed with HTTP 429'],
  ])
  const attributes = new Map<string, unknown>([['gen_ai.agent.name', 'a']])
  const traces = span({
    attributes,
    isError: true,
    statusMessage: 'x',
    events: [{ name: 'exception', attributes: exception }],
  })
  const [event] = expandSpans(traces, limits, 'f').events
  assert.equal(event?.event, '$ai_trace')
  assert.deepEqual(
    [event?.properties.$ai_is_error, event?.properties.$ai_error, event?.properties.$ai_http_status],
    [true, 'RateLimitError: Provider failed with HTTP 429', 429],
  )
})

test('spans over a limit are shed', () => {
  const one = span({ attributes: new Map([['gen_ai.x', 1]]) })
  const other = span({ attributes: new Map([['http.x', 1]]) })
  assert.deepEqual(expandSpans([...one, ...one, ...one], { spansMax: 10, aiSpansMax: 2 }, 'f').shed, 1)
  const cut = expandSpans([...other, ...one, ...one, ...one], { spansMax: 2, aiSpansMax: 10 }, 'f')
  assert.deepEqual([cut.events.length, cut.shed], [1, 2])
})

test('whose span it is: its own attributes, its resource, its session, its trace, and only then the request', () => {
  const id = (attributes: Record<string, unknown>, resource: Record<string, unknown> = {}, traceId = '01') =>
    spanDistinctId(
      { attributes: new Map(Object.entries(attributes)), traceId },
      new Map(Object.entries(resource)),
      'fallback',
    )
  assert.equal(id({ 'user.id': 'u', 'posthog.distinct_id': 'p' }, { 'user.id': 'r' }), 'p')
  assert.equal(id({ 'user.id': '' }, { 'user.id': 'r' }), 'r')
  assert.equal(id({ 'user.id': 42 }, {}, '00'), 'fallback')
  assert.equal(
    id({ 'gen_ai.conversation.id': 'c' }, {}, '01'),
    id({}, { 'gen_ai.conversation.id': 'c' }, '02'),
  )
  assert.notEqual(id({}, {}, '01'), id({}, {}, '02'))
})

test('the answer tells how many spans were rejected, in the format of the request', () => {
  assert.equal(encodeExportResponse('json', { spans: 0, message: '' }).toString(), '{}')
  assert.equal(encodeExportResponse('protobuf', { spans: 0, message: '' }).length, 0)
  assert.deepEqual(JSON.parse(encodeExportResponse('json', { spans: 3, message: 'm' }).toString()), {
    partialSuccess: { rejectedSpans: '3', errorMessage: 'm' },
  })
  const reader = protobuf.Reader.create(encodeExportResponse('protobuf', { spans: 3, message: 'm' }))
  assert.deepEqual(
    [
      reader.uint32(),
      reader.uint32(),
      reader.uint32(),
      Number(reader.int64()),
      reader.uint32(),
      reader.string(),
    ],
    [10, 5, 8, 3, 18, 'm'],
  )
})
