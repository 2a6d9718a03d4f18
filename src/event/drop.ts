/**
 * The written reason of an event that ended without a row: one record on `rowmill_drops`, one row in the
 * table `drops`. `ended` tells a decision (`drop`) from something that could not be processed and was set
 * aside with its original bytes (`dead-letter`).
 */
export type DropRow = {
  /** Empty where the record was too broken to tell. */
  uuid: string
  distinct_id: string
  token: string
  event: string
  /** The stage that decided: a role's name. */
  stage: string
  ended: 'drop' | 'dead-letter'
  reason: DropReason
  /** JSON: what a person needs to understand the decision. `{}` if the reason says it all. */
  details: string
  topic: string
  partition: number
  /** Offset of the record on `topic`; -1 if it never reached the log. */
  offset: number
  /** `YYYY-MM-DD HH:MM:SS.ffffff`, UTC: when it was decided. */
  time: string
}

/** Every reason has a row here; `docs/reference/drop-reasons.md` is compared with this table by a test. */
export const dropReasons = {
  billing_limit_exceeded: 'The project is over its quota for this kind of event.',
  token_dropper: 'The operator drops events of this token or distinct id at capture.',
  event_restriction: 'An event restriction of the project drops it.',
  ai_byte_limit: 'The project sends more bytes of AI events per second than the operator allows.',
  ai_event_too_big: 'The AI event is larger than the operator allows.',
  non_historical_import: 'Capture takes only batches that are marked as historical, and this one was not.',
  fallback_refused:
    'The log refused for good what the fallback of capture had kept; the record was set aside in the blob store.',
  invalid_event: 'A batch held an event that breaks the rules of its route; the client was told which one.',
  unknown_token: 'No project has this token.',
  duplicate: 'An event with the same token and uuid was accepted before.',
  invalid_message: 'The record on the log is not a captured event.',
  invalid_distinct_id: 'The event has no usable distinct id.',
  person_processing_off: 'Identify, alias and merge mean nothing without person processing.',
  too_old: 'The event is older than the project accepts.',
  group_key_too_long: 'A group key is longer than 400 characters.',
  cookieless_disabled: 'The project does not accept cookieless events.',
  cookieless_unsupported_event: 'Alias, merge, and stateless identify cannot be cookieless.',
  cookieless_missing_property:
    'A cookieless event lacks the user agent, ip, host or time that its id is made of.',
  cookieless_timestamp_out_of_range: 'A cookieless event is too old or too new for its day to have a salt.',
  cookieless_unavailable: 'The cache that holds the salts could not be reached.',
  client_warning: 'It was a warning for the ingestion warnings, not an event.',
  heatmap_only: 'It was heatmap data, stored as heatmap rows.',
  invalid_heatmap: 'Its heatmap data could not be understood.',
  replay_invalid: 'The replay message could not be understood.',
  output_too_large: 'What the event became is larger than the log accepts.',
  row_refused: 'The warehouse refused the row.',
  row_too_large: 'The finished event is larger than one record of the log may be.',
  skipped_message: 'The pre-filter or the processor of a storage makes no row of this message.',
  ignored_message: 'The processor of a storage sets messages of this kind aside without further notice.',
  schema_violated: "The message does not match the JSON Schema of its storage's topic.",
  processor_failed: 'The processor of a storage failed on this message.',
  too_old_message: 'A live option sets messages of this age aside.',
  processing_failed: 'A step failed again and again on this event alone.',
} as const

export type DropReason = keyof typeof dropReasons
