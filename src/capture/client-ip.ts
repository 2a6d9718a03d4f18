/**
 * The address that a request came from. Behind a proxy the connection's other end is the proxy, and the client
 * is the leftmost address of `X-Forwarded-For`, else `X-Real-IP`, as PostHog's capture takes it. Anybody can
 * send those headers, so they are believed only from peers that the operator trusts.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/** Whose forwarding headers are believed: nobody's, those of peers on this machine, or everybody's. */
export type TrustProxy = 'never' | 'loopback' | 'always'

export function clientIp(
  request: { headers: IncomingHttpHeaders; remoteAddress: string },
  trustProxy: TrustProxy,
): string {
  const peer = plainAddress(request.remoteAddress)
  const isTrusted = trustProxy === 'always' || (trustProxy === 'loopback' && isLoopback(peer))
  if (!isTrusted) return peer
  return leftmost(request.headers['x-forwarded-for']) ?? leftmost(request.headers['x-real-ip']) ?? peer
}

function leftmost(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  for (const part of String(header).split(',')) {
    const address = withoutPort(part.trim())
    if (isIP(address) !== 0) return plainAddress(address)
  }
  return undefined
}

/** `1.2.3.4:5678` and `[::1]:5678` as some proxies write them. */
function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)
  if (bracketed !== null) return bracketed[1] ?? text
  const v4 = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)
  return v4?.[1] ?? text
}

/** An IPv4 address that came over an IPv6 socket is told as IPv4. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
