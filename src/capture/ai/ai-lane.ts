/** Which events are AI events: they take a lane of their own through the log. */
import type { CapturedKind } from '../captured-event.ts'

/** The names of PostHog's public API. */
export const aiEventNames: ReadonlySet<string> = new Set([
  '$ai_generation',
  '$ai_embedding',
  '$ai_span',
  '$ai_trace',
  '$ai_metric',
  '$ai_feedback',
  '$ai_evaluation',
  '$ai_tag',
  '$ai_trace_summary',
  '$ai_generation_summary',
  '$ai_trace_clusters',
  '$ai_generation_clusters',
])

export type AiLanePredicate = 'allowlist' | 'prefix'

export function isAiEvent(name: string, predicate: AiLanePredicate): boolean {
  if (!name.startsWith('$ai_')) return false
  return predicate === 'prefix' || aiEventNames.has(name)
}

/** The stream that an event belongs to, by its name alone. Replay has routes of its own. */
export function kindOfEvent(name: string, predicate: AiLanePredicate): Exclude<CapturedKind, 'replay'> {
  if (name === '$exception') return 'exception'
  if (name === '$$heatmap') return 'heatmap'
  if (name === '$$client_ingestion_warning') return 'client-warning'
  return isAiEvent(name, predicate) ? 'ai' : 'analytics'
}
