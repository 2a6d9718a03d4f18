/**
 * Ingestion warnings: what a project should know about its own events. Names, categories and severities are
 * PostHog's. By convention an `error` means that the event was dropped, a `warning` that it was changed or
 * taken in part, an `info` that all went as configured. `docs/reference/ingestion-warnings.md` is compared
 * with this table by a test.
 *
 * Only what is marked `fromCapture` may be named by a `$$client_ingestion_warning` event: those arrive by the
 * public route, and anybody could pretend to be a part of the server otherwise.
 */
export type WarningCategory = 'size' | 'merge' | 'event' | 'transformation' | 'replay'
export type WarningSeverity = 'info' | 'warning' | 'error'
type WarningEntry = {
  category: WarningCategory
  severity: WarningSeverity
  fromCapture?: true
  means: string
}

export const warningRegister = {
  message_size_too_large: {
    category: 'size',
    severity: 'error',
    fromCapture: true,
    means: 'The finished event is larger than one record of the log may be.',
  },
  person_properties_size_violation: {
    category: 'size',
    severity: 'error',
    means: 'A person would have more properties than fit; the change was cut down or left out.',
  },
  person_upsert_message_size_too_large: {
    category: 'size',
    severity: 'error',
    means: 'A person is too large for the message that updates it.',
  },
  group_upsert_message_size_too_large: {
    category: 'size',
    severity: 'error',
    means: 'A group would have more properties than fit; the change was left out.',
  },
  group_key_too_long: {
    category: 'size',
    severity: 'error',
    means: 'A group key is longer than 400 characters.',
  },
  cannot_merge_already_identified: {
    category: 'merge',
    severity: 'warning',
    means: 'The person to be merged is identified already; only $merge_dangerously merges such persons.',
  },
  cannot_merge_with_illegal_distinct_id: {
    category: 'merge',
    severity: 'warning',
    means: 'One of the ids to be merged is known to come from a mistake, such as "null".',
  },
  merge_race_condition: { category: 'merge', severity: 'error', means: 'A merge lost against another one.' },
  client_ingestion_warning: {
    category: 'event',
    severity: 'info',
    means: 'An SDK says so itself; see its message.',
  },
  missing_event_name: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'An event has no name.',
  },
  event_name_too_long: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'The name of an event is longer than 200 bytes.',
  },
  missing_distinct_id: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'An event has no distinct id.',
  },
  distinct_id_too_large: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'A distinct id is longer than 200 bytes.',
  },
  distinct_id_truncated: {
    category: 'event',
    severity: 'warning',
    fromCapture: true,
    means: 'A distinct id is longer than 200 characters and was cut there.',
  },
  invalid_event_timestamp: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'The timestamp of an event is not RFC 3339.',
  },
  malformed_event_properties: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'The properties of an event are not an object.',
  },
  invalid_options: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'The options of an event have values of the wrong type.',
  },
  empty_batch: { category: 'event', severity: 'error', fromCapture: true, means: 'A batch held no event.' },
  invalid_batch: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'A batch could not be read.',
  },
  missing_event_uuid: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'An event has no uuid.',
  },
  invalid_event_uuid: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'The uuid of an event is not a UUID.',
  },
  duplicate_event_uuid: {
    category: 'event',
    severity: 'error',
    fromCapture: true,
    means: 'Two events of one batch have the same uuid.',
  },
  ignored_invalid_timestamp: {
    category: 'event',
    severity: 'warning',
    means: 'The timestamp of an event could not be used; the time of its arrival stands in.',
  },
  schema_validation_failed: {
    category: 'event',
    severity: 'error',
    means: 'An event does not fit the schema that the project enforces.',
  },
  skipping_event_invalid_distinct_id: {
    category: 'event',
    severity: 'error',
    means: 'A distinct id is empty or longer than 400 characters.',
  },
  invalid_anon_distinct_id: {
    category: 'event',
    severity: 'error',
    means: '$anon_distinct_id of an identify or merge is not text.',
  },
  invalid_alias: {
    category: 'event',
    severity: 'error',
    means: 'The alias of an alias or merge is not text.',
  },
  invalid_ai_token_property: {
    category: 'event',
    severity: 'warning',
    means: 'A token count of an AI event is not a number.',
  },
  invalid_group_set: {
    category: 'event',
    severity: 'warning',
    means: '$group_set is not an object, so the group was left as it was.',
  },
  invalid_process_person_profile: {
    category: 'event',
    severity: 'warning',
    means: '$process_person_profile is neither true nor false, so it counts as true.',
  },
  invalid_event_when_process_person_profile_is_false: {
    category: 'event',
    severity: 'error',
    means: 'An identify, alias or merge says that no person shall be touched.',
  },
  event_dropped_too_old: {
    category: 'event',
    severity: 'info',
    means: 'An event is older than the project accepts.',
  },
  cookieless_missing_timestamp: {
    category: 'event',
    severity: 'error',
    means: 'A cookieless event has no time.',
  },
  cookieless_timestamp_out_of_range: {
    category: 'event',
    severity: 'error',
    means: 'A cookieless event is too old, or from the future.',
  },
  cookieless_missing_user_agent: {
    category: 'event',
    severity: 'error',
    means: 'A cookieless event lacks $raw_user_agent.',
  },
  cookieless_missing_ip: { category: 'event', severity: 'error', means: 'A cookieless event lacks $ip.' },
  cookieless_missing_host: { category: 'event', severity: 'error', means: 'A cookieless event lacks $host.' },
  invalid_heatmap_data: { category: 'event', severity: 'warning', means: '$heatmap_data could not be read.' },
  rejecting_heatmap_data_with_invalid_url: {
    category: 'event',
    severity: 'warning',
    means: 'An address in $heatmap_data is empty.',
  },
  rejecting_heatmap_data_with_invalid_items: {
    category: 'event',
    severity: 'warning',
    means: 'The points of an address in $heatmap_data are not a list.',
  },
  error_tracking_exception_processing_errors: {
    category: 'event',
    severity: 'warning',
    means: 'An exception could only be processed in part.',
  },
  event_dropped_by_transformation: {
    category: 'transformation',
    severity: 'info',
    means: 'A transformation of the project dropped an event.',
  },
  replay_lib_version_too_old: {
    category: 'replay',
    severity: 'info',
    means: 'A recording comes from an SDK that is too old.',
  },
  message_contained_no_valid_rrweb_events: {
    category: 'replay',
    severity: 'warning',
    means: 'A piece of a recording holds no usable event.',
  },
  message_timestamp_diff_too_large: {
    category: 'replay',
    severity: 'warning',
    means: 'A piece of a recording says a time far from that of its arrival.',
  },
} as const satisfies Record<string, WarningEntry>

export type WarningType = keyof typeof warningRegister

/** What happened to one event, before it is known whether the project hears of it. */
export type EventWarning = {
  type: WarningType
  details: Readonly<Record<string, unknown>>
  /** Narrows the throttling to this; a session, say. */
  key?: string | undefined
  /** Never throttled. */
  isAlwaysSent?: boolean
  /** The step or program that found it. */
  pipelineStep?: string | undefined
  source?: string
}
export type Warning = EventWarning & { teamId: number }

export function isWarningType(type: unknown): type is WarningType {
  return typeof type === 'string' && Object.hasOwn(warningRegister, type)
}

export function mayCaptureName(type: WarningType): boolean {
  return 'fromCapture' in warningRegister[type]
}
