import { clickhouseTime } from '../../std/time.ts'
import { takeElementsChain } from '../elements.ts'
import type { EntityView } from '../entities/compute-batch.ts'
import { needsOf } from '../entities/needs.ts'
import type { Entities } from '../entities.ts'
import { eventRow, type FinishedEvent, rowRecord } from '../event-row.ts'
import { type GroupsOutcome, groupTypesMax } from '../groups/groups.ts'
import type { IncomingEvent } from '../incoming-event.ts'
import type { PersonEvent, PersonOutcome } from '../persons/person-event.ts'
import { endEvent, type Step, type Work, warn } from '../work.ts'

type Options = { group: string; rowBytesMax: number; now: () => number }
type Applied = { person: PersonOutcome; groups: GroupsOutcome } | { error: unknown }

/**
 * The last step: people and groups of all events at once, durably, and then the rows. Exits: next, one row
 * each; dead letter `processing_failed` for an event that its person cannot take, `row_too_large`.
 */
export function createWriteRowsStep(entities: Entities, options: Options): Step {
  return {
    name: 'write_rows',
    async run(work) {
      if (work.events.length === 0) return
      const elements = work.events.map((event) => takeElementsChain(event.properties))
      const personEvents = work.events.map(toPersonEvent)
      const { topic, partition, from, until } = work.batch
      const range = { group: options.group, topic, partition, from, until }
      const { result, records, warnings } = await entities.run(range, needsOf(personEvents), (view) =>
        personEvents.map((event) => apply(view, event)),
      )
      work.records.push(...records)
      work.warnings.push(...warnings)
      const createdAt = clickhouseTime(options.now())
      for (const [at, event] of work.events.entries())
        finish(work, { event, applied: result[at], elementsChain: elements[at] ?? '', createdAt }, options)
    },
  }
}

function toPersonEvent(event: IncomingEvent): PersonEvent {
  return {
    teamId: event.team.id,
    projectId: event.team.projectId,
    uuid: event.uuid,
    event: event.event,
    distinctId: event.distinctId,
    properties: event.properties,
    timestampMs: event.timeMs,
    processing: event.processing,
    isProcessingExplicit: event.isProcessingExplicit,
    isUpgradeOptedOut: event.team.isPersonProcessingOff,
  }
}

/** An event that its person or group cannot take fails alone. */
function apply(view: EntityView, event: PersonEvent): Applied {
  try {
    return { person: view.applyPerson(event), groups: view.applyGroups(event) }
  } catch (error) {
    return { error }
  }
}

function finish(
  work: Work,
  one: { event: IncomingEvent; applied: Applied | undefined; elementsChain: string; createdAt: string },
  options: Options,
): void {
  const { event, applied, elementsChain } = one
  try {
    if (applied === undefined || 'error' in applied) throw applied?.error
    const { person, groups } = applied
    for (const warning of [...person.warnings, ...groups.warnings]) warn(work, event, warning)
    putGroups(event, person, groups)
    const finished: FinishedEvent = { event, person, elementsChain }
    const record = rowRecord(eventRow(finished, one.createdAt))
    if (record.value.length > options.rowBytesMax) setAside(work, event, record.value.length)
    else endEvent(work, event, { kind: 'next', records: [record] })
  } catch (error) {
    endEvent(work, event, { kind: 'dead-letter', reason: 'processing_failed', error })
  }
}

/** `$group_0` … `$group_4` are the server's: without a profile an event has none, whatever it claims. */
function putGroups(event: IncomingEvent, person: PersonOutcome, groups: GroupsOutcome): void {
  if (person.mode === 'full') Object.assign(event.properties, groups.groupProperties)
  else for (let index = 0; index < groupTypesMax; index++) delete event.properties[`$group_${index}`]
}

function setAside(work: Work, event: IncomingEvent, bytes: number): void {
  const details = { eventUuid: event.uuid, distinctId: event.distinctId, bytes }
  warn(work, event, { type: 'message_size_too_large', details })
  const error = new RangeError(`the finished row has ${bytes} bytes`)
  endEvent(work, event, { kind: 'dead-letter', reason: 'row_too_large', error })
}
