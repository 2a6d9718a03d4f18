/** The headers of a v1 request: who sends, which attempt it is, and what time the client thinks it is. */

import { parseUuid } from '../../std/uuid.ts'
import { parseRfc3339 } from './batch/rfc3339.ts'
import { V1Error } from './error.ts'

export type V1Context = {
  token: string
  encoding: V1Encoding | undefined
  attempt: number
  requestId: string
  /** The client's clock when it sent the request, ms since the epoch. */
  requestTimestampMs: number
  /** From `PostHog-Sdk-Info`; `undefined` where it cannot be understood. */
  sdk: { lib: string; version: string } | undefined
}

export type V1Encoding = 'gzip' | 'deflate' | 'br' | 'zstd'
const encodings: readonly string[] = ['gzip', 'deflate', 'br', 'zstd']

/** Names as the answer lists them. */
const requiredHeaders = [
  'PostHog-Sdk-Info',
  'PostHog-Attempt',
  'PostHog-Request-Id',
  'PostHog-Request-Timestamp',
  'content-type',
  'user-agent',
] as const

/** A longer one would be copied into every event of the batch. */
const sdkInfoCharsMax = 200
const attemptMax = 4_294_967_295

export type HeaderReader = (name: string) => string | undefined

/** Throws a `V1Error` where a header is missing or wrong. `checkToken` throws one for a token that cannot be. */
export function readContext(header: HeaderReader, checkToken: (token: string) => void): V1Context {
  const authorization = header('authorization')
  if (authorization === undefined)
    throw new V1Error('missing_authorization', 'The request has no Authorization header.')
  const missing = requiredHeaders.filter((name) => header(name.toLowerCase()) === undefined)
  if (missing.length > 0)
    throw new V1Error(
      'missing_required_headers',
      `request is missing required headers: ${missing.join(', ')}`,
    )
  const token = /^bearer (.*)$/i.exec(authorization)?.[1]?.trim()
  if (token === undefined) throw invalid('Authorization must use the Bearer scheme')
  checkToken(token)
  checkContentType(header('content-type') ?? '')
  const encoding = readEncoding(header('content-encoding'))
  const requestIdText = header('posthog-request-id') ?? ''
  const requestId = parseUuid(requestIdText.trim())
  if (requestId === undefined) throw invalid(`PostHog-Request-Id is not a UUID: ${requestIdText}`)
  const attemptText = header('posthog-attempt') ?? ''
  const attempt = /^\+?\d{1,10}$/.test(attemptText) ? Number(attemptText) : 0
  if (attempt < 1 || attempt > attemptMax)
    throw invalid(`PostHog-Attempt must be a positive integer: ${attemptText}`)
  const timeText = header('posthog-request-timestamp') ?? ''
  const requestTimestampMs = parseRfc3339(timeText)
  if (requestTimestampMs === undefined)
    throw invalid(`PostHog-Request-Timestamp is not an RFC 3339 time: ${timeText}`)
  return {
    token,
    encoding,
    attempt,
    requestId,
    requestTimestampMs,
    sdk: readSdk(header('posthog-sdk-info') ?? ''),
  }
}

function checkContentType(text: string): void {
  const mime = (text.split(';')[0] ?? '').trim().toLowerCase()
  if (mime !== 'application/json')
    throw new V1Error('unsupported_content_type', `unsupported content type: ${text}`)
}

function readEncoding(text: string | undefined): V1Encoding | undefined {
  if (text === undefined) return undefined
  const name = text.trim().toLowerCase()
  if (isEncoding(name)) return name
  throw new V1Error('unsupported_encoding', `unsupported content encoding: ${text}`)
}

function isEncoding(name: string): name is V1Encoding {
  return encodings.includes(name)
}

/** `<lib>/<version>`, parted at the last slash. */
export function readSdk(text: string): V1Context['sdk'] {
  const slash = text.lastIndexOf('/')
  if (slash === -1 || text.length > sdkInfoCharsMax) return undefined
  const lib = text.slice(0, slash).trim()
  const version = text.slice(slash + 1).trim()
  return lib === '' || version === '' ? undefined : { lib, version }
}

function invalid(message: string): V1Error {
  return new V1Error('invalid_header_value', `invalid header value: ${message}`)
}
