import { type Geoip, locateEvent } from '../geoip.ts'
import { applyPersonFlag } from '../normalize/person-flag.ts'
import { liftPersonProperties } from '../normalize/person-properties.ts'
import { eachEvent, type Step, warn } from '../work.ts'

/** Adds where the event's address is, if a database is configured. Before the person's properties are made final. */
export function createLocateStep(geoip: Geoip): Step {
  return eachEvent('locate', (_work, event) => {
    locateEvent(event.properties, geoip)
  })
}

/**
 * What the event says of its person, last of all changes to its properties; the time; the address, where the
 * project keeps none. No exit.
 */
export function createNormalizeStep(now: () => number): Step {
  return eachEvent('normalize', (work, event) => {
    const { properties } = event
    liftPersonProperties(properties)
    applyPersonFlag(properties, event.event, event.processing === 'on')
    if (event.team.isIpAnonymized) delete properties.$ip
    if (event.timestampMs !== undefined) return
    event.timeMs = now()
    const details = {
      eventUuid: event.uuid,
      field: 'timestamp',
      reason: 'missing, unreadable, or out of bounds',
    }
    warn(work, event, { type: 'ignored_invalid_timestamp', details })
  })
}
