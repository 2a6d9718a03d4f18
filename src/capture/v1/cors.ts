import type { IncomingHttpHeaders } from 'node:http'
import { corsHeaders } from '../answer.ts'

/** Lets a browser also read the headers that v1 answers with. */
export function v1CorsHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const cors = corsHeaders(headers)
  if (headers.origin === undefined) return cors
  return { ...cors, 'access-control-expose-headers': 'PostHog-Request-Id, Retry-After' }
}

/** The answer to what a browser asks before it sends: v1 takes POST only, with any headers. */
export function v1PreflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const asked = headers['access-control-request-headers']
  return {
    ...v1CorsHeaders(headers),
    'access-control-allow-methods': 'POST, OPTIONS',
    ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
  }
}
