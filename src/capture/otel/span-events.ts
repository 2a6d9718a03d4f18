/**
 * Makes an event of each AI span: PostHog's names for what the GenAI conventions call otherwise. What has no
 * name there stays a property under its own.
 */
import { type AiSpanEvent, classifySpan } from './classify.ts'
import { spanDistinctId } from './identity.ts'
import { parseText, takeOlderEvents, takeSystemInstructions } from './messages.ts'
import type { OtlpAttributes, OtlpScope, OtlpSpan, OtlpTraces } from './otlp.ts'
import { describeError } from './span-error.ts'

export type SpanEvent = {
  event: AiSpanEvent | '$ai_trace'
  distinctId: string
  /** When the span began, ms since the epoch; `undefined` where it does not say. */
  timestampMs: number | undefined
  properties: Record<string, unknown>
}

export type Expanded = {
  events: SpanEvent[]
  /** AI spans beyond the limit, and spans that were not looked at. */
  shed: number
}

/** Attributes that every process has and that say nothing about AI. */
const noisyPrefixes = ['host.', 'process.', 'os.', 'telemetry.'] as const

const renamed: readonly (readonly [string, string])[] = [
  ['gen_ai.input.messages', '$ai_input'],
  ['gen_ai.output.messages', '$ai_output_choices'],
  ['gen_ai.usage.input_tokens', '$ai_input_tokens'],
  ['gen_ai.usage.output_tokens', '$ai_output_tokens'],
  ['gen_ai.usage.cache_read.input_tokens', '$ai_cache_read_input_tokens'],
  ['gen_ai.usage.cache_creation.input_tokens', '$ai_cache_creation_input_tokens'],
  ['gen_ai.response.model', '$ai_model'],
  ['gen_ai.provider.name', '$ai_provider'],
  ['server.address', '$ai_base_url'],
  ['telemetry.sdk.name', '$ai_lib'],
  ['telemetry.sdk.version', '$ai_lib_version'],
]

/** Older names, used where the newer one is missing. */
const fallbacks: readonly (readonly [string, string])[] = [
  ['gen_ai.system', '$ai_provider'],
  ['gen_ai.request.model', '$ai_model'],
  ['gen_ai.usage.prompt_tokens', '$ai_input_tokens'],
  ['gen_ai.usage.completion_tokens', '$ai_output_tokens'],
]

const stripped = [
  'telemetry.sdk.language',
  'gen_ai.operation.name',
  'posthog.ai.debug',
  'user.id',
  'posthog.distinct_id',
  'llm.request.type',
] as const

/** `fallbackDistinctId` is for spans that name nobody and belong to no trace. */
export function expandSpans(
  traces: OtlpTraces,
  limits: { spansMax: number; aiSpansMax: number },
  fallbackDistinctId: string,
): Expanded {
  const expanded: Expanded = { events: [], shed: 0 }
  let looked = 0
  for (const resource of traces)
    for (const scope of resource.scopes)
      for (const span of scope.spans) {
        looked += 1
        const kind = looked > limits.spansMax ? undefined : classifySpan(span.attributes)
        if (looked > limits.spansMax) expanded.shed += 1
        if (kind === undefined) continue
        if (expanded.events.length >= limits.aiSpansMax) expanded.shed += 1
        else
          expanded.events.push(
            spanEvent(span, kind, { scope, resource: resource.attributes, fallbackDistinctId }),
          )
      }
  return expanded
}

type Surroundings = { scope: OtlpScope; resource: OtlpAttributes; fallbackDistinctId: string }

function spanEvent(span: OtlpSpan, kind: AiSpanEvent, around: Surroundings): SpanEvent {
  const properties = new Map<string, unknown>()
  for (const [key, value] of around.resource)
    if (!noisyPrefixes.some((prefix) => key.startsWith(prefix))) properties.set(key, value)
  for (const [key, value] of span.attributes) properties.set(key, value)
  setDefaults(span, around.scope, properties)
  describeError(span, properties)
  rename(properties)
  takeOlderEvents(properties)
  takeSystemInstructions(properties)
  for (const key of stripped) properties.delete(key)
  const conversation = properties.get('gen_ai.conversation.id')
  if (!properties.has('$ai_session_id') && typeof conversation === 'string' && conversation !== '')
    properties.set('$ai_session_id', conversation)
  return {
    event: kind === '$ai_span' && span.parentSpanId === '' ? '$ai_trace' : kind,
    distinctId: spanDistinctId(span, around.resource, around.fallbackDistinctId),
    timestampMs: span.startNanos === 0n ? undefined : Number(span.startNanos / 1_000_000n),
    properties: Object.fromEntries(properties),
  }
}

function setDefaults(span: OtlpSpan, scope: OtlpScope, properties: Map<string, unknown>): void {
  // The address is the exporter's, not the user's, so that it would place everybody in one data centre.
  const geoipDisable = properties.get('posthog.geoip_disable') ?? true
  properties.delete('posthog.geoip_disable')
  if (!properties.has('$geoip_disable')) properties.set('$geoip_disable', geoipDisable)
  properties.set('$ai_trace_id', span.traceId)
  properties.set('$ai_span_id', span.spanId)
  if (span.parentSpanId !== '') properties.set('$ai_parent_id', span.parentSpanId)
  properties.set('$ai_ingestion_source', 'otel')
  if (!properties.has('$lib')) properties.set('$lib', 'posthog-otel')
  if (scope.version !== '' && !properties.has('$lib_version')) properties.set('$lib_version', scope.version)
  if (span.name !== '') properties.set('$ai_span_name', span.name)
  if (span.endNanos > span.startNanos)
    properties.set('$ai_latency', Number(span.endNanos - span.startNanos) / 1e9)
}

function rename(properties: Map<string, unknown>): void {
  for (const [from, to] of renamed) {
    const value = properties.get(from)
    if (value === undefined) continue
    const isConversation = to === '$ai_input' || to === '$ai_output_choices'
    properties.set(to, isConversation ? (parseText(value) ?? value) : value)
    properties.delete(from)
  }
  for (const [from, to] of fallbacks) {
    const value = properties.get(from)
    if (value !== undefined && !properties.has(to)) properties.set(to, value)
    properties.delete(from)
  }
}
