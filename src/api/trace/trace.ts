/**
 * One event's story: when capture received it, what each stage decided and why, the person it was given, the
 * row it became; or where it waits. Looks in the warehouse first, then through what stands unsettled on the
 * log.
 */

import { isRowmillError } from '../../errors/rowmill-error.ts'
import { capturedTopics, topics } from '../../event/topics.ts'
import type { Log, LogRecord } from '../../ports/log.ts'
import type { Warehouse } from '../../ports/warehouse.ts'

export type TraceLog = Pick<Log, 'describe' | 'positions' | 'read' | 'scan'>

export type TraceStep = {
  /** RFC 3339; empty where it is not known. */
  time: string
  stage: string
  what: string
  /** Facts worth showing, as text. */
  facts: Readonly<Record<string, string>>
}

export type TraceStory = {
  uuid: string
  event: string
  distinctId: string
  /** `row`, `drop`, `dead-letter`: how it ended; `waiting` if it has not. */
  ended: 'row' | 'drop' | 'dead-letter' | 'waiting'
  steps: readonly TraceStep[]
}

type Coordinates = { topic: string; partition: number; offset: number }

type EventRow = {
  uuid: string
  event: string
  distinct_id: string
  team_id: string
  time: string
  captured: string
  inserted: string
  person_id: string
  person_mode: string
  source_topic: string
  source_partition: string
  source_offset: string
}

type DropRow = {
  uuid: string
  event: string
  distinct_id: string
  stage: string
  ended: 'drop' | 'dead-letter'
  reason: string
  details: string
  topic: string
  partition: string
  offset: string
  /** RFC 3339 from the warehouse; a record on the log has `time` instead. */
  at?: string
  time?: string
}

export type TraceQuery = { uuid: string } | { distinctId: string }

export async function trace(
  ports: { warehouse: Warehouse; log: TraceLog },
  query: TraceQuery,
  options: { storiesMax: number; signal?: AbortSignal },
): Promise<TraceStory[]> {
  const rows = await findRows(ports.warehouse, query, options)
  const drops = await findDrops(ports.warehouse, query, options)
  const stories = [
    ...(await Promise.all(rows.map((row) => rowStory(ports.log, row)))),
    ...(await Promise.all(drops.map((row) => dropStory(ports.log, row)))),
  ]
  const known = new Set(stories.map(placeOf))
  const rowIds = new Set(rows.map(({ uuid }) => uuid))
  const waiting = await findWaiting(ports.log, query, options)
  for (const story of waiting) {
    // A row may stand before its batch is settled.
    const isRow = story.ended === 'waiting' && story.steps[0]?.stage === 'ingest' && rowIds.has(story.uuid)
    if (!isRow && !known.has(placeOf(story))) stories.push(story)
  }
  return stories.slice(0, options.storiesMax)
}

/** The record that a story begins with, and how it ended there. */
function placeOf(story: TraceStory): string {
  return `${story.ended === 'drop' || story.ended === 'dead-letter' ? 'end' : ''} ${story.steps[0]?.facts.record ?? story.uuid}`
}

const iso = "'%Y-%m-%dT%H:%i:%S.%fZ', 'UTC'"

async function findRows(
  warehouse: Warehouse,
  query: TraceQuery,
  options: { storiesMax: number },
): Promise<EventRow[]> {
  const where = 'uuid' in query ? 'uuid = {id:UUID}' : 'distinct_id = {id:String}'
  return warehouse.query<EventRow>(
    `select uuid, event, distinct_id, team_id, formatDateTime(timestamp, ${iso}) as time, formatDateTime(captured_at, ${iso}) as captured,
       formatDateTime(inserted_at, ${iso}) as inserted, person_id, toString(person_mode) as person_mode,
       source_topic, source_partition, source_offset
     from events where ${where} order by timestamp desc limit {most:UInt32}`,
    { parameters: { id: idOf(query), most: options.storiesMax } },
  )
}

async function findDrops(
  warehouse: Warehouse,
  query: TraceQuery,
  options: { storiesMax: number },
): Promise<DropRow[]> {
  const where = 'uuid' in query ? 'uuid = {id:String}' : 'distinct_id = {id:String}'
  return warehouse.query<DropRow>(
    `select uuid, event, distinct_id, stage, ended, reason, details, topic, partition, offset, formatDateTime(time, ${iso}) as at
     from drops where ${where} order by time desc limit {most:UInt32}`,
    { parameters: { id: idOf(query), most: options.storiesMax } },
  )
}

function idOf(query: TraceQuery): string {
  return 'uuid' in query ? query.uuid.toLowerCase() : query.distinctId
}

async function rowStory(log: TraceLog, row: EventRow): Promise<TraceStory> {
  const source = {
    topic: row.source_topic,
    partition: Number(row.source_partition),
    offset: Number(row.source_offset),
  }
  return {
    uuid: row.uuid,
    event: row.event,
    distinctId: row.distinct_id,
    ended: 'row',
    steps: [
      await receivedStep(log, source, row.captured),
      {
        time: '',
        stage: 'ingest',
        what: 'was accepted',
        facts: {
          project: row.team_id,
          person: row.person_id,
          'person mode': row.person_mode,
          'event time': row.time,
        },
      },
      { time: row.inserted, stage: 'datasets', what: 'became a row of events', facts: {} },
    ],
  }
}

