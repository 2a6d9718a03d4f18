import { isIPv6 } from 'node:net'
import { getDomain } from 'tldts'

/**
 * The site that a host belongs to: its registrable domain, so that all of its subdomains give a visitor the
 * same id. An address is kept whole, a port is kept, localhost counts as 127.0.0.1. Text that is no host
 * comes back as it is. The rules are those of PostHog's cookieless mode: both must come to the same text.
 */
export function rootDomain(host: string): string {
  if (host === '') return host
  const text = isIPv6(host) ? `[${host}]` : host
  const withScheme = text.includes('://') ? text : `http://${text}`
  const url = URL.parse(withScheme)
  if (url === null) return withScheme
  const domain = getDomain(url.hostname) ?? url.hostname
  const known = domain === 'localhost' ? '127.0.0.1' : domain
  return url.port === '' ? known : `${known}:${url.port}`
}
