/**
 * The signature of PostHog's AI gateway: HMAC-SHA256 in hex over fields that each stand behind their length in
 * four bytes, most significant first, so that nothing a client chooses can move the border between two of them.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { parseRfc3339 } from '../v1/batch/rfc3339.ts'

export type GatewaySignature = {
  signature: string
  /** RFC 3339, as it was signed. */
  signedAt: string
  /** Empty where the header is missing. */
  requestId: string
}

/** A signature that is right and not fresh is stale: a clock goes wrong, or somebody sends it again. */
export type Provenance = 'verified' | 'stale' | 'invalid'

const freshMs = 5 * 60_000

/** Undefined where the request is not signed. */
export function readSignature(headers: IncomingHttpHeaders): GatewaySignature | undefined {
  const signature = headers['posthog-ai-gateway-signature']
  const signedAt = headers['posthog-ai-gateway-signed-at']
  const requestId = headers['posthog-ai-gateway-request-id']
  if (typeof signature !== 'string' || typeof signedAt !== 'string') return undefined
  return { signature, signedAt, requestId: typeof requestId === 'string' ? requestId : '' }
}

export function signFields(secret: string, fields: readonly string[]): string {
  return hmacOf(secret, fields).toString('hex')
}

export function verifySignature(
  secret: string,
  fields: readonly string[],
  given: GatewaySignature & { nowMs: number },
): Provenance {
  if (!/^[0-9a-f]{64}$/i.test(given.signature)) return 'invalid'
  if (!timingSafeEqual(Buffer.from(given.signature, 'hex'), hmacOf(secret, fields))) return 'invalid'
  const signedAtMs = parseRfc3339(given.signedAt)
  if (signedAtMs === undefined || Math.abs(given.nowMs - signedAtMs) > freshMs) return 'stale'
  return 'verified'
}

function hmacOf(secret: string, fields: readonly string[]): Buffer {
  const hmac = createHmac('sha256', secret)
  for (const field of fields) {
    const bytes = Buffer.from(field)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hmac.update(length).update(bytes)
  }
  return hmac.digest()
}
