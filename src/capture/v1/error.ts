/** What ends a whole v1 request: a status, and a body that says why in words that stay the same. */
const statuses = {
  missing_required_headers: 400,
  invalid_header_value: 400,
  request_decoding_error: 400,
  request_parsing_error: 400,
  empty_body: 400,
  empty_batch: 400,
  invalid_batch: 400,
  missing_event_uuid: 400,
  invalid_event_uuid: 400,
  duplicate_event_uuid: 400,
  missing_authorization: 401,
  invalid_api_token: 401,
  billing_limit_exceeded: 402,
  body_read_timeout: 408,
  payload_too_large: 413,
  unsupported_content_type: 415,
  unsupported_encoding: 415,
  internal_error: 500,
  service_unavailable: 503,
} as const

export type V1ErrorTag = keyof typeof statuses

/** Thrown while a request is understood, caught where it is answered. */
export class V1Error extends Error {
  override readonly name = 'V1Error'
  readonly tag: V1ErrorTag

  constructor(tag: V1ErrorTag, message: string, options?: ErrorOptions) {
    super(message, options)
    this.tag = tag
  }
}

export type V1ErrorAnswer = { status: number; body: string; headers: Record<string, string> }

/** `Retry-After` stands only beside errors after which the same request may succeed. */
export function errorAnswer(error: Pick<V1Error, 'tag' | 'message'>): V1ErrorAnswer {
  const status = statuses[error.tag]
  const uri =
    error.tag === 'billing_limit_exceeded'
      ? 'https://posthog.com/docs/billing/limits'
      : 'https://posthog.com/docs/api'
  return {
    status,
    body: JSON.stringify({ error: error.tag, error_description: error.message, error_uri: uri }),
    headers: status === 408 || status >= 500 ? { 'Retry-After': '1' } : {},
  }
}
