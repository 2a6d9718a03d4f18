/**
 * Dead letters: records that could not be processed, kept on their own topics with their original bytes and
 * headers. This reads them; `requests.ts` says what is done about them.
 */
import type { Database } from '../../ports/database.ts'
import type { Log, LogRecord, RecordPosition } from '../../ports/log.ts'

export type DeadLetter = {
  /** Where it is kept. */
  place: RecordPosition
  /** Where it was when it could not be processed. */
  source: RecordPosition
  /** The group that set it aside. */
  stage: string
  reason: string
  error: string
  /** Where in the message, if it could be told. */
  path: string
  stack: string
  /** When it was set aside, ISO 8601. */
  time: string
  handled: DeadLetterAction | undefined
  record: LogRecord
}

export type DeadLetterAction = 'replay' | 'drop'

export type DeadLetterPorts = { log: Pick<Log, 'describe' | 'scan' | 'read'>; database: Database }

export type DeadLetterFilter = {
  topics: readonly string[]
  stage?: string | undefined
  reason?: string | undefined
  /** Also those that were replayed or dropped. */
  hasHandled?: boolean
  /** The newest ones of each topic. */
  limit: number
  signal?: AbortSignal
}

/** The newest dead letters that fit, by topic, oldest first. Topics that do not exist hold none. */
export async function listDeadLetters(
  ports: DeadLetterPorts,
  filter: DeadLetterFilter,
): Promise<DeadLetter[]> {
  const existing = await ports.log.describe()
  const letters: DeadLetter[] = []
  for (const { name, bounds } of existing.filter(({ name }) => filter.topics.includes(name))) {
    const newest: DeadLetter[] = []
    for (const [partition, { start, end }] of bounds.entries()) {
      const handled = await readHandled(ports.database, { topic: name, partition, from: start })
      const place = { topic: name, partition, from: start, until: end }
      for await (const records of ports.log.scan(
        filter.signal === undefined ? place : { ...place, signal: filter.signal },
      )) {
        for (const record of records) {
          const letter = deadLetterOf(record, handled.get(record.offset))
          if (letter !== undefined && fits(letter, filter)) newest.push(letter)
        }
        if (newest.length > 2 * filter.limit) newest.splice(0, newest.length - filter.limit)
      }
    }
    letters.push(
      ...newest.toSorted((a, b) => a.record.timestampMs - b.record.timestampMs).slice(-filter.limit),
    )
  }
  return letters
}

/** One dead letter by a place on a topic that exists; `undefined` if there is none there. */
export async function readDeadLetter(
  { log, database }: DeadLetterPorts,
  { topic, partition, offset }: RecordPosition,
): Promise<DeadLetter | undefined> {
  const record = await log.read(topic, partition, offset)
  if (record === undefined) return undefined
  const handled = await readHandled(database, { topic, partition, from: offset, until: offset + 1 })
  return deadLetterOf(record, handled.get(offset))
}

function fits(letter: DeadLetter, { stage, reason, hasHandled }: DeadLetterFilter): boolean {
  if (letter.handled !== undefined && hasHandled !== true) return false
  return (stage === undefined || letter.stage === stage) && (reason === undefined || letter.reason === reason)
}

/** A record on a dead-letter topic without our headers came from somebody else: it is none of ours. */
function deadLetterOf(record: LogRecord, handled: DeadLetterAction | undefined): DeadLetter | undefined {
  const { headers, topic, partition, offset } = record
  const source = sourceOf(record)
  if (source === undefined) return undefined
  return {
    place: { topic, partition, offset },
    source,
    stage: headers.dlq_step ?? '',
    reason: headers.dlq_reason ?? '',
    error: headers.dlq_error ?? '',
    path: headers.dlq_path ?? '',
    stack: headers.dlq_stack ?? '',
    time: headers.dlq_timestamp ?? '',
    handled,
    record,
  }
}

function sourceOf({ headers }: LogRecord): RecordPosition | undefined {
  const { dlq_topic: topic, dlq_partition: partition, dlq_offset: offset } = headers
  if (typeof topic !== 'string' || topic === '') return undefined
  if (!/^\d+$/.test(partition ?? '') || !/^\d+$/.test(offset ?? '')) return undefined
  return { topic, partition: Number(partition), offset: Number(offset) }
}

type Range = { topic: string; partition: number; from: number; until?: number }

async function readHandled(
  database: Database,
  { topic, partition, from, until }: Range,
): Promise<ReadonlyMap<number, DeadLetterAction>> {
  const rows = await database.query<{ offset: string; action: DeadLetterAction }>(
    `select "offset", action from dead_letters_handled
     where topic = $1 and partition = $2 and "offset" >= $3 and ($4::bigint is null or "offset" < $4)`,
    [topic, partition, from, until ?? null],
  )
  return new Map(rows.map(({ offset, action }) => [Number(offset), action]))
}
