/**
 * Event restrictions: what the operator has decided about events of a token. One cache key per type,
 * `event_ingestion_restriction_dynamic_config:<type>`, holds a JSON array of entries as PostHog's Django
 * writes them. An entry counts in version 2 and for the pipelines it names. Its filters must all match; a
 * filter matches if it names the event's value, an empty one matches everything. When nothing could be read
 * for longer than `failOpenAfterSeconds`, no restriction holds.
 */
import { z } from 'zod'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'

export const restrictionTypes = [
  'drop_event_from_ingestion',
  'force_overflow_from_ingestion',
  'redirect_to_dlq',
  'skip_person_processing',
  'redirect_to_topic',
] as const
export type RestrictionType = (typeof restrictionTypes)[number]
export type RestrictionPipeline = 'analytics' | 'session_recordings' | 'ai' | 'errortracking'

/** What the restrictions that match an event ask for together. */
export type AppliedRestrictions = {
  drops: boolean
  forcesOverflow: boolean
  redirectsToDeadLetters: boolean
  skipsPersonProcessing: boolean
  topic: string | undefined
}

export type RestrictedEvent = {
  token: string
  distinctId: string
  sessionId: string | null
  event: string
  uuid: string
}

const entrySchema = z.object({
  version: z.number().nullish(),
  token: z.string(),
  pipelines: z.array(z.string()).default([]),
  distinct_ids: z.array(z.string()).default([]),
  session_ids: z.array(z.string()).default([]),
  event_names: z.array(z.string()).default([]),
  event_uuids: z.array(z.string()).default([]),
  args: z.unknown().optional(),
  index: z.number().nullish(),
})
export type RestrictionEntry = z.input<typeof entrySchema>

const argsSchema = z.object({ topic: z.string().min(1) })

type Rule = {
  type: RestrictionType
  pipelines: ReadonlySet<string>
  distinctIds: ReadonlySet<string>
  sessionIds: ReadonlySet<string>
  eventNames: ReadonlySet<string>
  eventUuids: ReadonlySet<string>
  topic: string | undefined
}
/** Rules by token, in the order in which they apply. */
export type RestrictionRules = ReadonlyMap<string, readonly Rule[]>

export function restrictionKey(type: RestrictionType): string {
  return `event_ingestion_restriction_dynamic_config:${type}`
}

/**
 * Rules from the cached JSON texts by type. Entries of another version, and redirections to a topic that is
 * missing or not known, are left out. Throws `SyntaxError` or `ZodError` on text that is no list of entries.
 */
export function parseRestrictions(
  texts: Readonly<Partial<Record<RestrictionType, string>>>,
  isKnownTopic: (topic: string) => boolean,
): RestrictionRules {
  const rules = new Map<string, Rule[]>()
  for (const type of restrictionTypes) {
    const text = texts[type]
    if (text === undefined) continue
    const parsed: unknown = JSON.parse(text)
    const entries = z.array(entrySchema).parse(parsed)
    entries.sort((a, b) => (a.index ?? 0) - (b.index ?? 0))
    for (const entry of entries) {
      const args = argsSchema.safeParse(entry.args)
      const topic = type === 'redirect_to_topic' && args.success ? args.data.topic : undefined
      if (entry.version !== 2) continue
      if (type === 'redirect_to_topic' && (topic === undefined || !isKnownTopic(topic))) continue
      const ofToken = rules.get(entry.token) ?? []
      rules.set(entry.token, ofToken)
      ofToken.push({
        type,
        pipelines: new Set(entry.pipelines),
        distinctIds: new Set(entry.distinct_ids),
        sessionIds: new Set(entry.session_ids),
        eventNames: new Set(entry.event_names),
        eventUuids: new Set(entry.event_uuids),
        topic,
      })
    }
  }
  return rules
}

/** `undefined` when no rule matches. Of several redirections the last one in index order wins. */
export function matchRestrictions(
  rules: RestrictionRules,
  event: RestrictedEvent,
  pipeline: RestrictionPipeline,
): AppliedRestrictions | undefined {
  const matching = rules.get(event.token)?.filter((rule) => isMatch(rule, event, pipeline)) ?? []
  if (matching.length === 0) return undefined
  const has = (type: RestrictionType) => matching.some((rule) => rule.type === type)
  return {
    drops: has('drop_event_from_ingestion'),
    forcesOverflow: has('force_overflow_from_ingestion'),
    redirectsToDeadLetters: has('redirect_to_dlq'),
    skipsPersonProcessing: has('skip_person_processing'),
    topic: matching.findLast((rule) => rule.topic !== undefined)?.topic,
  }
}

function isMatch(rule: Rule, event: RestrictedEvent, pipeline: RestrictionPipeline): boolean {
  return (
    rule.pipelines.has(pipeline) &&
    allows(rule.distinctIds, event.distinctId) &&
    allows(rule.sessionIds, event.sessionId) &&
    allows(rule.eventNames, event.event) &&
    allows(rule.eventUuids, event.uuid)
  )
}

function allows(filter: ReadonlySet<string>, value: string | null): boolean {
  return filter.size === 0 || (value !== null && filter.has(value))
}

export interface Restrictions {
  match(event: RestrictedEvent, pipeline: RestrictionPipeline): AppliedRestrictions | undefined
  /** Whether nothing could be read for too long. */
  isStale(): boolean
  /** Fails with `CACHE_UNAVAILABLE`, or with `CONFIG_INVALID` when the cache holds something else. */
  refresh(): Promise<void>
}

export function createRestrictions(
  deps: { cache: Cache; clock: Clock },
  options: { failOpenAfterMs: number; isKnownTopic: (topic: string) => boolean },
): Restrictions {
  let rules: RestrictionRules = new Map()
  let readAtMs: number | undefined
  const isStale = () => readAtMs === undefined || deps.clock.monotonic() - readAtMs > options.failOpenAfterMs
  return {
    match(event, pipeline) {
      return rules.size === 0 || isStale() ? undefined : matchRestrictions(rules, event, pipeline)
    },
    isStale,
    async refresh() {
      const values = await deps.cache.getMany(restrictionTypes.map(restrictionKey))
      const texts: Partial<Record<RestrictionType, string>> = {}
      restrictionTypes.forEach((type, index) => {
        const text = values[index]
        if (text !== undefined) texts[type] = text
      })
      try {
        rules = parseRestrictions(texts, options.isKnownTopic)
      } catch (cause) {
        throw new RowmillError(
          'CONFIG_INVALID',
          'The event restrictions in the cache are no list of entries.',
          { cause },
        )
      }
      readAtMs = deps.clock.monotonic()
    },
  }
}
