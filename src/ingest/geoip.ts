import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { LRUCache } from 'lru-cache'
import { type CityResponse, Reader } from 'maxmind'
import { RowmillError } from '../errors/rowmill-error.ts'
import type { GeoipConfig } from './config.ts'
import type { Properties } from './incoming-event.ts'
import { objectAt } from './normalize/person-properties.ts'

/**
 * Where an address is, from a city database in MaxMind's format that the operator provides. Names and rules
 * of the properties are those of PostHog's GeoIP transformation, without its stand-in for local addresses.
 */
export interface Geoip {
  /** Undefined for what is no address, or one that the database does not know. */
  locate(ip: string): Location | undefined
}
export type Location = Readonly<Record<string, string | number>>

/** All that is put on a person, null where this address says nothing, so that no part of an older place stays. */
const personKeys = [
  'city_name',
  'city_confidence',
  'subdivision_2_name',
  'subdivision_2_code',
  'subdivision_1_name',
  'subdivision_1_code',
  'country_name',
  'country_code',
  'continent_name',
  'continent_code',
  'postal_code',
  'latitude',
  'longitude',
  'accuracy_radius',
  'time_zone',
] as const

/** Reads the whole file into memory. Fails with `CONFIG_INVALID`. Undefined if none is configured. */
export async function openGeoip(config: GeoipConfig): Promise<Geoip | undefined> {
  const { file } = config
  if (file === undefined) return undefined
  try {
    return createGeoip(await readFile(file), config)
  } catch (error) {
    const message = `The GeoIP database ${file} cannot be read; set ingest.geoip.file (ROWMILL_INGEST_GEOIP_FILE) to an .mmdb file, or unset it.`
    throw new RowmillError('CONFIG_INVALID', message, { cause: error })
  }
}

export function createGeoip(database: Buffer, config: Pick<GeoipConfig, 'cacheMax'>): Geoip {
  const reader = new Reader<CityResponse>(database, {
    cache: new LRUCache<string | number, object>({ max: config.cacheMax }),
  })
  return {
    locate(ip) {
      const found = isIP(ip) === 0 ? null : reader.get(ip)
      return found === null ? undefined : toLocation(found)
    },
  }
}

/** Puts `$geoip_…` on the event and its person, in place. `$geoip_disable` and a missing `$ip` leave it as it is. */
export function locateEvent(properties: Properties, geoip: Geoip): void {
  const { $ip: ip, $geoip_disable: isDisabled } = properties
  if (isDisabled || typeof ip !== 'string') return
  const location = geoip.locate(ip)
  if (location === undefined) return
  const set = objectAt(properties, '$set')
  const setOnce = objectAt(properties, '$set_once')
  for (const key of personKeys) {
    set[`$geoip_${key}`] = location[key] ?? null
    setOnce[`$initial_geoip_${key}`] = location[key] ?? null
  }
  for (const [key, value] of Object.entries(location)) {
    properties[`$geoip_${key}`] = value
    set[`$geoip_${key}`] = value
    setOnce[`$initial_geoip_${key}`] = value
  }
}

function toLocation(found: CityResponse): Location {
  const { city, country, continent, postal, location, subdivisions = [] } = found
  const entries: [string, string | number | undefined][] = [
    ['city_name', city?.names?.en],
    ['country_name', country?.names?.en],
    ['country_code', country?.iso_code],
    ['continent_name', continent?.names?.en],
    ['continent_code', continent?.code],
    ['postal_code', postal?.code],
    ['latitude', location?.latitude],
    ['longitude', location?.longitude],
    ['accuracy_radius', location?.accuracy_radius],
    ['time_zone', location?.time_zone],
  ]
  for (const [at, subdivision] of subdivisions.entries()) {
    entries.push([`subdivision_${at + 1}_code`, subdivision.iso_code])
    entries.push([`subdivision_${at + 1}_name`, subdivision.names?.en])
  }
  return Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))
}
