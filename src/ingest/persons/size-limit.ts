import type { Properties } from '../entities/jsonb.ts'
import type { PersonState } from './person-state.ts'
import { isProtectedKey } from './property-keys.ts'

export type SizeLimits = { propertiesBytesMax: number; propertiesTrimBytes: number }

/** More bytes than this never come from one UTF-16 unit in UTF-8. */
const bytesPerUnitMax = 3

export function isTooLarge(properties: Properties, bytesMax: number): boolean {
  const text = JSON.stringify(properties)
  return text.length * bytesPerUnitMax > bytesMax && Buffer.byteLength(text) > bytesMax
}

/**
 * What is stored of a person whose properties are too large; undefined if they are not. An update that makes
 * a person too large is not taken over. A new person, one that was merged, and one that is stored too large
 * already are cut down instead, as far as its protected properties allow.
 */
export function fitProperties(
  person: PersonState,
  limits: SizeLimits,
): { properties: Properties; message: string } | undefined {
  if (!isTooLarge(person.properties, limits.propertiesBytesMax)) return undefined
  const { stored } = person
  const wasTooLarge = stored !== undefined && isTooLarge(stored.properties, limits.propertiesBytesMax)
  if (stored !== undefined && !wasTooLarge && !person.hasMerged) {
    const message = 'The update would make the properties of the person too large and was not taken over.'
    return { properties: stored.properties, message }
  }
  const whole = wasTooLarge && !person.hasMerged ? stored.properties : person.properties
  return {
    properties: trimProperties(whole, limits),
    message: 'The properties of the person are too large and were cut down.',
  }
}

/** Leaves out unprotected properties in the order of their keys, and protected ones only if that is not enough. */
function trimProperties(properties: Properties, limits: SizeLimits): Properties {
  const kept: Record<string, unknown> = { ...properties }
  let bytes = Buffer.byteLength(JSON.stringify(kept))
  const drop = (key: string) => {
    bytes -= Buffer.byteLength(`${JSON.stringify(key)}:${JSON.stringify(kept[key])},`)
    delete kept[key]
  }
  const keys = Object.keys(kept).sort()
  for (const key of keys) {
    if (bytes <= limits.propertiesTrimBytes) return kept
    if (!isProtectedKey(key)) drop(key)
  }
  for (const key of keys) {
    if (bytes <= limits.propertiesBytesMax) return kept
    if (isProtectedKey(key) && key !== '$creator_event_uuid') drop(key)
  }
  return kept
}
