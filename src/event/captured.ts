import type { HeaderValue } from './headers.ts'

/**
 * A captured event as it stands on the log: PostHog's message format. `data` is a JSON string inside the
 * JSON, as PostHog writes it. Key order on the wire is the order below; absent optionals are omitted.
 * Source: spec of PostHog's capture, message and header tables.
 */
export type CapturedMessage = {
  uuid: string
  distinct_id: string
  ip: string
  /** The event as JSON text: see `RawEvent`. */
  data: string
  /** When capture received it, RFC 3339. */
  now: string
  sent_at?: string
  token: string
  event: string
  /** The event's time as capture computed it, RFC 3339. */
  timestamp: string
  is_cookieless_mode?: true
  historical_migration?: true
}

/** What `CapturedMessage.data` holds. */
export type RawEvent = {
  token?: string
  distinct_id?: unknown
  uuid: string
  event: string
  properties: Record<string, unknown>
  timestamp?: string
  offset?: number
  $set?: Record<string, unknown>
  $set_once?: Record<string, unknown>
}

/** The headers beside a captured message. All of the first block are always present; null where unknown. */
export type CapturedHeaders = {
  token: HeaderValue
  distinct_id: HeaderValue
  session_id: HeaderValue
  /** The computed time in ms. */
  timestamp: HeaderValue
  event: HeaderValue
  uuid: HeaderValue
  now: HeaderValue
  force_disable_person_processing: HeaderValue
  historical_migration: HeaderValue

  skip_heatmap_processing?: HeaderValue
  internal_producer?: HeaderValue
  dlq_reason?: HeaderValue
  dlq_step?: HeaderValue
  dlq_timestamp?: HeaderValue
  'content-encoding'?: HeaderValue
}
