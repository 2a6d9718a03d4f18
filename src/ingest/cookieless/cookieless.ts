/**
 * Ids for visitors who let nothing be stored on their device.
 *
 * Such an event arrives with the sentinel for a distinct id. Its real id is a hash of what the server sees
 * anyway (address, browser, site) under a secret that changes with the visitor's calendar day. What was hashed
 * is then taken off the event. Algorithm, key names and limits are PostHog's; where PostHog's differ from
 * each other, `docs/internals/cookieless.md` says which was taken.
 *
 * - *Stateless*: the hash is the id, and a day is one session. `$identify` cannot be told apart: dropped.
 * - *Stateful*: the cache counts the identifications seen from a device, so that the next visitor after a
 *   logout is somebody else, and keeps sessions with their pauses.
 *
 * Everything depends on the cache. Without it all cookieless events are set aside, none is guessed.
 */
import { isRowmillError } from '../../errors/rowmill-error.ts'
import type { DropReason } from '../../event/drop.ts'
import type { Cache } from '../../ports/cache.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { CookielessConfig } from '../config.ts'
import { isRecord } from '../entities/jsonb.ts'
import type { IncomingEvent } from '../incoming-event.ts'
import type { WarningType } from '../warnings/register.ts'
import { endEvent, type Step, type Work, warn } from '../work.ts'
import { type Calendar, createCalendar } from './calendar.ts'
import { deviceIdOf, distinctIdOf, sessionUuid, type Visitor, visitorHash } from './identity.ts'
import { rootDomain } from './root-domain.ts'
import { createSalts, type Salts } from './salts.ts'
import { type HashedEvent, resolveStateful } from './stateful.ts'

export type CookielessPorts = { cache: Cache; clock: Clock; random: Random }

/**
 * Exits: drop `cookieless_disabled`, `cookieless_unsupported_event`, `cookieless_missing_property`,
 * `cookieless_timestamp_out_of_range`; dead letter `cookieless_unavailable`.
 */
export function createCookielessStep(ports: CookielessPorts, config: CookielessConfig): Step {
  const tools = { salts: createSalts(ports, config), calendar: createCalendar() }
  return {
    name: 'cookieless',
    async run(work) {
      const events = work.events.filter(isCookieless)
      if (events.length === 0) return
      try {
        const hashed = await hashEvents(work, tools, events)
        const isStateless = ({ event }: HashedEvent) => event.team.cookieless === 'stateless'
        for (const one of hashed.filter(isStateless)) resolveStateless(one, tools.calendar)
        await resolveStateful(
          hashed.filter((one) => !isStateless(one)),
          ports,
          config,
        )
        for (const { event } of hashed) stripVisitor(event)
      } catch (error) {
        if (!isRowmillError(error, 'CACHE_UNAVAILABLE')) throw error
        for (const event of events)
          if (work.outcomes[event.index] === undefined)
            endEvent(work, event, { kind: 'dead-letter', reason: 'cookieless_unavailable', error })
      }
    },
  }
}

function isCookieless(event: IncomingEvent): boolean {
  return Boolean(event.properties.$cookieless_mode)
}

async function hashEvents(
  work: Work,
  tools: { salts: Salts; calendar: Calendar },
  events: readonly IncomingEvent[],
): Promise<HashedEvent[]> {
  const hashed: HashedEvent[] = []
  for (const event of events) {
    const visitor = readVisitor(work, event)
    if (visitor === undefined) continue
    const day = tools.calendar.dayOf(event.timeMs, zonesOf(event))
    const salt = await tools.salts.saltOf(day)
    if (salt === undefined)
      refuse(work, event, {
        reason: 'cookieless_timestamp_out_of_range',
        warning: 'cookieless_timestamp_out_of_range',
        details: { day },
      })
    else hashed.push({ event, visitor, salt, baseHash: visitorHash(salt, visitor, 0) })
  }
  return hashed
}

/** Ends the event and answers undefined if it can have no visitor. */
function readVisitor(work: Work, event: IncomingEvent): Visitor | undefined {
  const { properties, team } = event
  const isMerge = event.event === '$create_alias' || event.event === '$merge_dangerously'
  if (isMerge || (event.event === '$identify' && team.cookieless === 'stateless')) {
    endEvent(work, event, {
      kind: 'drop',
      reason: 'cookieless_unsupported_event',
      details: { event: event.event },
    })
    return undefined
  }
  if (team.cookieless === 'disabled') {
    endEvent(work, event, { kind: 'drop', reason: 'cookieless_disabled' })
    return undefined
  }
  const missing = (property: string, warning: WarningType) =>
    refuse(work, event, {
      reason: 'cookieless_missing_property',
      warning,
      details: { missingProperty: property },
    })
  const { $raw_user_agent: userAgent, $ip: ip, $host: host, $cookieless_extra: extra } = properties
  if (event.timestampMs === undefined && event.capturedAtMs === undefined)
    return missing('timestamp', 'cookieless_missing_timestamp')
  if (!isText(userAgent)) return missing('$raw_user_agent', 'cookieless_missing_user_agent')
  if (!isText(ip)) return missing('$ip', 'cookieless_missing_ip')
  if (!isText(host)) return missing('$host', 'cookieless_missing_host')
  return { teamId: team.id, ip, rootDomain: rootDomain(host), userAgent, extra: isText(extra) ? extra : '' }
}

function refuse(
  work: Work,
  event: IncomingEvent,
  why: { reason: DropReason; warning: WarningType; details: Readonly<Record<string, unknown>> },
): undefined {
  const about = { eventUuid: event.uuid, event: event.event, distinctId: event.distinctId }
  warn(work, event, { type: why.warning, details: { ...about, ...why.details } })
  endEvent(work, event, { kind: 'drop', reason: why.reason, details: why.details })
}

function resolveStateless({ event, baseHash }: HashedEvent, calendar: Calendar): void {
  const distinctId = distinctIdOf(baseHash)
  const dayStartMs = calendar.startOfDay(event.timeMs, zonesOf(event))
  event.distinctId = distinctId
  event.properties.$distinct_id = distinctId
  event.properties.$device_id = deviceIdOf(baseHash)
  event.properties.$session_id = sessionUuid(dayStartMs, baseHash.subarray(0, 10))
}

/** What was hashed is not written anywhere. */
function stripVisitor({ properties }: IncomingEvent): void {
  delete properties.$ip
  delete properties.$raw_user_agent
  delete properties.$cookieless_extra
  if (isRecord(properties.$set)) delete properties.$set.$raw_user_agent
  if (isRecord(properties.$set_once)) delete properties.$set_once.$initial_raw_user_agent
}

function zonesOf(event: IncomingEvent): (string | undefined)[] {
  const zone = event.properties.$timezone
  return [typeof zone === 'string' ? zone : undefined, event.team.timezone]
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
