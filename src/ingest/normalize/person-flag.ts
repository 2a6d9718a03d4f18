import type { IncomingEvent, Properties } from '../incoming-event.ts'

/**
 * Whether an event makes or changes a person.
 *
 * `forced-off` comes from capture, which had a reason not to touch people; `off` from the sender's
 * `$process_person_profile: false` or from the project's setting. Anything else than true or false counts as
 * true and is worth a warning.
 */
export type PersonFlag = {
  processing: IncomingEvent['processing']
  isExplicit: boolean
  isFlagValid: boolean
}

export function readPersonFlag(
  event: Pick<IncomingEvent, 'properties' | 'isPersonForcedOff' | 'team'>,
): PersonFlag {
  const flag = event.properties.$process_person_profile
  const isExplicit = flag === true
  if (event.isPersonForcedOff) return { processing: 'forced-off', isExplicit, isFlagValid: true }
  if (flag === false || event.team.isPersonProcessingOff)
    return { processing: 'off', isExplicit, isFlagValid: true }
  return { processing: 'on', isExplicit, isFlagValid: flag === undefined || isExplicit }
}

/** These do nothing but change people. */
export function isPersonOnlyEvent(event: string): boolean {
  return event === '$identify' || event === '$create_alias' || event === '$merge_dangerously'
}

/** Leaves of the person instructions what the decision leaves. Changes `properties` in place. */
export function applyPersonFlag(properties: Properties, event: string, isOn: boolean): void {
  if (!isOn || event === '$groupidentify') {
    delete properties.$set
    delete properties.$set_once
    delete properties.$unset
  }
  if (isOn) delete properties.$process_person_profile
  else properties.$process_person_profile = false
}
