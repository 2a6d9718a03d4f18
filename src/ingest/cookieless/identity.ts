import { siphash128 } from './siphash.ts'

/** What tells one visitor from another for a day, without anything being stored on their device. */
export type Visitor = {
  teamId: number
  ip: string
  rootDomain: string
  userAgent: string
  /** The site's own addition, `$cookieless_extra`. */
  extra: string
}

const extraLengthMax = 100

/**
 * The visitor's hash under the day's salt: 16 bytes in the order that PostHog has them, 32-bit words with the
 * last of the reference's order first. `identifies` tells one person on a device from the next.
 */
export function visitorHash(salt: Buffer, visitor: Visitor, identifies: number): Buffer {
  const { teamId, ip, rootDomain, userAgent, extra } = visitor
  const text = `${teamId}-${ip}-${rootDomain}-${userAgent}-${identifies}-${extra.slice(0, extraLengthMax)}`
  const hash = siphash128(salt, Buffer.from(text))
  return Buffer.concat([12, 8, 4, 0].map((at) => hash.subarray(at, at + 4)))
}

export function distinctIdOf(hash: Buffer): string {
  return `cookieless_${unpadded(hash)}`
}

export function deviceIdOf(baseHash: Buffer): string {
  return `cookielessd_${unpadded(baseHash)}`
}

/** The cache's set of `$identify` uuids seen from a device. */
export function identifiesKey(baseHash: Buffer, teamId: number): string {
  return `cklsi:${teamId}:${unpadded(baseHash)}`
}

/** The cache's state of a visitor's session. */
export function sessionKey(hash: Buffer, teamId: number): string {
  return `cklss:${teamId}:${unpadded(hash)}`
}

export function saltKey(day: string): string {
  return `cookieless_salt:${day}`
}

/** A version 7 UUID of this time whose 74 free bits come from ten bytes. */
export function sessionUuid(timestampMs: number, bytes: Buffer): string {
  const uuid = Buffer.alloc(16)
  uuid.writeUIntBE(Math.max(0, Math.floor(timestampMs)), 0, 6)
  bytes.copy(uuid, 6, 0, 10)
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x70
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  const hex = uuid.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export type Session = { id: string; lastActivityMs: number }

/** PostHog's 24 bytes, the id's 16 and the time as 64 bits little-endian, in base64 since a cache holds text. */
export function encodeSession(session: Session): string {
  const bytes = Buffer.alloc(24)
  bytes.write(session.id.replaceAll('-', ''), 0, 'hex')
  bytes.writeBigUInt64LE(BigInt(Math.max(0, Math.floor(session.lastActivityMs))), 16)
  return bytes.toString('base64')
}

/** Undefined for text that is no session. */
export function decodeSession(text: string): Session | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length !== 24) return undefined
  const hex = bytes.toString('hex', 0, 16)
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return { id, lastActivityMs: Number(bytes.readBigUInt64LE(16)) }
}

function unpadded(hash: Buffer): string {
  return hash.toString('base64').replace(/=+$/, '')
}
