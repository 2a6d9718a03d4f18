import type { IncomingEvent } from '../incoming-event.ts'
import { isPersonOnlyEvent, readPersonFlag } from '../normalize/person-flag.ts'
import { codePoints, distinctIdLengthMax } from '../persons/mergeable-id.ts'
import type { WarningType } from '../warnings/register.ts'
import { eachEvent, endEvent, type Step, type Work, warn } from '../work.ts'

const groupKeyLengthMax = 400

/** Exits: drop `invalid_distinct_id`, drop `group_key_too_long`. Each with a warning. */
export function createValidateStep(): Step {
  return eachEvent('validate', (work, event) => {
    if (!validateDistinctId(work, event)) return
    if (event.event === '$groupidentify') validateGroupKey(work, event)
    else if (isPersonOnlyEvent(event.event)) validateMergedIds(work, event)
  })
}

/** Exit: drop `person_processing_off`. Everything else learns here whether it may touch people. */
export function createPersonFlagStep(): Step {
  return eachEvent('person_flag', (work, event) => {
    const { processing, isExplicit, isFlagValid } = readPersonFlag(event)
    event.processing = processing
    event.isProcessingExplicit = isExplicit
    const about = { eventUuid: event.uuid, event: event.event, distinctId: event.distinctId }
    if (processing === 'off' && isPersonOnlyEvent(event.event)) {
      const type = 'invalid_event_when_process_person_profile_is_false'
      warn(work, event, { type, details: about, isAlwaysSent: true })
      endEvent(work, event, { kind: 'drop', reason: 'person_processing_off' })
    } else if (!isFlagValid) {
      const message = 'Only a boolean value is valid for the $process_person_profile property'
      const { $process_person_profile } = event.properties
      const details = { ...about, $process_person_profile, message }
      warn(work, event, { type: 'invalid_process_person_profile', details })
    }
  })
}

/** Exit: drop `too_old`, by capture's clock, with a warning. */
export function createTooOldStep(now: () => number): Step {
  return eachEvent('too_old', (work, event) => {
    const limit = event.team.dropOlderThanSeconds
    if (limit === undefined || event.timestampMs === undefined) return
    const ageSeconds = ((event.capturedAtMs ?? now()) - event.timestampMs) / 1000
    if (ageSeconds <= limit) return
    const details = {
      eventUuid: event.uuid,
      event: event.event,
      distinctId: event.distinctId,
      eventTimestamp: new Date(event.timestampMs).toISOString(),
      ageInSeconds: Math.floor(ageSeconds),
      dropThresholdSeconds: limit,
    }
    warn(work, event, { type: 'event_dropped_too_old', details })
    const { ageInSeconds, dropThresholdSeconds } = details
    endEvent(work, event, {
      kind: 'drop',
      reason: 'too_old',
      details: { ageInSeconds, dropThresholdSeconds },
    })
  })
}

function validateDistinctId(work: Work, event: IncomingEvent): boolean {
  const { distinctId } = event
  const length = codePoints(distinctId)
  if (length > 0 && length <= distinctIdLengthMax) return true
  const details = {
    eventUuid: event.uuid,
    distinctId: distinctId.slice(0, 100).toWellFormed(),
    distinctIdLength: length,
    maxLength: distinctIdLengthMax,
  }
  warn(work, event, { type: 'skipping_event_invalid_distinct_id', details })
  endEvent(work, event, { kind: 'drop', reason: 'invalid_distinct_id', details: { length } })
  return false
}

function validateGroupKey(work: Work, event: IncomingEvent): void {
  const { $group_key: key } = event.properties
  const text = typeof key === 'object' ? JSON.stringify(key) : String(key)
  if (text.length <= groupKeyLengthMax) return
  const details = {
    eventUuid: event.uuid,
    event: event.event,
    distinctId: event.distinctId,
    groupKey: text.slice(0, groupKeyLengthMax).toWellFormed(),
    groupKeyLength: text.length,
    maxLength: groupKeyLengthMax,
  }
  warn(work, event, { type: 'group_key_too_long', details })
  endEvent(work, event, { kind: 'drop', reason: 'group_key_too_long', details: { length: text.length } })
}

/** Something else than text cannot name the other side of a merge. */
function validateMergedIds(work: Work, event: IncomingEvent): void {
  refuseUnlessText(work, event, { property: '$anon_distinct_id', type: 'invalid_anon_distinct_id' })
  refuseUnlessText(work, event, { property: 'alias', type: 'invalid_alias' })
}

function refuseUnlessText(
  work: Work,
  event: IncomingEvent,
  id: { property: string; type: WarningType },
): void {
  const value = event.properties[id.property]
  if (value === undefined || value === null || typeof value === 'string') return
  const receivedType = Array.isArray(value) ? 'array' : typeof value
  const about = { eventUuid: event.uuid, event: event.event, distinctId: event.distinctId }
  warn(work, event, { type: id.type, details: { ...about, receivedType } })
  const details = { property: id.property, receivedType }
  endEvent(work, event, { kind: 'drop', reason: 'invalid_distinct_id', details })
}
