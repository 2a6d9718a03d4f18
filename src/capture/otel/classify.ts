/**
 * Which spans are about AI, and which event each becomes: PostHog's rules. A span belongs to the first kind
 * of instrumentation whose attributes it has; spans of no kind (HTTP, databases) are not taken.
 */
import type { OtlpAttributes } from './otlp.ts'

export type AiSpanEvent = '$ai_generation' | '$ai_embedding' | '$ai_span'

type Instrumentation = { prefixes: readonly string[]; classify: (attributes: OtlpAttributes) => AiSpanEvent }

const instrumentations: readonly Instrumentation[] = [
  { prefixes: ['ai.', 'eve.'], classify: classifyVercel },
  { prefixes: ['pydantic_ai.'], classify: () => '$ai_span' },
  {
    prefixes: ['traceloop.', 'llm.request.type'],
    classify: (attributes) => byRequestType(attributes) ?? '$ai_span',
  },
  { prefixes: ['gen_ai.'], classify: (attributes) => byOperation(attributes) ?? '$ai_span' },
]

/** `undefined` for a span that is not about AI. */
export function classifySpan(attributes: OtlpAttributes): AiSpanEvent | undefined {
  const keys = [...attributes.keys()]
  const found = instrumentations.find(({ prefixes }) =>
    keys.some((key) => prefixes.some((prefix) => key.startsWith(prefix))),
  )
  if (found === undefined) return undefined
  const event = found.classify(attributes)
  // A span that its own kind cannot name may still carry the request type of another.
  return event === '$ai_span' ? (byRequestType(attributes) ?? event) : event
}

/** The Vercel AI SDK names its operations, its version 7 as the common conventions do. */
function classifyVercel(attributes: OtlpAttributes): AiSpanEvent {
  const operation = attributes.get('ai.operationId')
  if (operation === undefined) return byOperation(attributes) ?? '$ai_span'
  if (typeof operation !== 'string') return '$ai_span'
  if (operation.endsWith('.doGenerate') || operation.endsWith('.doStream')) return '$ai_generation'
  return operation === 'ai.embed.doEmbed' || operation === 'ai.embedMany.doEmbed'
    ? '$ai_embedding'
    : '$ai_span'
}

function byOperation(attributes: OtlpAttributes): AiSpanEvent | undefined {
  const operation = attributes.get('gen_ai.operation.name')
  if (operation === 'chat') return '$ai_generation'
  return operation === 'embeddings' ? '$ai_embedding' : undefined
}

function byRequestType(attributes: OtlpAttributes): AiSpanEvent | undefined {
  const type = attributes.get('llm.request.type')
  if (type === 'chat' || type === 'completion') return '$ai_generation'
  return type === 'embedding' || type === 'embeddings' ? '$ai_embedding' : undefined
}
