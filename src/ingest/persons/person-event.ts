import type { Properties } from '../entities/jsonb.ts'

/** What an event says about its person and its groups; its properties are normalised already. */
export type PersonEvent = {
  teamId: number
  /** Group types belong to the project; by default it has the team's number. */
  projectId?: number | undefined
  uuid: string
  event: string
  distinctId: string
  /** With `$set`, `$set_once` and `$unset` inside. */
  properties: Properties
  timestampMs: number
  /** `forced-off` comes from capture's header and skips every look-up. */
  processing: 'on' | 'off' | 'forced-off'
  /** The event itself said `$process_person_profile: true`. */
  isProcessingExplicit?: boolean | undefined
  /** The project does not want events without a profile to count for one that exists. */
  isUpgradeOptedOut?: boolean | undefined
}

export type EntityWarning = { type: EntityWarningType; details: Readonly<Record<string, unknown>> }
export type EntityWarningType =
  | 'cannot_merge_with_illegal_distinct_id'
  | 'cannot_merge_already_identified'
  | 'person_properties_size_violation'
  | 'invalid_group_set'
  | 'group_upsert_message_size_too_large'

export type PersonMode = 'full' | 'propertyless' | 'force_upgrade'

export type PersonOutcome = {
  personId: string
  personCreatedAtMs: number
  /** What the event's row shows of its person, the event's own `$set` included. Never changed afterwards. */
  personProperties: Properties
  mode: PersonMode
  warnings: readonly EntityWarning[]
}
