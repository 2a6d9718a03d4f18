/**
 * The person properties that have a rule of their own, by PostHog's lists.
 *
 * `isNoisyKey`: they change with every page or device. A change of nothing else does not make an existing
 * person be written again; the event still carries the values. `isProtectedKey`: kept when a person has
 * grown too large and is cut down.
 */
/** The page and the device that an event came from. */
export const deviceKeys: readonly string[] = [
  '$app_build',
  '$app_name',
  '$app_namespace',
  '$app_version',
  '$browser',
  '$browser_version',
  '$device_type',
  '$current_url',
  '$pathname',
  '$os',
  '$os_name',
  '$os_version',
  '$referring_domain',
  '$referrer',
  '$screen_height',
  '$screen_width',
  '$viewport_height',
  '$viewport_width',
  '$raw_user_agent',
]
/** The advertisement that led here. */
export const campaignKeys: readonly string[] =
  'utm_source utm_medium utm_campaign utm_content utm_name utm_term gclid gad_source gclsrc dclid gbraid wbraid fbclid msclkid twclid li_fat_id mc_cid igshid ttclid rdt_cid irclid _kx epik qclid sccid'.split(
    ' ',
  )
const initial =
  '$initial_referrer $initial_referring_domain $initial_utm_source $initial_utm_medium $initial_utm_campaign $initial_utm_content $initial_utm_term'.split(
    ' ',
  )
const session = ['$session_id', '$window_id', '$pageview_id', '$host']
const identity = ['$user_id', '$device_id', '$anon_distinct_id']

const protectedKeys: ReadonlySet<string> = new Set([
  'email',
  'name',
  '$creator_event_uuid',
  ...deviceKeys,
  ...campaignKeys,
  ...initial,
  ...session,
  ...identity,
])

const noisyKeys: ReadonlySet<string> = new Set([
  ...deviceKeys.filter((key) => !key.startsWith('$app_')),
  '$geoip_postal_code',
  '$geoip_time_zone',
  '$geoip_latitude',
  '$geoip_longitude',
  '$geoip_accuracy_radius',
  '$geoip_subdivision_1_code',
  '$geoip_subdivision_1_name',
  '$geoip_subdivision_2_code',
  '$geoip_subdivision_2_name',
  '$geoip_subdivision_3_code',
  '$geoip_subdivision_3_name',
  '$geoip_city_confidence',
  '$geoip_country_confidence',
  '$geoip_postal_code_confidence',
  '$geoip_subdivision_1_confidence',
  '$geoip_subdivision_2_confidence',
])

export function isNoisyKey(key: string): boolean {
  return noisyKeys.has(key)
}

export function isProtectedKey(key: string): boolean {
  return protectedKeys.has(key)
}
