/**
 * A destination is checked before anything is sent: its URL, its name, and every address that the name has now.
 * The connection is made to one of these addresses and to no other, so a name that points elsewhere a moment
 * later leads nowhere.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { RowmillError } from '../../errors/rowmill-error.ts'
import type { AddressPolicy } from './addresses.ts'
import type { OutboundConfig } from './config.ts'

export type ResolvedAddress = { address: string; family: number }
/** All addresses of a name, as this machine resolves it. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>

export type Destination = { url: URL; addresses: readonly ResolvedAddress[] }

const urlCharsMax = 16_384

export const resolveByMachine: Resolve = (host) => lookup(host, { all: true, verbatim: true })

/** Throws `OUTBOUND_REFUSED`, and `OUTBOUND_FAILED` for a name without addresses. */
export async function checkDestination(
  text: string,
  options: { config: OutboundConfig; policy: AddressPolicy; resolve: Resolve; base?: URL | undefined },
): Promise<Destination> {
  const { config, policy, resolve, base } = options
  const url = text.length <= urlCharsMax ? URL.parse(text, base?.href) : null
  if (url === null) throw refusal('The URL of an outbound request cannot be read.')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refusal(`An outbound request goes by http or https, not by ${url.protocol.slice(0, 20)}`)
  if (url.username !== '' || url.password !== '')
    throw refusal('The URL of an outbound request may have no user and password.')
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (!isHostAllowed(host, config.hostsAllowed))
    throw refusal(`${host} is not among the hosts that outbound requests may go to.`)
  const port = Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port)
  if (config.portsAllowed.length > 0 && !config.portsAllowed.includes(port))
    throw refusal(`${port} is not among the ports that outbound requests may go to.`)
  const addresses =
    isIP(host) === 0 ? await resolveHost(host, resolve) : [{ address: host, family: isIP(host) }]
  if (!addresses.every(({ address }) => policy.isAllowed(address)))
    throw refusal(`${host} is at an address that outbound requests may not go to.`)
  return { url, addresses }
}

async function resolveHost(host: string, resolve: Resolve): Promise<readonly ResolvedAddress[]> {
  let addresses: readonly ResolvedAddress[]
  try {
    addresses = await resolve(host)
  } catch (cause) {
    throw new RowmillError('OUTBOUND_FAILED', `${host} cannot be resolved.`, { cause })
  }
  if (addresses.length === 0) throw new RowmillError('OUTBOUND_FAILED', `${host} has no address.`)
  return addresses
}

function isHostAllowed(host: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true
  return allowed.some((pattern) => {
    const name = pattern.toLowerCase()
    return name.startsWith('*.')
      ? host.endsWith(name.slice(1)) && host.length > name.length - 1
      : host === name
  })
}

export function refusal(message: string, cause?: unknown): RowmillError {
  return new RowmillError('OUTBOUND_REFUSED', message, { cause })
}