async function dropStory(log: TraceLog, row: DropRow): Promise<TraceStory> {
  const source = { topic: row.topic, partition: Number(row.partition), offset: Number(row.offset) }
  const decided: TraceStep = {
    time: row.at ?? row.time ?? '',
    stage: row.stage,
    what:
      row.ended === 'drop' ? `was dropped: ${row.reason}` : `was set aside as a dead letter: ${row.reason}`,
    facts: row.details === '{}' || row.details === '' ? {} : { details: row.details },
  }
  const steps = source.offset < 0 ? [decided] : [await receivedStep(log, source, ''), decided]
  return { uuid: row.uuid, event: row.event, distinctId: row.distinct_id, ended: row.ended, steps }
}

async function receivedStep(log: TraceLog, source: Coordinates, capturedAt: string): Promise<TraceStep> {
  const record = await log.read(source.topic, source.partition, source.offset).catch((error: unknown) => {
    // The record's topic may be one that this log has never had.
    if (isRowmillError(error, 'TOPIC_UNKNOWN')) return undefined
    throw error
  })
  return {
    time: record?.headers.now ?? capturedAt,
    stage: 'capture',
    what:
      record === undefined
        ? 'was received (its record has left the log by retention)'
        : 'was received and made durable',
    facts: {
      record: `${source.topic}/${source.partition}@${source.offset}`,
      ...(record === undefined ? {} : sdkFacts(record.value)),
    },
  }
}

function sdkFacts(value: Buffer): Record<string, string> {
  try {
    const message = JSON.parse(value.toString('utf8')) as { data?: string }
    const { properties = {} } = JSON.parse(message.data ?? '{}') as { properties?: Record<string, unknown> }
    return {
      sdk:
        [properties.$lib, properties.$lib_version].filter((part) => part !== undefined).join(' ') ||
        'unknown',
    }
  } catch {
    return {}
  }
}

const waitingTopics: readonly string[] = [...capturedTopics, topics.readyEvents, topics.drops]

/** Records that some group has not settled: events on their way, and drops that are no rows yet. */
async function findWaiting(
  log: TraceLog,
  query: TraceQuery,
  options: { storiesMax: number; signal?: AbortSignal },
): Promise<TraceStory[]> {
  const stories: TraceStory[] = []
  const positions = await log.positions()
  const described = (await log.describe()).filter(({ name }) => waitingTopics.includes(name))
  for (const { name: topic, bounds } of described)
    for (const [partition, { start }] of bounds.entries()) {
      const readers = positions.filter((entry) => entry.topic === topic && entry.partition === partition)
      const slowest = readers.toSorted((left, right) => left.position - right.position)[0]
      const from = Math.max(start, slowest?.position ?? 0)
      const { signal } = options
      const scan = log.scan({ topic, partition, from, ...(signal === undefined ? {} : { signal }) })
      for await (const records of scan)
        for (const record of records) {
          if (stories.length >= options.storiesMax) return stories
          const identity = identityOf(record)
          if (!isWanted(query, identity)) continue
          if (topic === topics.drops) {
            const row = parseObject(record.value)
            if (row !== undefined) stories.push(await dropStory(log, row as DropRow))
            continue
          }
          stories.push(
            waitingStory(record, identity, { group: slowest?.group, before: record.offset - from }),
          )
        }
    }
  return stories
}

type Identity = { uuid: string; distinctId: string; event: string; now: string }

/** By the headers of captured records; records without them say it in their value. */
function identityOf(record: LogRecord): Identity {
  const { uuid, distinct_id: distinctId, event, now } = record.headers
  if (typeof uuid === 'string' && typeof distinctId === 'string')
    return { uuid, distinctId, event: event ?? '', now: now ?? '' }
  const row = parseObject(record.value) ?? {}
  const text = (key: string): string => (typeof row[key] === 'string' ? String(row[key]) : '')
  return { uuid: text('uuid'), distinctId: text('distinct_id'), event: text('event'), now: text('now') }
}

function isWanted(query: TraceQuery, identity: Identity): boolean {
  return 'uuid' in query
    ? identity.uuid.toLowerCase() === query.uuid.toLowerCase()
    : identity.distinctId === query.distinctId
}

function waitingStory(
  record: LogRecord,
  identity: Identity,
  reader: { group: string | undefined; before: number },
): TraceStory {
  const isReady = record.topic === topics.readyEvents
  return {
    uuid: identity.uuid,
    event: identity.event,
    distinctId: identity.distinctId,
    ended: 'waiting',
    steps: [
      {
        time: identity.now,
        stage: isReady ? 'ingest' : 'capture',
        what: isReady ? 'was accepted and made ready' : 'was received and made durable',
        facts: { record: `${record.topic}/${record.partition}@${record.offset}` },
      },
      {
        time: '',
        stage: reader.group ?? 'nobody',
        what:
          reader.group === undefined
            ? 'nothing reads it yet: its role has never run here'
            : `waits to be read, ${reader.before} records before it`,
        facts: {},
      },
    ],
  }
}

function parseObject(value: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(value.toString('utf8'))
    return parsed !== null && typeof parsed === 'object' ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
