/** A plugin's trial in a sandbox of its own, with this machine's limits, database of places and way out. */
import { createOutbound } from '../../http/outbound/outbound.ts'
import { type Location, openGeoip } from '../../ingest/geoip.ts'
import { runTrial, type TrialOptions, type TrialReport } from '../../plugins/plugins.ts'
import { openSandbox } from '../../sandbox/sandbox.ts'
import type { Config } from '../config/config.ts'
import { createGround } from '../ground.ts'

type TryOptions = Pick<TrialOptions, 'source' | 'events' | 'config' | 'attachments' | 'signal'> & {
  isFetchAllowed: boolean
}

/** Throws `SANDBOX_UNAVAILABLE`, `CONFIG_INVALID` and what `runTrial` throws. */
export async function tryPlugin(
  config: Pick<Config, 'sandbox' | 'outbound' | 'ingest' | 'logLevel'>,
  { isFetchAllowed, ...options }: TryOptions,
): Promise<TrialReport> {
  const ground = createGround(config, { isToStderr: true })
  await using stack = new AsyncDisposableStack()
  const geoip = await openGeoip(config.ingest.geoip)
  const outbound = isFetchAllowed
    ? stack.use(createOutbound({ ...ground, config: config.outbound }))
    : undefined
  const sandbox = stack.use(await openSandbox({ ...ground, config: config.sandbox }))
  const locate = geoip === undefined ? undefined : (ip: string) => placeOf(geoip.locate(ip))
  return await runTrial({ ...options, ...ground, sandbox, outbound, locate })
}

/** As MaxMind's city database has it, in English: what PostHog hands to plugins. */
function placeOf(location: Location | undefined) {
  if (location === undefined) return undefined
  const named = (name: string, more: object = {}) => {
    const en = location[`${name}_name`]
    return en === undefined ? undefined : { names: { en }, ...more }
  }
  const subdivisions = [1, 2].flatMap(
    (at) => named(`subdivision_${at}`, { iso_code: location[`subdivision_${at}_code`] }) ?? [],
  )
  const { latitude, longitude, accuracy_radius, time_zone, postal_code } = location
  return {
    city: named('city'),
    country: named('country', { iso_code: location.country_code }),
    continent: named('continent', { code: location.continent_code }),
    postal: postal_code === undefined ? undefined : { code: postal_code },
    location: { latitude, longitude, accuracy_radius, time_zone },
    ...(subdivisions.length === 0 ? {} : { subdivisions }),
  }
}
