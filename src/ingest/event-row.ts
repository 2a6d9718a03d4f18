import { topics } from '../event/topics.ts'
import type { NewRecord } from '../ports/log.ts'
import { clickhouseSeconds, clickhouseTime } from '../std/time.ts'
import { toJsonb } from './entities/jsonb.ts'
import type { IncomingEvent } from './incoming-event.ts'
import type { PersonMode, PersonOutcome } from './persons/person-event.ts'

/**
 * A finished event as it goes to the warehouse: the columns of PostHog's `events` table as its topic has them,
 * and where the event stood on the log. Group columns are left to their defaults, as PostHog leaves them.
 */
export type EventRow = {
  uuid: string
  event: string
  /** JSON. */
  properties: string
  /** `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. */
  timestamp: string
  team_id: number
  project_id: number
  distinct_id: string
  elements_chain: string
  created_at: string
  captured_at: string | null
  person_id: string
  /** JSON. */
  person_properties: string
  /** `YYYY-MM-DD HH:MM:SS`, UTC. */
  person_created_at: string
  person_mode: PersonMode
  /** Only where it is true. */
  historical_migration?: true
  source_topic: string
  source_partition: number
  source_offset: number
}

export type FinishedEvent = { event: IncomingEvent; person: PersonOutcome; elementsChain: string }

export function eventRow({ event, person, elementsChain }: FinishedEvent, createdAt: string): EventRow {
  const { record, team, capturedAtMs } = event
  return {
    uuid: event.uuid,
    event: event.event,
    properties: toJsonb(event.properties).text,
    timestamp: clickhouseTime(event.timeMs),
    team_id: team.id,
    project_id: team.projectId,
    distinct_id: event.distinctId,
    elements_chain: elementsChain,
    created_at: createdAt,
    captured_at: capturedAtMs === undefined ? null : clickhouseTime(capturedAtMs),
    person_id: person.personId,
    person_properties: toJsonb(person.personProperties).text,
    person_created_at: clickhouseSeconds(person.personCreatedAtMs),
    person_mode: person.mode,
    ...(event.isHistorical ? { historical_migration: true } : {}),
    source_topic: record.topic,
    source_partition: record.partition,
    source_offset: record.offset,
  }
}

/** Keyed by distinct id: what reads ready events sees one person's in order. */
export function rowRecord(row: EventRow): NewRecord {
  return { topic: topics.readyEvents, key: row.distinct_id, value: Buffer.from(JSON.stringify(row)) }
}
