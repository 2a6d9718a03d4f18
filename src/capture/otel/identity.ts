/**
 * Whose span it is: named on the span, else on its resource. A span that names nobody gets an id made of its
 * session or its trace, so that what belongs together stays with one person whatever request it comes in.
 */
import { uuidV5 } from '../../std/uuid.ts'
import type { OtlpAttributes } from './otlp.ts'

const spanKeys = [
  'ai.telemetry.metadata.posthog_distinct_id',
  'ai.settings.context.posthog_distinct_id',
  'posthog.distinct_id',
  'user.id',
] as const
const resourceKeys = ['posthog.distinct_id', 'user.id'] as const
const sessionKeys = [
  '$ai_session_id',
  'ai.telemetry.metadata.$ai_session_id',
  'ai.settings.context.$ai_session_id',
  'eve.session.id',
  'anthropic.session.id',
  'gen_ai.conversation.id',
] as const

/** PostHog's namespace: the same session or trace gets the same id there and here. */
const derivedNamespace = '392e81d5-3d13-4a6f-b541-bdbf6c865e56'

/** `requestFallback` is for a span without session and trace. */
export function spanDistinctId(
  span: { attributes: OtlpAttributes; traceId: string },
  resource: OtlpAttributes,
  requestFallback: string,
): string {
  const named = firstText(span.attributes, spanKeys) ?? firstText(resource, resourceKeys)
  if (named !== undefined) return named
  for (const key of sessionKeys) {
    const session = firstText(span.attributes, [key]) ?? firstText(resource, [key])
    if (session !== undefined) return uuidV5(`session:${session}`, derivedNamespace)
  }
  return /[1-9a-f]/.test(span.traceId) ? uuidV5(`trace:${span.traceId}`, derivedNamespace) : requestFallback
}

function firstText(attributes: OtlpAttributes, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = attributes.get(key)
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}
