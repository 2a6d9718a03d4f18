import type { ServerResponse } from 'node:http'
import type { RowmillError } from '../errors/rowmill-error.ts'
import type { RawResponse } from './route.ts'

const json = { 'content-type': 'application/json' } as const
const text = { 'content-type': 'text/plain; charset=utf-8' } as const

/** An answer of JSON text; `body` is serialised already. */
export function jsonResponse(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): RawResponse {
  return { status, headers: { ...json, ...headers }, body }
}

export function textResponse(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): RawResponse {
  return { status, headers: { ...text, ...headers }, body }
}

/**
 * What an operating error is to an HTTP client: the status of the register, the error's own sentence, and
 * `Retry-After` where the same request may succeed later. Failures on our side tell no inner details.
 */
export function errorResponse(error: RowmillError, retryAfterS: number): RawResponse {
  const { status, retry, means } = error.entry
  const headers = retry && status >= 500 ? { 'retry-after': String(retryAfterS) } : {}
  return textResponse(status, status >= 500 ? means : error.message, headers)
}

export function sendResponse(response: ServerResponse, answer: RawResponse, closes: boolean): void {
  const body = answer.body ?? ''
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const headers: string[] = []
  for (const name in answer.headers) headers.push(name, answer.headers[name] ?? '')
  if (answer.status !== 204 && answer.status !== 304) headers.push('content-length', String(length))
  if (closes) headers.push('connection', 'close')
  response.writeHead(answer.status, headers)
  response.end(length === 0 ? undefined : body)
}
