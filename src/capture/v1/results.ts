/** The answer to a v1 batch: what became of each event, in the order in which they came. */
import type { Admitted } from '../admission/types.ts'

export type V1Result = { result: 'ok' | 'warning' | 'drop' | 'retry'; details?: string }

export type V1Outcome = 'all_ok' | 'all_drop' | 'all_retry' | 'partial_failure'

/** `results` by uuid. */
export function answerBody(results: ReadonlyMap<string, V1Result>): string {
  return JSON.stringify({ results: Object.fromEntries(results) })
}

/** An accepted event with a warning counts as ok: it is not to be sent again. */
export function outcomeOf(results: Iterable<V1Result>): V1Outcome {
  const kinds = new Set([...results].map(({ result }) => (result === 'warning' ? 'ok' : result)))
  if (kinds.size !== 1) return 'partial_failure'
  if (kinds.has('ok')) return 'all_ok'
  return kinds.has('drop') ? 'all_drop' : 'all_retry'
}

/** The names of scoped resources as PostHog's v1 tells them. */
const quotaDetails: Readonly<Record<string, string>> = {
  exceptions: 'exceptions_over_quota',
  surveys: 'survey_responses_over_quota',
  llm_events: 'llm_events_over_quota',
}

const dropDetails: Readonly<Record<string, string>> = {
  event_restriction: 'event_restriction_drop',
  ai_byte_limit: 'ai_byte_rate_limited',
  non_historical_import: 'non_historical_import_drop',
}

/** How a client is told of a drop by admission. */
export function dropDetail(dropped: Admitted['dropped'][number]): string {
  const { reason, details } = dropped
  if (reason === 'billing_limit_exceeded') return quotaDetails[String(details?.resource)] ?? reason
  return dropDetails[reason] ?? reason
}
