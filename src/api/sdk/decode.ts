/**
 * Reads the body of a flags request, in every way in which PostHog's SDKs send one: JSON, gzip told by a
 * query parameter, a header or its first bytes, base64, or a form with a field `data`.
 */
import { gunzipSync } from 'node:zlib'

export type SdkBody = { ok: true; value: Record<string, unknown> } | { ok: false; message: string }

export function decodeSdkBody(
  body: Buffer,
  request: { contentType: string; contentEncoding: string; compression: string },
  limits: { bytesMax: number },
): SdkBody {
  const type = request.contentType.split(';')[0]?.trim().toLowerCase() ?? ''
  const compression = request.compression.toLowerCase()
  if (!['', 'gzip', 'gzip-js', 'base64'].includes(compression))
    return refuse(`unsupported compression: ${compression}`)
  if (type === 'application/x-www-form-urlencoded') return fromForm(body)
  if (!['', 'application/json', 'text/plain'].includes(type))
    return refuse(`unsupported content type: ${type}`)
  let bytes = body
  if (
    compression.startsWith('gzip') ||
    request.contentEncoding === 'gzip' ||
    (body[0] === 0x1f && body[1] === 0x8b)
  ) {
    try {
      bytes = gunzipSync(body, { maxOutputLength: limits.bytesMax })
    } catch (error) {
      const isTooLong = error instanceof RangeError
      return refuse(isTooLong ? 'the decompressed body is too large' : 'failed to decompress the body')
    }
  }
  return fromText(bytes.toString('utf8'))
}

function fromForm(body: Buffer): SdkBody {
  const text = body.toString('latin1')
  const field = new URLSearchParams(text).get('data') ?? decodeURIComponentOr(text)
  return fromText(Buffer.from(field.replaceAll(' ', '+'), 'base64').toString('utf8'))
}

function fromText(text: string): SdkBody {
  if (text.trim() === '') return { ok: true, value: {} }
  const direct = parseObject(text)
  if (direct !== undefined) return { ok: true, value: direct }
  const decoded = parseObject(Buffer.from(decodeURIComponentOr(text), 'base64').toString('utf8'))
  return decoded === undefined ? refuse('failed to parse the body as JSON') : { ok: true, value: decoded }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  const value = parseJson(text) ?? parseJson(withoutNonNumbers(text))
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** NaN and infinities as null, outside of strings. A string that does not end takes the rest: one pass. */
function withoutNonNumbers(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|\bNaN\b|-?\bInfinity\b/g, (part) =>
    part.startsWith('"') ? part : 'null',
  )
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function refuse(message: string): SdkBody {
  return { ok: false, message }
}
