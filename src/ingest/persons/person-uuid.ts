import { hash } from 'node:crypto'

/** The namespace of PostHog's person ids: fixed for good, or old events would lose their person. */
const namespace = Buffer.from('932979b465c3442484670b66ec27bc22', 'hex')

/**
 * The id that a person gets who is first seen under this distinct id: a version 5 UUID of
 * `<team>:<distinct id>`. Being computed, it is the same for events without a profile and for the profile
 * made from them later.
 */
export function personUuid(teamId: number, distinctId: string): string {
  const digest = hash('sha1', Buffer.concat([namespace, Buffer.from(`${teamId}:${distinctId}`)]), 'hex')
  const version = `5${digest.slice(13, 16)}`
  const variant = ((Number.parseInt(digest.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-${version}-${variant}${digest.slice(18, 20)}-${digest.slice(20, 32)}`
}
