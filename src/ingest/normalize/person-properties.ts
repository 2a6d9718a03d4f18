import { isRecord } from '../entities/jsonb.ts'
import type { Properties } from '../incoming-event.ts'
import { campaignKeys, deviceKeys } from '../persons/property-keys.ts'

/**
 * What an event tells of its person without saying so: the page, the device, the campaign. Each goes into
 * `$set`, unless the sender set it himself, and as `$initial_…` into `$set_once`. The list is PostHog's.
 */
export const personPropertiesFromEvents: readonly string[] = [...deviceKeys, ...campaignKeys]

const lifted = personPropertiesFromEvents.map((key) => ({
  key,
  initialKey: `$initial_${key.replace('$', '')}`,
}))

/** A server's own operating system says nothing of the person it speaks for. */
const ofServer: ReadonlySet<string> = new Set(['$os', '$os_version'])

/** Changes `properties` in place. Once per event, after everything that may still change its properties. */
export function liftPersonProperties(properties: Properties): void {
  const isServer = properties.$is_server === true
  if (properties.$os_name && !properties.$os && !isServer) properties.$os = properties.$os_name
  let set: Properties | undefined
  let setOnce: Properties = {}
  for (const { key, initialKey } of lifted) {
    const value = properties[key]
    if (value === undefined || (isServer && ofServer.has(key))) continue
    if (set === undefined) {
      set = objectAt(properties, '$set')
      setOnce = objectAt(properties, '$set_once')
    }
    if (!Object.hasOwn(set, key)) set[key] = value
    if (!Object.hasOwn(setOnce, initialKey)) setOnce[initialKey] = value
  }
}

/** The object under this key; whatever else stands there is replaced, since it could set nothing. */
export function objectAt(properties: Properties, key: '$set' | '$set_once'): Properties {
  const inner = properties[key]
  if (isRecord(inner)) return inner
  const fresh: Properties = {}
  properties[key] = fresh
  return fresh
}
