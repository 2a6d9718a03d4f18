/** Which events are AI events: they take a lane of their own through the log. */
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { CapturedEvent, CapturedKind } from '../captured-event.ts'

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

/** One other event refuses the request: this lane's restrictions do not know it. Fails with `EVENT_INVALID`. */
export function refuseOtherEvents(events: readonly CapturedEvent[]): void {
  const other = events.find(({ kind }) => kind !== 'ai')
  if (other !== undefined)
    throw new RowmillError(
      'EVENT_INVALID',
      `the AI lane takes AI events only, not '${other.event.slice(0, 200)}'`,
    )
}
