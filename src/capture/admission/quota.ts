/**
 * Quotas as PostHog's capture applies them. Each resource has a sorted set in the cache whose members are
 * tokens over their quota. Events of a scoped resource (exceptions, surveys, AI) fall under that resource
 * alone; all others fall under the resource of the route: `events` or `recordings`. An event of a scoped
 * resource that is not over its quota therefore survives when `events` is. AI events that the gateway has signed
 * are billed there and count for no quota.
 */
import { type CapturedEvent, dataText } from '../captured-event.ts'
import type { LimitedSets } from './limited-sets.ts'

export const quotaResources = ['events', 'exceptions', 'recordings', 'surveys', 'llm_events'] as const
export type QuotaResource = (typeof quotaResources)[number]

const surveyEvents: ReadonlySet<string> = new Set(['survey sent', 'survey shown', 'survey dismissed'])

/** The cache key of a resource's sorted set. */
export function quotaKey(prefix: string, resource: QuotaResource): string {
  return `${prefix}@posthog/quota-limits/${resource}`
}

/** The same of tokens over their quota that are spared for a while: nothing is dropped, what passes is counted. */
export function suspendedKey(prefix: string, resource: QuotaResource): string {
  return `${prefix}@posthog/quota-limiting-suspended/${resource}`
}

/** The resource whose grace period lets the event pass, if one does: its own first, then that of the route. */
export function graceResource(
  event: Pick<CapturedEvent, 'event' | 'token' | 'data'>,
  global: 'events' | 'recordings',
  suspended: LimitedSets<QuotaResource>,
): QuotaResource | undefined {
  const scoped = scopedResource(event)
  if (scoped !== undefined && suspended.has(scoped, event.token)) return scoped
  return suspended.has(global, event.token) ? global : undefined
}

/** The resource that takes the event away, if one does. */
export function exceededQuota(
  event: Pick<CapturedEvent, 'event' | 'token' | 'data' | 'isGatewayVerified'>,
  global: 'events' | 'recordings',
  limits: LimitedSets<QuotaResource>,
): QuotaResource | undefined {
  const scoped = scopedResource(event)
  if (scoped === 'llm_events' && event.isGatewayVerified === true) return undefined
  if (scoped !== undefined) return limits.has(scoped, event.token) ? scoped : undefined
  return limits.has(global, event.token) ? global : undefined
}

function scopedResource(event: Pick<CapturedEvent, 'event' | 'data'>): QuotaResource | undefined {
  const name = event.event
  if (name === '$exception') return 'exceptions'
  if (name.startsWith('$ai_')) return 'llm_events'
  if (surveyEvents.has(name) && !hasProductTour(dataText(event.data))) return 'surveys'
  return undefined
}

/** Product tours send survey events that no survey quota counts. */
function hasProductTour(data: string): boolean {
  if (!data.includes('$product_tour_id')) return false
  const raw: unknown = JSON.parse(data)
  if (raw === null || typeof raw !== 'object' || !('properties' in raw)) return false
  const { properties } = raw
  return (
    properties !== null && typeof properties === 'object' && Object.hasOwn(properties, '$product_tour_id')
  )
}
