/**
 * The answers of the v0 routes, replay's among them: `{"status":1}`, errors as plain text sentences that SDKs
 * know, and CORS that lets every page send (what protects a project is its token, which is public).
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { RowmillError } from '../errors/rowmill-error.ts'
import { jsonResponse, textResponse } from '../http/respond.ts'
import type { RawResponse } from '../http/route.ts'
import { isTransient } from './sink.ts'

const success = '{"status":1}'

/** `quotaLimited` names what the SDK should stop sending; empty for none. */
export function successResponse(
  headers: IncomingHttpHeaders,
  options: { isBeacon?: boolean; quotaLimited?: readonly string[] } = {},
): RawResponse {
  const cors = corsHeaders(headers)
  if (options.isBeacon === true) return { status: 204, headers: cors }
  const limited = options.quotaLimited ?? []
  const body = limited.length === 0 ? success : `{"status":1,"quota_limited":${JSON.stringify(limited)}}`
  return jsonResponse(200, body, cors)
}

/** What `OPTIONS` answers. */
export function preflightResponse(headers: IncomingHttpHeaders): RawResponse {
  const asked = headers['access-control-request-headers']
  return jsonResponse(200, success, {
    ...corsHeaders(headers),
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
  })
}

/** An operating error as v0 clients know it. */
export function refusalResponse(
  error: RowmillError,
  headers: IncomingHttpHeaders,
  retryAfterS: number,
): RawResponse {
  const { status } = error.entry
  const cors = corsHeaders(headers)
  const later = status === 503 ? { 'retry-after': String(retryAfterS) } : {}
  const isOurs = status >= 500
  const text = isOurs
    ? isTransient(error) || status === 503
      ? 'transient error, please retry'
      : 'internal error'
    : error.message
  return textResponse(status, text, { ...cors, ...later })
}

/** The page's origin mirrored, with credentials. Nothing for a request that comes from no page. */
export function corsHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const { origin } = headers
  if (origin === undefined) return {}
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    vary: 'origin, access-control-request-method, access-control-request-headers',
  }
}
